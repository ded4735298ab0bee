import { beforeEach, expect, it } from "vitest";
import type { Reading } from "../src/index.ts";
import { Sensors } from "../src/sensors.ts";
import { reading } from "./seen.ts";

let frames: (() => void)[];
let sensors: Sensors;

function frame() {
  for (const flush of frames.splice(0)) flush();
}

function apply(reading: Reading, snapshot = false) {
  sensors.apply({ type: "reading", reading, snapshot, merged: 0 });
}

beforeEach(() => {
  frames = [];
  sensors = new Sensors(
    () => 1_000,
    (flush) => frames.push(flush),
  );
});

it("notifies only the rows that changed, once a frame", () => {
  const notified: string[] = [];
  apply(reading(1, "a"), true);
  apply(reading(2, "b"), true);
  frame();
  for (const sensor of ["a", "b"]) sensors.onRow(sensor, () => notified.push(sensor));
  const { ids } = sensors.view();
  for (let id = 3; id < 103; id++) apply(reading(id, "b"));
  expect(frames).toHaveLength(1);
  frame();
  expect(notified).toEqual(["b"]);
  expect(sensors.row("b")?.reading.id).toBe(102);
  expect(sensors.view().ids).toBe(ids);
});

it("sorts sensors by id, numbers by their size", () => {
  for (const [id, sensor] of ["s-10", "s-2", "a"].entries()) apply(reading(id, sensor), true);
  frame();
  expect(sensors.view().ids).toEqual(["a", "s-2", "s-10"]);
});

it("counts events, but not those of a snapshot", () => {
  apply(reading(1, "a"), true);
  apply(reading(2, "a"));
  frame();
  expect(sensors.view()).toMatchObject({ received: 1, gaps: 0 });
});

it("shows the newest of a snapshot, then each event", () => {
  const at = (id: number, sensor: string, timestamp: string) => ({ ...reading(id, sensor), timestamp });
  apply(at(1, "a", "2026-07-01T10:00:02Z"), true);
  apply(at(2, "b", "2026-07-01T10:00:01Z"), true);
  frame();
  expect(sensors.view().latest?.reading.id).toBe(1);
  apply(at(3, "b", "2026-07-01T09:00:00Z"));
  frame();
  expect(sensors.view().latest).toMatchObject({ snapshot: false, reading: { id: 3 } });
});

it("keeps the last gaps", () => {
  for (let n = 0; n < 5; n++) {
    sensors.apply({ type: "gap", from: "1.1", to: "1.2", reason: "retention", lastHeard: 500 });
  }
  frame();
  expect(sensors.view().gaps).toBe(5);
  expect(sensors.view().missed.map(({ key }) => key)).toEqual([3, 4, 5]);
  expect(sensors.view().missed[0]).toMatchObject({ from: 500, to: 1_000, reason: "retention" });
});
