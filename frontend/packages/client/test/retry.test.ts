import { expect, it } from "vitest";
import { backoffMs, ending, slowMs } from "./retry";

it("doubles the bound up to ten seconds", () => {
  const bounds = [0, 1, 2, 3, 4, 5, 6, 1_000_000].map((attempt) => backoffMs(attempt, () => 1));
  expect(bounds).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
});

it("spreads over the whole of the bound", () => {
  expect(backoffMs(3, () => 0)).toBe(0);
  expect(backoffMs(3, () => 0.5)).toBe(1_000);
});

it("is never quick where trying again does not help", () => {
  expect(slowMs(() => 0)).toBe(5_000);
  expect(slowMs(() => 1)).toBe(10_000);
});

it("knows no ending after which it stays away", () => {
  expect(ending(1000)).toEqual({ resume: true, slow: false });
  expect(ending(1012)).toEqual({ resume: true, slow: false });
  expect(ending(4408)).toEqual({ resume: false, slow: false });
  expect(ending(1008)).toEqual({ resume: true, slow: true });
});
