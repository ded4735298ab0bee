import { expect, it } from "vitest";
import { Access } from "./access";

it("asks nobody before the gateway does", () => {
  const access = new Access(false);
  expect(access.ask(undefined)).toBeUndefined();
  expect(access.asked()).toBeUndefined();
});

it("asks until there is a token, and says why it asks again", async () => {
  const access = new Access(false);
  const seen: (string | undefined)[] = [];
  access.onAsked(() => seen.push(access.asked()));
  const first = access.ask("not-authenticated");
  access.give("a");
  expect(await first).toBe("a");
  for (const refusal of ["not-authenticated", "forbidden", undefined]) {
    access.ask(refusal);
    access.give("b");
  }
  expect(seen).toEqual([
    "needed",
    undefined,
    "refused",
    undefined,
    "forbidden",
    undefined,
    "ending",
    undefined,
  ]);
});

it("tells a token that has ended from one that is refused, and answers the newer question", async () => {
  const access = new Access(false);
  access.ask("not-authenticated");
  access.give("a");
  access.ask(undefined);
  const newer = access.ask("not-authenticated");
  expect(access.asked()).toBe("ended");
  access.give("b");
  expect(await newer).toBe("b");
});

it("asks first where it is told to", async () => {
  const access = new Access(true);
  const answer = access.ask(undefined);
  expect(access.asked()).toBe("wanted");
  access.give("a");
  expect(await answer).toBe("a");
  expect(access.asked()).toBeUndefined();
});
