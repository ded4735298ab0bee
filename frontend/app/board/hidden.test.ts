import { expect, it } from "vitest";
import { isShownBeside } from "./hidden";

it.each([
  [null, []],
  ["", []],
  ["rowcast-canary", ["rowcast-canary"]],
  ["test-*,rowcast-canary", ["rowcast-canary", "test-1"]],
  ["rowcast", []],
])("hides by %s", (hide, hidden) => {
  const sensors = ["kitchen", "rowcast-canary", "test-1"];
  expect(sensors.filter((sensor) => !isShownBeside(hide)(sensor))).toEqual(hidden);
});
