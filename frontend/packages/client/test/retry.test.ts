import { expect, it } from "vitest";
import { backoffMs, nextAfter, refusedMs, renewMs, slowMs, waitMs } from "../src/retry.ts";

it("doubles the bound up to ten seconds", () => {
  const bounds = [0, 1, 2, 3, 4, 5, 6, 1_000_000].map((attempt) => backoffMs(attempt, () => 1));
  expect(bounds).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
});

it("respects another cap", () => {
  expect(backoffMs(9, () => 1, 3_000)).toBe(3_000);
  expect(slowMs(() => 1, 3_000)).toBe(3_000);
});

it("spreads over the whole bound", () => {
  expect(backoffMs(3, () => 0)).toBe(0);
  expect(backoffMs(3, () => 0.5)).toBe(1_000);
});

it("is never fast where a retry would not help", () => {
  expect(slowMs(() => 0)).toBe(5_000);
  expect(slowMs(() => 1)).toBe(10_000);
});

it("is fast after the first refusal of a token only", () => {
  expect([1, 2, 3].map((refusals) => refusedMs(refusals, () => 1))).toEqual([250, 10_000, 10_000]);
  expect(refusedMs(2, () => 0)).toBe(5_000);
});

it("renews in the second quarter of what is left", () => {
  expect([0, 1].map((random) => renewMs(60_000, () => random))).toEqual([15_000, 30_000]);
});

it.each([
  [1012, "resume"],
  [1006, "resume"],
  [1011, "resume"],
  [3000, "resume"],
  [4408, "snapshot"],
  [4429, "back-off"],
  [4400, "stop"],
  [4499, "stop"],
  [4500, "resume"],
])("after %i: %s", (code, next) => {
  expect(nextAfter(code)).toBe(next);
});

it("retries after every ending", () => {
  for (const next of ["resume", "back-off", "snapshot", "authenticate", "stop"] as const) {
    expect(waitMs(next, 1_000, () => 1)).toBeLessThanOrEqual(10_000);
  }
  expect(waitMs("back-off", 0, () => 1)).toBe(1_000);
});
