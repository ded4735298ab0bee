import type { SensorReading } from "@rowcast/client/react";
import { expect, it } from "vitest";
import { ageMs, ageText, isStale } from "./age";

const NOON = Date.parse("2026-07-01T12:00:00Z");

function row(timestamp: string, arrivedAt: number, snapshot = false): SensorReading {
  const times = { timestamp, created_at: timestamp, updated_at: timestamp };
  return { reading: { id: 1, sensor_id: "s", value: 1, metadata: {}, ...times }, arrivedAt, snapshot };
}

it.each([
  [0, "just now"],
  [999, "just now"],
  [1_000, "1 s ago"],
  [59_999, "59 s ago"],
  [60_000, "1 min ago"],
  [3_599_999, "59 min ago"],
  [3_600_000, "1 h ago"],
  [86_400_000 * 3, "3 d ago"],
  [Number.NaN, ""],
])("formats %d ms as %j", (ms, text) => {
  expect(ageText(ms)).toBe(text);
});

it("shows no age below zero", () => {
  expect(ageMs(row("2026-07-01T12:00:05Z", NOON), NOON)).toBe(0);
});

it("takes the arrival of an event and the own time of a snapshot's reading", () => {
  expect(isStale(row("2026-07-01T11:00:00Z", NOON), NOON + 30_000)).toBe(false);
  expect(isStale(row("2026-07-01T12:00:00Z", NOON), NOON + 30_001)).toBe(true);
  expect(isStale(row("2026-07-01T11:00:00Z", NOON, true), NOON)).toBe(true);
});
