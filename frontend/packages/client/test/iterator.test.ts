import { expect, it } from "vitest";
import type { Subscription, SubscriptionEvent } from "../src/index.ts";
import { Fixture } from "./fixture.ts";
import { type Connection, waitFor } from "./scripted.ts";
import { event, IDLE_MS, live, mark, snap } from "./seen.ts";

const fixture = new Fixture();

async function attached(subscription: Subscription): Promise<Connection> {
  const connection = await fixture.server.connection(1);
  await connection.attach(IDLE_MS, { id: 1, ok: { sub: 1, pos: "1.10", resumed: true } });
  await waitFor(
    () => subscription.state === "catching-up",
    () => subscription.state,
  );
  return connection;
}

async function take(subscription: Subscription, count: number): Promise<SubscriptionEvent[]> {
  const taken: SubscriptionEvent[] = [];
  while (taken.length < count) {
    const { value, done } = await subscription.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}

const ids = (events: SubscriptionEvent[]) =>
  events.map((event) => (event.type === "reading" ? event.reading.id : event.type));

it("gives events in order, and ends with a break", async () => {
  const subscription = fixture.client.subscribe({ from: "1.10" });
  const connection = await attached(subscription);
  connection.send([event(11), live("1.11"), event(12)]);
  const given: (number | string)[] = [];
  for await (const event of subscription) {
    given.push(...ids([event]));
    if (given.length === 3) break;
  }
  expect(given).toEqual([11, "live", 12]);
  await connection.receives(({ unsubscribe }) => unsubscribe?.sub === 1);
  expect(subscription.state).toBe("closed");
  expect(await subscription.next()).toEqual({ done: true, value: undefined });
});

it("has the position of what was delivered, not of what is queued", async () => {
  const subscription = fixture.client.subscribe({ from: "1.10" });
  const connection = await attached(subscription);
  const error = { code: "unknown-verb", message: "sent last, to know that all has arrived", retry: false };
  connection.send([event(11), event(12), mark("1.15"), { error }]);
  await waitFor(
    () => fixture.client.error,
    () => "not all has arrived",
  );
  await take(subscription, 1);
  expect(subscription.position).toBe("1.11");
  await take(subscription, 1);
  // Nothing that matches lies between the last event and the mark.
  expect(subscription.position).toBe("1.15");
});

it("pauses when its queue is full, and resumes without loss when half of it is consumed", async () => {
  const subscription = fixture.client.subscribe({ from: "1.10", queue: 4 });
  const connection = await attached(subscription);
  connection.send([1, 2, 3, 4, 5, 6].map((n) => event(10 + n)));
  await connection.receives(({ unsubscribe }) => unsubscribe?.sub === 1);
  expect(subscription.paused).toBe(true);
  expect(fixture.client.state).toBe("catching-up");
  // Sent before the server has received the unsubscribe.
  connection.send([event(17), mark("1.17")]);

  expect(ids(await take(subscription, 1))).toEqual([11]);
  expect(subscription.paused).toBe(true);
  expect(ids(await take(subscription, 1))).toEqual([12]);
  expect(subscription.paused).toBe(false);
  const again = await connection.request(2);
  expect(again.subscribe).toEqual({ from: "1.14" });
  connection.send({ id: again.id, ok: { sub: 2, pos: "1.14", resumed: true } });
  connection.send([15, 16, 17].map((id) => event(id, 2)));
  connection.send(live("1.17", 2));
  expect(ids(await take(subscription, 6))).toEqual([13, 14, 15, 16, 17, "live"]);
  expect(subscription.doubles).toBe(0);
});

it("is not resumed by a reconnect while its consumer is behind", async () => {
  const subscription = fixture.client.subscribe({ from: "1.10", queue: 2 });
  const first = await attached(subscription);
  first.send([event(11), event(12), event(13)]);
  await first.receives(({ unsubscribe }) => unsubscribe !== undefined);
  first.cut();
  const second = await fixture.server.connection(2);
  second.hello(IDLE_MS);
  await fixture.seen.becomes("catching-up");
  expect(second.messages).toEqual([]);
  expect(ids(await take(subscription, 2))).toEqual([11, 12]);
  expect((await second.request()).subscribe).toEqual({ from: "1.12" });
});

it("queues a snapshot in full, since it cannot be resumed within", async () => {
  const subscription = fixture.client.subscribe({ from: "latest", queue: 2 });
  const connection = await fixture.server.connection(1);
  await connection.attach(IDLE_MS, { id: 1, ok: { sub: 1 } }, [snap(1), snap(2), snap(3)], live("1.10"));
  await connection.receives(({ unsubscribe }) => unsubscribe?.sub === 1);
  expect(ids(await take(subscription, 4))).toEqual([1, 2, 3, "live"]);
  expect((await connection.request(2)).subscribe).toEqual({ from: "1.10" });
});

it("ends its loop when the client is closed", async () => {
  const subscription = fixture.client.subscribe();
  const end = subscription.next();
  fixture.client.close();
  expect(await end).toEqual({ done: true, value: undefined });
});

it("is not for a subscription with a handler", () => {
  const subscription = fixture.client.subscribe({}, () => {});
  expect(() => subscription[Symbol.asyncIterator]()).toThrow("handler");
});
