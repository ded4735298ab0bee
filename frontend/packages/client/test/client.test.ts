import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ClientEvents, type ClientState, RowcastClient, type Surroundings } from "./client";
import type { Gap, Reading } from "./protocol";
import { ScriptedServer, waitFor } from "./scripted";

const IDLE_MS = 15_000;

class Seen implements ClientEvents {
  readonly states: ClientState[] = [];
  readonly snapshot: number[] = [];
  readonly live: number[] = [];
  readonly doubles: number[] = [];
  readonly gaps: { gap: Gap; lastHeard: number | undefined }[] = [];
  readonly refusals: string[] = [];

  state(state: ClientState) {
    this.states.push(state);
  }
  reading({ id }: Reading, snapshot: boolean) {
    (snapshot ? this.snapshot : this.live).push(id);
  }
  double({ id }: Reading) {
    this.doubles.push(id);
  }
  gap(gap: Gap, lastHeard: number | undefined) {
    this.gaps.push({ gap, lastHeard });
  }
  refused(code: string) {
    this.refusals.push(code);
  }
}

let server: ScriptedServer;
let seen: Seen;
let client: RowcastClient;
/** How long each of the client's timers was to run. */
let timers: number[];

/** Real sockets and a real clock; chance is not left to chance, and what was waited for is written down. */
function surroundings(random = 0): Surroundings {
  return {
    connect: (url, protocol) => new WebSocket(url, protocol),
    now: Date.now,
    random: () => random,
    setTimer: (run, ms) => {
      timers.push(ms);
      return setTimeout(run, ms);
    },
    clearTimer: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
  };
}

function reading(id: number, sensor = "s-1"): Reading {
  return { id, sensor_id: sensor, value: id / 2, timestamp: "2026-07-01T10:00:00Z", metadata: {} };
}

const event = (id: number) => ({ sub: 1, pos: `1.${id}`, data: reading(id) });
const snap = (id: number) => ({ sub: 1, snap: true, data: reading(id, `s-${id}`) });
const live = (pos: string) => ({ sub: 1, live: { pos } });

const becomes = (state: ClientState) =>
  waitFor(
    () => seen.states.at(-1) === state,
    () => `states ${seen.states}`,
  );
const receives = (...ids: number[]) =>
  waitFor(
    () => JSON.stringify(seen.live) === JSON.stringify(ids),
    () => `readings ${seen.live}`,
  );

/** A client that is live at position 1.10. */
async function liveAtTen(idleMs = IDLE_MS) {
  client.start();
  const connection = await server.connection(1);
  await connection.attach(idleMs, { id: 1, ok: { sub: 1 } }, live("1.10"));
  await becomes("live");
  return connection;
}

beforeEach(async () => {
  server = await ScriptedServer.listen();
  seen = new Seen();
  timers = [];
  client = new RowcastClient(server.url, seen, surroundings());
});

afterEach(async () => {
  client.stop();
  await server.close();
});

describe("a first connection", () => {
  it("takes a snapshot and then goes live", async () => {
    client.start();
    const connection = await server.connection(1);
    const request = await connection.attach(IDLE_MS, { id: 1, ok: { sub: 1 } }, [snap(1), snap(2)]);
    await waitFor(
      () => seen.snapshot.length === 2,
      () => `snapshot ${seen.snapshot}`,
    );
    expect(request).toEqual({ id: 1, subscribe: { from: "latest" } });
    expect(connection.protocol).toBe("rowcast.v1");
    expect(seen.states).toEqual(["catching-up"]);
    expect(client.position).toBeUndefined();

    connection.send([live("1.10"), event(11)]);
    await receives(11);
    expect(seen.states).toEqual(["catching-up", "live"]);
    expect(client.position).toBe("1.11");
  });

  it("starts with a snapshot again when it was cut within one", async () => {
    client.start();
    const connection = await server.connection(1);
    await connection.attach(IDLE_MS, { id: 1, ok: { sub: 1 } }, snap(1));
    connection.cut();
    const request = await (await server.connection(2)).attach(IDLE_MS);
    expect(request.subscribe).toEqual({ from: "latest" });
  });

  it("lives through what it does not know", async () => {
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
    await receives(12);
    expect(seen.states.at(-1)).toBe("live");
  });
});

describe("after a cut", () => {
  it("resumes from the last position, whatever carried it", async () => {
    const first = await liveAtTen();
    first.send(event(11));
    first.send([{ sub: 1, mark: { pos: "1.15", n: 1 } }]);
    await waitFor(
      () => client.position === "1.15",
      () => `at ${client.position}`,
    );
    first.cut();
    await becomes("reconnecting");

    const second = await server.connection(2);
    const request = await second.attach(IDLE_MS, { id: 1, ok: { sub: 1, pos: "1.15", resumed: true } });
    expect(request.subscribe).toEqual({ from: "1.15" });
    second.send([event(16), event(17)]);
    await receives(11, 16, 17);
    expect(seen.states.at(-1)).toBe("catching-up");
    second.send(live("1.17"));
    await becomes("live");
  });

  it("drops an event that it had applied", async () => {
    const first = await liveAtTen();
    first.send([event(11), event(12)]);
    await receives(11, 12);
    first.cut();
    const second = await server.connection(2);
    await second.attach(IDLE_MS, { id: 1, ok: { sub: 1, pos: "1.12", resumed: true } }, [
      event(12),
      event(13),
      live("1.13"),
    ]);
    await receives(11, 12, 13);
    expect(seen.doubles).toEqual([12]);
  });

  it("reports a gap and goes on behind it", async () => {
    const before = Date.now();
    (await liveAtTen()).cut();
    const second = await server.connection(2);
    await second.attach(
      IDLE_MS,
      { sub: 1, gap: { from: "1.10", to: "1.20", reason: "retention" } },
      { id: 1, ok: { sub: 1, pos: "1.20", resumed: false } },
      [event(21), live("1.21")],
    );
    await receives(21);
    expect(seen.gaps).toHaveLength(1);
    expect(seen.gaps[0]?.gap).toEqual({ from: "1.10", to: "1.20", reason: "retention" });
    expect(seen.gaps[0]?.lastHeard).toBeGreaterThanOrEqual(before);
  });

  it("takes a snapshot when its position is not known there", async () => {
    (await liveAtTen()).cut();
    const second = await server.connection(2);
    const refusal = { code: "bad-position", message: "no such position", retry: false };
    await second.attach(IDLE_MS, { id: 1, error: refusal });
    const again = await second.hears(({ id }) => id === 2);
    expect(again.subscribe).toEqual({ from: "latest" });
    second.send([{ id: 2, ok: { sub: 1 } }, snap(3), live("2.5")]);
    await becomes("live");
    expect(client.position).toBe("2.5");
    expect(seen.refusals).toEqual([]);
  });

  it("takes a snapshot when it read too slowly", async () => {
    (await liveAtTen()).close(4408);
    const request = await (await server.connection(2)).attach(IDLE_MS);
    expect(request.subscribe).toEqual({ from: "latest" });
  });

  it.each([1000, 1001, 1012, 1013, 4429])("comes back after close code %i", async (code) => {
    (await liveAtTen()).close(code);
    await becomes("reconnecting");
    client.wake();
    const request = await (await server.connection(2)).attach(IDLE_MS);
    expect(request.subscribe).toEqual({ from: "1.10" });
  });

  it("waits as long as a goodbye asks for", async () => {
    const first = await liveAtTen();
    first.send({ bye: { code: 1012, reason: "drain", after_ms: 123, resume: true } });
    first.close(1012);
    await becomes("reconnecting");
    expect(timers.at(-1)).toBe(123);
    const request = await (await server.connection(2)).attach(IDLE_MS);
    expect(request.subscribe).toEqual({ from: "1.10" });
  });

  it("waits longer after each failure, and without end", async () => {
    const url = server.url;
    await server.close();
    client = new RowcastClient(url, seen, surroundings(0.02));
    client.start();
    const waits = () => timers.filter((ms) => ms <= 200);
    await waitFor(
      () => waits().length >= 9,
      () => `waited ${waits()}`,
    );
    expect(waits().slice(0, 9)).toEqual([5, 10, 20, 40, 80, 160, 200, 200, 200]);
    client.stop();
    server = await ScriptedServer.listen();
  });
});

describe("the watchdog", () => {
  it("gives up a socket that is silent for twice the idle time", async () => {
    await liveAtTen(40);
    await becomes("reconnecting");
    const request = await (await server.connection(2)).attach(IDLE_MS);
    expect(request.subscribe).toEqual({ from: "1.10" });
    expect(timers).toContain(80);
  });

  it("is kept quiet by marks", async () => {
    const connection = await liveAtTen(60);
    for (let n = 0; n < 10; n++) {
      await new Promise((resolve) => setTimeout(resolve, 30));
      connection.send({ sub: 1, mark: { pos: "1.10", n: 0 } });
    }
    expect(seen.states).toEqual(["catching-up", "live"]);
  });

  it("gives up a server that never says hello", async () => {
    client.start();
    await server.connection(1);
    expect(timers).toEqual([10_000]);
  });

  it("asks a live socket for a sign of life when the page wakes", async () => {
    const connection = await liveAtTen();
    client.wake();
    await connection.hears(({ ping }) => ping !== undefined);
    expect(timers.at(-1)).toBe(3_000);
    connection.send({ pong: {} });
    await waitFor(
      () => timers.at(-1) === 2 * IDLE_MS,
      () => `timers ${timers}`,
    );
  });
});

it("tries at once when it is woken while it waits", async () => {
  client = new RowcastClient(server.url, seen, surroundings(0.999));
  const first = await liveAtTen();
  first.send({ bye: { code: 1012, reason: "drain", after_ms: 60_000, resume: true } });
  first.close(1012);
  await becomes("reconnecting");
  client.wake();
  await server.connection(2);
});

it("backs off slowly when it is refused", async () => {
  client.start();
  const connection = await server.connection(1);
  await connection.attach(IDLE_MS, { id: 1, error: { code: "forbidden", message: "no", retry: false } });
  await becomes("reconnecting");
  expect(seen.refusals).toEqual(["forbidden"]);
  expect(timers.at(-1)).toBe(5_000);
});

it("stays away once it is stopped", async () => {
  const connection = await liveAtTen();
  client.stop();
  connection.send(event(11));
  client.wake();
  client.start();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(seen.states.at(-1)).toBe("closed");
  expect(seen.live).toEqual([]);
  expect(server.connections).toHaveLength(1);
});
