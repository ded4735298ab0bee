import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RowcastClient, type TokenSource } from "../src/index.ts";
import { ScriptedServer, waitFor } from "./scripted.ts";
import { event, IDLE_MS, live, reading, Seen, surroundings, Timers } from "./seen.ts";

/** The waits of a client whose random number is zero. */
const SLOW_MS = 5_000;
const EXPIRES_IN_MS = 60_000;
const RENEW_MS = 15_000;

let server: ScriptedServer;
let client: RowcastClient;
let seen: Seen;
let timers: Timers;

beforeEach(async () => {
  server = await ScriptedServer.listen();
  seen = new Seen();
  timers = new Timers();
});

afterEach(async () => {
  client.close();
  await server.close();
});

function start(token: TokenSource) {
  client = new RowcastClient({ url: server.url, token }, surroundings(timers));
  seen.watch(client);
  client.subscribe({ from: "1.10" }, seen.handler);
}

/** The nth token that the client presents on its nth connection. */
async function presented(connection: number, nth = 1) {
  const one = await server.connection(connection);
  return waitFor(
    () => one.messages.filter(({ auth }) => auth)[nth - 1],
    () => `the client sent ${JSON.stringify(one.messages)}`,
  );
}

/** A connection that is live with its token. */
async function liveAtTen(nth = 1) {
  const connection = await server.connection(nth);
  const { id } = await presented(nth);
  connection.hello(IDLE_MS);
  connection.send({ id, auth: { expires_in_ms: 600_000 } });
  const { id: subscribe } = await connection.request();
  connection.send([{ id: subscribe, ok: { sub: 1, pos: "1.10" } }, live("1.10")]);
  await seen.becomes("live");
  return connection;
}

/** A function that answers with these tokens, one after the other. */
const answers = (...tokens: (string | undefined)[]) =>
  vi.fn((_refusal: string | undefined) => Promise.resolve(tokens.shift()));

describe("a token", () => {
  it("is the first message of each connection", async () => {
    start("secret");
    const first = await liveAtTen();
    expect(first.messages.map((message) => Object.keys(message)[1])).toEqual(["auth", "subscribe"]);
    expect(first.messages[0]?.auth).toEqual({ token: "secret" });
    first.cut();
    await liveAtTen(2);
  });

  it("that a function gave is used until it ends or is refused", async () => {
    const token = answers("a", "b");
    start(token);
    (await liveAtTen()).cut();
    (await liveAtTen(2)).cut();
    expect((await presented(2)).auth).toEqual({ token: "a" });
    expect(token).toHaveBeenCalledTimes(1);
  });

  it("does no harm where nobody asks for it", async () => {
    start("secret");
    const connection = await server.connection(1);
    const { id } = await presented(1);
    connection.hello(IDLE_MS);
    connection.send({ id, error: { code: "auth-not-asked", message: "", retry: false } });
    const { id: subscribe } = await connection.request();
    connection.send([{ id: subscribe, ok: { sub: 1, pos: "1.10" } }, live("1.10")]);
    await seen.becomes("live");
    expect(client.error).toBeUndefined();
  });

  it("that is a text and is refused ends the attempts", async () => {
    start("wrong");
    await presented(1);
    server.connections[0]?.close(4401);
    await seen.becomes("unauthorized");
    expect(client.error?.code).toBe("not-authenticated");
    const waits = timers.all.length;
    client.wake();
    client.subscribe({}, seen.handler).close();
    expect([timers.all.length, server.connections.length]).toEqual([waits, 1]);
  });

  it("is refused also where the gateway would go on without one", async () => {
    start("wrong");
    const connection = await server.connection(1);
    const { id } = await presented(1);
    connection.hello(IDLE_MS);
    connection.send({ id, error: { code: "bad-token", message: "", retry: false } });
    await seen.becomes("unauthorized");
  });
});

describe("a function", () => {
  it("is asked for another token after a refusal, soon, and then slowly", async () => {
    const token = answers("a", "b", "c");
    start(token);
    for (const [nth, code] of [4401, 4403].entries()) {
      await presented(nth + 1);
      server.connections[nth]?.close(code);
      await waitFor(
        () => token.mock.calls.length === nth + 2,
        () => `${token.mock.calls.length} calls`,
      );
      expect(client.state).toBe("unauthorized");
    }
    expect(token.mock.calls).toEqual([[undefined], ["not-authenticated"], ["forbidden"]]);
    expect(timers.all.at(-1)).toBe(SLOW_MS);
    expect(server.connections).toHaveLength(2);
    timers.end(SLOW_MS);
    await liveAtTen(3);
    expect((await presented(3)).auth).toEqual({ token: "c" });
    expect(client.error).toBeUndefined();
  });

  it("may have none at first, and may take its time", async () => {
    let answer = (_token: string) => {};
    start((refusal) => (refusal ? new Promise((resolve) => (answer = resolve)) : undefined));
    const first = await server.connection(1);
    await first.receives(({ ping }) => ping !== undefined);
    first.close(4401);
    await seen.becomes("unauthorized");
    client.wake();
    answer("late");
    await liveAtTen(2);
    expect((await presented(2)).auth).toEqual({ token: "late" });
  });

  it("that fails is asked again, slowly", async () => {
    const token = vi.fn().mockRejectedValueOnce(new Error("no network")).mockResolvedValue("a");
    start(token);
    await waitFor(
      () => client.error,
      () => "no error",
    );
    expect(client.error).toEqual({ code: "no-token", message: "no token: no network", retry: true });
    expect(server.connections).toHaveLength(0);
    timers.end(SLOW_MS);
    await liveAtTen();
  });
});

describe("a token that ends soon", () => {
  it("is renewed on the same connection", async () => {
    start(answers("a", "b"));
    const connection = await liveAtTen();
    timers.short.add(RENEW_MS);
    connection.send([event(11), { expires: { in_ms: EXPIRES_IN_MS } }]);
    const { id, auth } = await presented(1, 2);
    expect(auth).toEqual({ token: "b" });
    connection.send([{ id, auth: { expires_in_ms: 600_000 } }, event(12)]);
    await seen.receives(11, 12);
    expect([client.state, server.connections.length]).toEqual(["live", 1]);
    expect(connection.messages.filter(({ subscribe }) => subscribe)).toHaveLength(1);
  });

  it("is not presented again", async () => {
    const token = answers("a", "a");
    start(token);
    const connection = await liveAtTen();
    timers.short.add(RENEW_MS);
    connection.send({ expires: { in_ms: EXPIRES_IN_MS } });
    await waitFor(
      () => token.mock.calls.length === 2,
      () => `${token.mock.calls.length} calls`,
    );
    client.send('{"ping":{}}');
    await connection.receives(({ ping }) => ping !== undefined);
    expect(connection.messages.filter(({ auth }) => auth)).toHaveLength(1);
  });

  it("stays when its successor is refused, and another one is asked for, soon, and then slowly", async () => {
    const token = answers("a", "b", "c", "d");
    start(token);
    const connection = await liveAtTen();
    timers.short.add(RENEW_MS);
    connection.send({ expires: { in_ms: EXPIRES_IN_MS } });
    const { id } = await presented(1, 2);
    connection.send({ id, error: { code: "bad-token", message: "no", retry: false } });
    const third = await presented(1, 3);
    expect(third.auth).toEqual({ token: "c" });
    connection.send({ id: third.id, error: { code: "bad-token", message: "no", retry: false } });
    await waitFor(
      () => client.error?.code === "bad-token",
      () => `error ${client.error?.code}`,
    );
    timers.end(SLOW_MS);
    expect((await presented(1, 4)).auth).toEqual({ token: "d" });
    expect(token.mock.calls.at(-1)).toEqual(["bad-token"]);
    expect([client.state, client.error]).toEqual(["live", undefined]);
  });
});

describe("where WebSockets are blocked", () => {
  beforeEach(() => {
    server.refuses = true;
  });

  it("is in the request's head, and renewed by another stream from the same position", async () => {
    start(answers("a", "b"));
    const stream = await server.stream(1);
    expect(stream.authorization).toBe("Bearer a");
    stream.open();
    stream.send({ name: "live", data: { pos: "1.10" } });
    stream.send({ id: "1.11", data: reading(11) });
    await seen.receives(11);
    timers.short.add(RENEW_MS);
    stream.send({ name: "expires", data: { in_ms: EXPIRES_IN_MS } });
    const next = await server.stream(2);
    expect([next.authorization, next.query.get("from")]).toEqual(["Bearer b", "1.11"]);
    next.open();
    next.send({ id: "1.12", data: reading(12) });
    await seen.receives(11, 12);
    expect(client.state).toBe("live");
  });

  it.each([401, 403])("is refused by %i, and the next one is tried on a stream", async (status) => {
    start(answers("a", "b"));
    (await server.stream(1)).refuse(status, { type: "about:blank" });
    await seen.becomes("unauthorized");
    const next = await server.stream(2);
    expect([next.authorization, server.refused]).toEqual(["Bearer b", 2]);
    next.open();
    next.send({ name: "live", data: { pos: "1.10" } });
    await seen.becomes("live");
  });
});
