import { beforeEach, expect, it } from "vitest";
import type { Reading } from "../live/protocol";
import { Board } from "./board";

let frames: (() => void)[];
let board: Board;

function reading(id: number, sensor: string, timestamp = "2026-07-01T10:00:00Z"): Reading {
  return { id, sensor_id: sensor, value: id, timestamp, metadata: {} };
}

function frame() {
  for (const flush of frames.splice(0)) flush();
}

beforeEach(() => {
  frames = [];
  board = new Board(
    () => 1_000,
    (flush) => frames.push(flush),
  );
});

it("tells only the rows that changed, once a frame", () => {
  const told: string[] = [];
  board.reading(reading(1, "a"), true);
  board.reading(reading(2, "b"), true);
  frame();
  for (const sensor of ["a", "b"]) board.onRow(sensor, () => told.push(sensor));
  board.onSensors(() => told.push("sensors"));
  for (let id = 3; id < 103; id++) board.reading(reading(id, "b"), false);
  expect(frames).toHaveLength(1);
  frame();
  expect(told).toEqual(["b"]);
  expect(board.row("b")?.reading.id).toBe(102);
});

it("sorts sensors by id, numbers by their size", () => {
  for (const [id, sensor] of ["s-10", "s-2", "a"].entries()) board.reading(reading(id, sensor), true);
  frame();
  expect(board.sensors()).toEqual(["a", "s-2", "s-10"]);
});

it("counts each event once and a reading that it had already as a double", () => {
  board.reading(reading(1, "a"), true);
  board.reading(reading(2, "a"), false);
  board.reading(reading(2, "a"), false);
  board.reading(reading(1, "a"), false);
  frame();
  expect(board.head().counters).toEqual({ received: 1, duplicates: 2, gaps: 0 });
  expect(board.ids).toEqual([2]);
});

it("counts no second snapshot as doubles", () => {
  board.reading(reading(1, "a"), true);
  board.reading(reading(1, "a"), true);
  frame();
  expect(board.head().counters).toEqual({ received: 0, duplicates: 0, gaps: 0 });
});

it("shows the newest of a snapshot and then whatever comes", () => {
  board.reading(reading(1, "a", "2026-07-01T10:00:02Z"), true);
  board.reading(reading(2, "b", "2026-07-01T10:00:01Z"), true);
  frame();
  expect(board.head().latest?.reading.id).toBe(1);
  board.reading(reading(3, "b", "2026-07-01T09:00:00Z"), false);
  frame();
  expect(board.head().latest).toMatchObject({ snapshot: false, reading: { id: 3 } });
});

it("keeps its log of ids bounded", () => {
  for (let id = 0; id < 45_000; id++) board.reading(reading(id, "a"), false);
  expect(board.ids.length).toBeLessThan(20_000);
  expect(board.ids.at(-1)).toBe(44_999);
});

it("keeps the last gaps until they are dismissed", () => {
  for (let n = 0; n < 5; n++) board.gap({ reason: "retention" }, 500);
  frame();
  expect(board.head().counters.gaps).toBe(5);
  expect(board.head().notices.map(({ key }) => key)).toEqual([3, 4, 5]);
  const [first] = board.head().notices;
  if (first) board.dismiss(first);
  frame();
  expect(board.head().notices.map(({ key }) => key)).toEqual([4, 5]);
});
