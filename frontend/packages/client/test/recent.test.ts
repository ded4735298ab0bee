import { expect, it } from "vitest";
import { Recent } from "../src/recent.ts";

it("forgets the oldest first", () => {
  const recent = new Recent<number>(2);
  expect([recent.add(1), recent.add(1), recent.add(2), recent.add(3)]).toEqual([true, false, true, true]);
  expect([1, 2, 3].map((n) => recent.has(n))).toEqual([false, true, true]);
});
