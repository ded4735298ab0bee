import { expect, it } from "vitest";
import { Fixture } from "./fixture.ts";
import { waitFor } from "./scripted.ts";
import { event, IDLE_MS, live, mark, reading, Seen } from "./seen.ts";

const fixture = new Fixture();

it("carries several on one socket, each with its own events, position and resume", async () => {
  const [a, b] = [new Seen(), new Seen()];
  const first = fixture.client.subscribe({ sensors: ["a"], from: "1.1" }, a.handler);
  const second = fixture.client.subscribe({ sensors: ["b*"] }, b.handler);
  const connection = await fixture.server.connection(1);
  connection.hello(IDLE_MS);
  const requests = [await connection.request(1), await connection.request(2)];
  expect(requests.map(({ subscribe }) => subscribe)).toEqual([
    { sensors: ["a"], from: "1.1" },
    { sensors: ["b*"], from: "now" },
  ]);
  // Answered in reverse: the ids tell which answer belongs to which request.
  connection.send([
    { id: requests[1]?.id, ok: { sub: 1, pos: "1.20" } },
    { id: requests[0]?.id, ok: { sub: 2, pos: "1.1", resumed: true } },
    event(5, 2),
    event(21, 1),
  ]);
  await b.receives(21);
  await a.receives(5);
  expect([first.state, second.state, fixture.client.state]).toEqual(["catching-up", "live", "catching-up"]);
  connection.send([live("1.21", 2), { sub: 1, mark: { pos: "1.30", n: 1 } }]);
  await fixture.seen.becomes("live");

  connection.cut();
  const next = await fixture.server.connection(2);
  next.hello(IDLE_MS);
  const again = [await next.request(1), await next.request(2)];
  expect(again.map(({ subscribe }) => subscribe)).toEqual([
    { sensors: ["a"], from: "1.21" },
    { sensors: ["b*"], from: "1.30" },
  ]);
  expect(fixture.server.connections).toHaveLength(2);
});

it("gives each its own gap, which comes before the answer with its number", async () => {
  const [a, b] = [new Seen(), new Seen()];
  fixture.client.subscribe({ from: "1.1" }, a.handler);
  fixture.client.subscribe({ from: "1.8" }, b.handler);
  const connection = await fixture.server.connection(1);
  connection.hello(IDLE_MS);
  const requests = [await connection.request(1), await connection.request(2)];
  connection.send([
    { sub: 1, gap: { from: "1.1", to: "1.5", reason: "retention" } },
    { sub: 2, gap: { from: "1.8", to: "1.9", reason: "epoch" } },
    { id: requests[1]?.id, ok: { sub: 2, pos: "1.9", resumed: false } },
    { id: requests[0]?.id, ok: { sub: 1, pos: "1.5", resumed: false } },
    live("1.9", 1),
    live("1.9", 2),
  ]);
  await fixture.seen.becomes("live");
  expect(a.of("gap")).toMatchObject([{ to: "1.5", reason: "retention" }]);
  expect(b.of("gap")).toMatchObject([{ to: "1.9", reason: "epoch" }]);
});

it("unsubscribes one that was closed before its answer", async () => {
  const subscription = fixture.client.subscribe({}, fixture.seen.handler);
  const connection = await fixture.server.connection(1);
  connection.hello(IDLE_MS);
  await connection.request();
  subscription.close();
  connection.send([{ id: 1, ok: { sub: 9, pos: "1.1" } }, event(2, 9)]);
  await connection.receives(({ unsubscribe }) => unsubscribe?.sub === 9);
  expect(fixture.seen.events).toEqual([]);
});

it("drops events of a closed one", async () => {
  const kept = new Seen();
  const subscription = fixture.client.subscribe({}, fixture.seen.handler);
  fixture.client.subscribe({}, kept.handler);
  const connection = await fixture.server.connection(1);
  connection.hello(IDLE_MS);
  await connection.request(2);
  connection.send([
    { id: 1, ok: { sub: 1, pos: "1.1" } },
    { id: 2, ok: { sub: 2, pos: "1.1" } },
  ]);
  await fixture.seen.becomes("live");
  subscription.close();
  connection.send([event(2, 1), event(2, 2)]);
  await kept.receives(2);
  expect(fixture.seen.live).toEqual([]);
});

it("detects a duplicate in mode latest, whose events have no position, by the reading's id", async () => {
  const subscription = fixture.client.subscribe(
    { mode: "latest", maxRate: 2, from: "latest" },
    fixture.seen.handler,
  );
  const connection = await fixture.server.connection(1);
  await connection.attach(IDLE_MS, { id: 1, ok: { sub: 1 } }, live("1.10"));
  connection.send([{ sub: 1, merged: 7, data: reading(11) }]);
  await fixture.seen.receives(11);
  expect(fixture.seen.of("reading")[0]?.merged).toBe(7);
  expect(subscription.position).toBe("1.10");
  connection.cut();
  const second = await fixture.server.connection(2);
  const request = await second.attach(IDLE_MS, { id: 1, ok: { sub: 1, pos: "1.10", resumed: true } });
  expect(request.subscribe).toEqual({ from: "1.10", mode: "latest", max_rate: 2 });
  second.send([{ sub: 1, data: reading(11) }, { sub: 1, data: reading(12) }, mark("1.12")]);
  await fixture.seen.receives(11, 12);
  expect(subscription.doubles).toBe(1);
  await waitFor(
    () => subscription.position === "1.12",
    () => `at ${subscription.position}`,
  );
});

it("requests the same time again after a disconnect before the answer", async () => {
  fixture.client.subscribe({ from: { last: "15m" } }, fixture.seen.handler);
  const first = await fixture.server.connection(1);
  await first.attach(IDLE_MS);
  first.cut();
  const request = await (await fixture.server.connection(2)).attach(IDLE_MS);
  expect(request.subscribe).toEqual({ from: { last: "15m" } });
});
