import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RowcastClient, type Subscription } from "../src/index.ts";
import { ScriptedServer, waitFor } from "./scripted.ts";
import { event, IDLE_MS, live, mark, Seen, snap, surroundings, Timers } from "./seen.ts";

let server: ScriptedServer;
let seen: Seen;
let client: RowcastClient;
let subscription: Subscription;
let timers: Timers;

function start(random = 0) {
  client = new RowcastClient({ url: server.url, streamUrl: false }, surroundings(timers, random));
  seen.watch(client);
  subscription = client.subscribe({ from: "latest" }, seen.handler);
}

/** A client that is live at position 1.10. */
async function liveAtTen(idleMs = IDLE_MS) {
  const connection = await server.connection(1);
  await connection.attach(idleMs, { id: 1, ok: { sub: 1 } }, live("1.10"));
  await seen.becomes("live");
  return connection;
}

beforeEach(async () => {
  server = await ScriptedServer.listen();
  seen = new Seen();
  timers = new Timers();
});

afterEach(async () => {
  client.close();
  await server.close();
});

describe("a first connection", () => {
  it("takes a snapshot and is then live", async () => {
    start();
    const connection = await server.connection(1);
    const request = await connection.attach(IDLE_MS, { id: 1, ok: { sub: 1 } }, [snap(1), snap(2)]);
    await waitFor(
      () => seen.snapshot.length === 2,
      () => `snapshot ${seen.snapshot}`,
    );
    expect(request).toEqual({ id: 1, subscribe: { from: "latest" } });
    expect(connection.protocol).toBe("rowcast.v1");
    expect(seen.states).toEqual(["connecting", "catching-up"]);
    expect(subscription.position).toBeUndefined();

    connection.send([live("1.10"), event(11)]);
    await seen.receives(11);
    expect(seen.states).toEqual(["connecting", "catching-up", "live"]);
    expect(subscription.position).toBe("1.11");
  });

  it("takes the snapshot again after a disconnect within one", async () => {
    start();
    const connection = await server.connection(1);
    await connection.attach(IDLE_MS, { id: 1, ok: { sub: 1 } }, snap(1));
    connection.cut();
    const request = await (await server.connection(2)).attach(IDLE_MS);
    expect(request.subscribe).toEqual({ from: "latest" });
  });

  it("is live with the answer when it starts now, since there is nothing to catch up with", async () => {
    start();
    subscription.close();
    client.subscribe({ sensors: ["a", "b*"], maxRate: 5, mode: "latest" }, seen.handler);
    const connection = await server.connection(1);
    const request = await connection.attach(IDLE_MS, { id: 1, ok: { sub: 7, pos: "1.5" } });
    await seen.becomes("live");
    expect(request.subscribe).toEqual({ sensors: ["a", "b*"], from: "now", mode: "latest", max_rate: 5 });
    expect(seen.events).toEqual([{ type: "live" }]);
  });

  it("ignores unknown messages", async () => {
    start();
    const connection = await liveAtTen();
    connection.raw("not JSON");
    connection.send([
      null,
      7,
      { sub: 1, news: {} },
      { pong: {} },
      { sub: 1, pos: "1.11", data: { id: "x" } },
    ]);
    connection.send({ ...event(12), flavour: "new" });
    await seen.receives(12);
    expect(seen.states.at(-1)).toBe("live");
  });
});

describe("after a disconnect", () => {
  it("resumes from the last position of any message", async () => {
    start();
    const first = await liveAtTen();
    first.send(event(11));
    first.send([mark("1.15")]);
    await waitFor(
      () => subscription.position === "1.15",
      () => `at ${subscription.position}`,
    );
    first.cut();
    await seen.becomes("reconnecting");

    const second = await server.connection(2);
    const request = await second.attach(IDLE_MS, { id: 1, ok: { sub: 1, pos: "1.15", resumed: true } });
    expect(request.subscribe).toEqual({ from: "1.15" });
    second.send([event(16), event(17)]);
    await seen.receives(11, 16, 17);
    expect(seen.states.at(-1)).toBe("catching-up");
    second.send(live("1.17"));
    await seen.becomes("live");
  });

  it("drops an event that it had applied", async () => {
    start();
    const first = await liveAtTen();
    first.send([event(11), event(12)]);
    await seen.receives(11, 12);
    first.cut();
    const second = await server.connection(2);
    await second.attach(IDLE_MS, { id: 1, ok: { sub: 1, pos: "1.12", resumed: true } }, [
      event(12),
      event(13),
      live("1.13"),
    ]);
    await seen.receives(11, 12, 13);
    expect(subscription.doubles).toBe(1);
  });

  it("reports a gap and continues after it", async () => {
    start();
    const before = Date.now();
    (await liveAtTen()).cut();
    const second = await server.connection(2);
    await second.attach(
      IDLE_MS,
      { sub: 1, gap: { from: "1.10", to: "1.20", reason: "retention" } },
      { id: 1, ok: { sub: 1, pos: "1.20", resumed: false } },
      [event(21), live("1.21")],
    );
    await seen.receives(21);
    const [gap, ...more] = seen.of("gap");
    expect(more).toEqual([]);
    expect(gap).toMatchObject({ from: "1.10", to: "1.20", reason: "retention" });
    expect(gap?.lastHeard).toBeGreaterThanOrEqual(before);
  });

  it("reports a gap and takes a snapshot when its position is unknown", async () => {
    start();
    (await liveAtTen()).cut();
    const second = await server.connection(2);
    const refusal = { code: "bad-position", message: "no such position", retry: false };
    await second.attach(IDLE_MS, { id: 1, error: refusal });
    const again = await second.request(2);
    expect(again).toEqual({ id: 2, subscribe: { from: "latest" } });
    second.send([{ id: 2, ok: { sub: 1 } }, snap(3), live("2.5")]);
    await seen.becomes("live");
    expect(subscription.position).toBe("2.5");
    expect(seen.of("gap")).toMatchObject([{ from: "1.10", to: undefined, reason: "bad-position" }]);
    expect(seen.of("error")).toEqual([]);
  });

  it("waits as long as `bye` asks for", async () => {
    start();
    const first = await liveAtTen();
    first.send({ bye: { code: 1012, reason: "drain", after_ms: 123, resume: true } });
    first.close(1012);
    await seen.becomes("reconnecting");
    expect(timers.all.at(-1)).toBe(123);
    const request = await (await server.connection(2)).attach(IDLE_MS);
    expect(request.subscribe).toEqual({ from: "1.10" });
  });

  it("waits longer after each failure, and never gives up", async () => {
    const port = server.port;
    await server.close();
    client = new RowcastClient(
      { url: `ws://127.0.0.1:${port}/`, streamUrl: false },
      surroundings(timers, 0.02),
    );
    seen.watch(client);
    client.subscribe();
    const waits = () => timers.all.filter((ms) => ms <= 200);
    await waitFor(
      () => waits().length >= 9,
      () => `waited ${waits()}`,
    );
    expect(waits().slice(0, 9)).toEqual([5, 10, 20, 40, 80, 160, 200, 200, 200]);
    expect(seen.states).toEqual(["connecting"]);
    server = await ScriptedServer.listen(port);
    await (await server.connection(1)).attach(IDLE_MS, { id: 1, ok: { sub: 1, pos: "1.1" } });
    await seen.becomes("live");
  });
});

describe("the watchdog", () => {
  it("closes a socket that is silent for twice the idle time", async () => {
    start();
    await liveAtTen(40);
    await seen.becomes("reconnecting");
    const request = await (await server.connection(2)).attach(IDLE_MS);
    expect(request.subscribe).toEqual({ from: "1.10" });
    expect(timers.all).toContain(80);
  });

  it("is reset by every frame", async () => {
    start();
    const connection = await liveAtTen();
    const fed = () => timers.all.filter((ms) => ms === 2 * IDLE_MS).length;
    const before = fed();
    connection.send(mark("1.10"));
    await waitFor(
      () => fed() === before + 1,
      () => `timers ${timers.all}`,
    );
  });

  it("closes a socket without `hello`", async () => {
    timers.short.add(10_000);
    start();
    await server.connection(2);
  });

  it("pings a live socket when the page wakes", async () => {
    start();
    const connection = await liveAtTen();
    client.wake();
    await connection.receives(({ ping }) => ping !== undefined);
    expect(timers.all.at(-1)).toBe(3_000);
    connection.send({ pong: {} });
    await waitFor(
      () => timers.all.at(-1) === 2 * IDLE_MS,
      () => `timers ${timers.all}`,
    );
  });

  it("closes a socket that does not answer the ping", async () => {
    start();
    await liveAtTen();
    timers.short.add(3_000);
    client.wake();
    await server.connection(2);
  });
});

it("reconnects at once when it is woken while it waits", async () => {
  start(0.999);
  const first = await liveAtTen();
  first.send({ bye: { code: 1012, reason: "drain", after_ms: 60_000, resume: true } });
  first.close(1012);
  await seen.becomes("reconnecting");
  client.wake();
  await server.connection(2);
});

describe("a stale gateway", () => {
  it("is stale until a mark resets it; readings do not", async () => {
    start();
    const connection = await liveAtTen();
    connection.send(mark("1.10", { stale: true }));
    connection.send(event(11));
    await seen.receives(11);
    expect(client.stale).toBe(true);
    expect(client.state).toBe("live");
    connection.send(mark("1.11"));
    await waitFor(
      () => !client.stale,
      () => "still stale",
    );
  });

  it("is stale across a reconnect, until the first mark", async () => {
    start();
    const first = await liveAtTen();
    first.send(mark("1.10", { stale: true }));
    await waitFor(
      () => client.stale,
      () => "not stale",
    );
    first.cut();
    const second = await server.connection(2);
    await second.attach(IDLE_MS, { id: 1, ok: { sub: 1, pos: "1.10" } }, live("1.10"));
    await seen.becomes("live");
    expect(client.stale).toBe(true);
    second.send(mark("1.10"));
    await waitFor(
      () => !client.stale,
      () => "still stale",
    );
  });
});

it("retries a refused subscription slowly, reports why, and does not affect the others", async () => {
  timers.short.add(5_000);
  start();
  const other = new Seen();
  client.subscribe({ sensors: ["secret"] }, other.handler);
  const connection = await server.connection(1);
  connection.hello(IDLE_MS);
  await connection.request(2);
  const error = { code: "bad-pattern", message: "no", retry: false };
  connection.send([{ id: 1, ok: { sub: 1 } }, live("1.10"), { id: 2, error }, event(11)]);
  await seen.receives(11);
  expect(client.error).toEqual(error);
  expect(other.events).toEqual([{ type: "error", error }]);
  const again = await connection.request(3);
  connection.send({ id: again.id, ok: { sub: 2, pos: "1.11" } });
  await seen.becomes("live");
  expect(client.error).toBeUndefined();
});

it("reports a refusal that belongs to no subscription", async () => {
  start();
  const connection = await liveAtTen();
  expect(client.send('{"publish":{}}')).toBe(true);
  await connection.receives((message) => "publish" in message);
  const error = { code: "unknown-verb", message: "no", retry: false };
  connection.send({ error });
  await waitFor(
    () => client.error,
    () => "no error",
  );
  expect(client.error).toEqual(error);
});

it("does not reconnect once it is closed", async () => {
  start();
  const connection = await liveAtTen();
  client.close();
  connection.send(event(11));
  client.wake();
  expect(client.subscribe().state).toBe("closed");
  await waitFor(
    () => connection.messages.length >= 2,
    () => "no unsubscribe",
  );
  expect(seen.states.at(-1)).toBe("closed");
  expect(subscription.state).toBe("closed");
  expect(seen.live).toEqual([]);
  expect(server.connections).toHaveLength(1);
});

it("disconnects after the last subscription, and reconnects for the next", async () => {
  timers.short.add(1_000);
  start();
  await liveAtTen();
  subscription.close();
  await seen.becomes("idle");
  client.subscribe({}, seen.handler);
  await (await server.connection(2)).attach(IDLE_MS, { id: 1, ok: { sub: 1, pos: "1.12" } });
  await seen.becomes("live");
});

it("delivers the rest of a frame when a handler throws, and keeps its state when a watcher does", async () => {
  start();
  const thrown: unknown[] = [];
  const note = (error: unknown) => thrown.push(error);
  const before = process.rawListeners("uncaughtException");
  process.removeAllListeners("uncaughtException").on("uncaughtException", note);
  const unwatch = client.watch(() => {
    throw new Error("the application's");
  });
  let first = true;
  client.subscribe({}, (event) => {
    seen.handler(event);
    if (first) {
      first = false;
      throw new Error("the application's");
    }
  });
  const connection = await server.connection(1);
  connection.hello(IDLE_MS);
  await connection.request(2);
  connection.send([{ id: 2, ok: { sub: 2, pos: "1.1" } }, event(2, 2), event(3, 2)]);
  await seen.receives(2, 3);
  unwatch();
  await waitFor(
    () => thrown.length > 1,
    () => "nothing was thrown",
  );
  process.off("uncaughtException", note);
  for (const listener of before) process.on("uncaughtException", listener as (error: Error) => void);
});
