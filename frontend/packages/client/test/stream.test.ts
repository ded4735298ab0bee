import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RowcastClient, type SubscribeOptions, type Subscription } from "../src/index.ts";
import { ScriptedServer, waitFor } from "./scripted.ts";
import { IDLE_MS, live, reading, Seen, surroundings, Timers } from "./seen.ts";

let server: ScriptedServer;
let client: RowcastClient;
let seen: Seen;
let timers: Timers;
let subscription: Subscription;

beforeEach(async () => {
  server = await ScriptedServer.listen();
  server.refuses = true;
  seen = new Seen();
  timers = new Timers();
});

afterEach(async () => {
  client.close();
  await server.close();
});

function start(options: SubscribeOptions = { from: "latest" }, random = 0) {
  client = new RowcastClient({ url: server.url }, surroundings(timers, random));
  seen.watch(client);
  subscription = client.subscribe(options, seen.handler);
}

const reads = (id: number) => ({ id: `1.${id}`, data: reading(id) });

async function liveAtTen() {
  const stream = await server.stream(1);
  stream.open();
  stream.send({ data: reading(1) });
  stream.send({ name: "live", data: { pos: "1.10" } });
  await seen.becomes("live");
  return stream;
}

describe("where WebSockets are blocked", () => {
  it("uses server-sent events after two refusals", async () => {
    start({ from: "latest", sensors: ["a", "b*"], mode: "all" });
    const stream = await server.stream(1);
    expect(server.refused).toBe(2);
    expect(Object.fromEntries(stream.query)).toEqual({
      v: "1",
      sensor: "a,b*",
      from: "latest",
      mode: "all",
    });
    await liveAtTen();
    stream.send(reads(11));
    stream.send({ name: "mark", data: { pos: "1.15", n: 1, stale: true } });
    await waitFor(
      () => subscription.position === "1.15",
      () => `at ${subscription.position}`,
    );
    expect(seen.snapshot).toEqual([1]);
    expect(seen.live).toEqual([11]);
    expect(client.stale).toBe(true);
    expect(client.send("{}")).toBe(false);
    expect(seen.states).toEqual(["connecting", "catching-up", "live"]);
  });

  it("is not live before `live`, even when it starts now", async () => {
    start({});
    const stream = await server.stream(1);
    stream.open();
    await seen.becomes("catching-up");
    stream.send({ name: "mark", data: { pos: "1.9", n: 0 } });
    await waitFor(
      () => subscription.position === "1.9",
      () => `at ${subscription.position}`,
    );
    expect(client.state).toBe("catching-up");
    stream.send({ name: "live", data: { pos: "1.10" } });
    await seen.becomes("live");
  });

  it("keeps using streams after a disconnect, and resumes", async () => {
    start();
    const first = await liveAtTen();
    first.send(reads(11));
    await seen.receives(11);
    first.end();
    const second = await server.stream(2);
    expect(second.query.get("from")).toBe("1.11");
    expect(server.refused).toBe(2);
    second.open();
    second.send({ name: "gap", data: { from: "1.11", to: "1.20", reason: "retention" } });
    second.send(reads(11));
    second.send(reads(21));
    await seen.receives(11, 21);
    expect(subscription.doubles).toBe(1);
    expect(seen.of("gap")).toMatchObject([{ from: "1.11", to: "1.20", reason: "retention" }]);
  });

  it("waits as `bye` asks", async () => {
    start();
    const first = await liveAtTen();
    first.send({ name: "bye", data: { code: 1012, reason: "drain", after_ms: 123, resume: true } });
    first.end();
    await seen.becomes("reconnecting");
    expect(timers.all.at(-1)).toBe(123);
    expect((await server.stream(2)).query.get("from")).toBe("1.10");
  });

  it("closes a silent stream", async () => {
    start();
    timers.short.add(2 * IDLE_MS);
    (await server.stream(1)).open();
    expect((await server.stream(2)).query.get("from")).toBe("latest");
  });

  it("has a stream for each subscription, which ends with it", async () => {
    start();
    const first = await liveAtTen();
    const other = new Seen();
    const more = client.subscribe({ sensors: ["b"] }, other.handler);
    const second = await server.stream(2);
    expect(Object.fromEntries(second.query)).toEqual({ v: "1", sensor: "b", from: "now" });
    second.open();
    second.send(reads(11));
    await other.receives(11);
    expect(more.state).not.toBe("live");
    second.send({ name: "live", data: { pos: "1.11" } });
    await waitFor(
      () => more.state === "live",
      () => more.state,
    );
    more.close();
    await waitFor(
      () => !second.isOpen,
      () => "still open",
    );
    expect(first.isOpen).toBe(true);
    expect(seen.live).toEqual([]);
  });

  it("takes a snapshot when its position is refused", async () => {
    start({ from: "9.9" });
    (await server.stream(1)).refuse(400, { type: "urn:rowcast:problem:bad-position", detail: "no" });
    const second = await server.stream(2);
    expect(second.query.get("from")).toBe("latest");
    expect(seen.of("gap")).toMatchObject([{ from: "9.9", reason: "bad-position" }]);
  });

  it("reports why it was refused, and retries slowly", async () => {
    timers.short.add(5_000);
    start({ sensors: ["*x"] });
    (await server.stream(1)).refuse(400, { type: "urn:rowcast:problem:bad-pattern", detail: "no" });
    await server.stream(2);
    expect(client.error).toEqual({ code: "bad-pattern", message: "no", retry: false });
  });
});

it("requests nothing more when a watcher closes it as it becomes ready", async () => {
  start();
  const stream = await server.stream(1);
  client.watch(() => client.state === "catching-up" && client.close());
  stream.open();
  await waitFor(
    () => !stream.isOpen,
    () => "still open",
  );
  void fetch(`http://127.0.0.1:${server.port}/?next`).catch(() => {});
  expect(Object.fromEntries((await server.stream(2)).query)).toEqual({ next: "" });
});

it("alternates between both while neither works", async () => {
  start();
  (await server.stream(1)).refuse(503, {});
  (await server.stream(2)).refuse(404, {});
  await waitFor(
    () => server.refused >= 4,
    () => `${server.refused} refused`,
  );
  server.refuses = false;
  (await server.stream(3)).refuse(404, {});
  await (await server.connection(1)).attach(IDLE_MS, { id: 1, ok: { sub: 1 } }, live("1.10"));
  await seen.becomes("live");
  expect(new Set(seen.states)).toEqual(new Set(["connecting", "catching-up", "live"]));
});

it("returns to a WebSocket when one works, without loss or duplicates", async () => {
  start({ from: "latest" }, 0.1);
  const stream = await server.stream(1);
  stream.open();
  stream.send({ name: "live", data: { pos: "1.10" } });
  stream.send(reads(11));
  await seen.receives(11);
  timers.end(5_500);
  await waitFor(
    () => timers.all.includes(11_000),
    () => `timers ${timers.all}`,
  );
  expect(client.state).toBe("live");
  server.refuses = false;
  timers.end(11_000);
  const socket = await server.connection(1);
  const request = await socket.attach(IDLE_MS);
  expect(request.subscribe).toEqual({ from: "1.11" });
  socket.send([
    { id: 1, ok: { sub: 1, pos: "1.11", resumed: true } },
    { sub: 1, pos: "1.11", data: reading(11) },
  ]);
  socket.send([{ sub: 1, pos: "1.12", data: reading(12) }, live("1.12")]);
  await seen.receives(11, 12);
  await seen.becomes("live");
  await waitFor(
    () => server.streams.every((stream) => !stream.isOpen),
    () => "a stream is still open",
  );
});

it("never uses server-sent events when they are disabled", async () => {
  client = new RowcastClient({ url: server.url, streamUrl: false }, surroundings(timers));
  client.subscribe({}, seen.handler);
  await waitFor(
    () => server.refused >= 6,
    () => `${server.refused} refused`,
  );
  expect(server.streams).toEqual([]);
});
