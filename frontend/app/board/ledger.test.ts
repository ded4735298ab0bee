import { expect, it } from "vitest";
import { Ledger } from "./ledger";

function event(id: number, snapshot = false) {
  const time = "2026-07-01T10:00:00Z";
  const reading = {
    id,
    sensor_id: "a",
    value: 1,
    timestamp: time,
    metadata: {},
    created_at: time,
    updated_at: time,
  };
  return { type: "reading", reading, snapshot, merged: 0 } as const;
}

it("counts a reading that it already had as a duplicate", () => {
  const ledger = new Ledger();
  ledger.note(event(1, true));
  for (const id of [2, 2, 1]) ledger.note(event(id));
  expect(ledger.ids).toEqual([2]);
  expect(ledger.duplicates).toBe(2);
});

it("does not count a second snapshot as duplicates", () => {
  const ledger = new Ledger();
  ledger.note(event(1, true));
  ledger.note(event(1, true));
  expect(ledger.duplicates).toBe(0);
});

it("bounds its log of ids", () => {
  const ledger = new Ledger();
  for (let id = 0; id < 45_000; id++) ledger.note(event(id));
  expect(ledger.ids.length).toBeLessThan(20_000);
  expect(ledger.ids.at(-1)).toBe(44_999);
});
