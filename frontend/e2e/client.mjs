/**
 * The client library in Node, driven by another process like the page: a JSON command a line on stdin, one JSON answer
 * a line on stdout. It is the library's source that runs: Node strips the types.
 */

import { createInterface } from "node:readline";
import { RowcastClient } from "../packages/client/src/index.ts";

const DEFAULT_TIMEOUT_MS = 10_000;
const POLL_MS = 5;

let client;
/** Those that the client has had. */
const states = new Set();
const subscriptions = new Map();

async function waitFor(condition, last, { timeout_ms: timeout = DEFAULT_TIMEOUT_MS }) {
  for (const deadline = Date.now() + timeout; Date.now() < deadline; ) {
    if (condition()) return {};
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`timed out: ${last()}`);
}

const ids = (events) => events.filter(({ type }) => type === "reading").map(({ reading }) => reading.id);

const commands = {
  /** `addresses` are the client's options; its function answers with each of `tokens`, and then with the last. */
  open({ addresses, tokens }) {
    const token = tokens && (() => (tokens.length > 1 ? tokens.shift() : tokens[0]));
    client = new RowcastClient({ ...addresses, token });
    client.watch(() => states.add(client.state));
    return {};
  },

  /** With a handler that notes every event, or to be iterated with `take`. */
  subscribe({ name, options = {}, iterated = false }) {
    const events = [];
    const note = iterated ? undefined : (event) => events.push(event);
    subscriptions.set(name, { events, subscription: client.subscribe(options, note) });
    return {};
  },

  unsubscribe({ name }) {
    subscriptions.get(name).subscription.close();
    return {};
  },

  states: () => ({ states: [...states] }),

  wait_state: ({ state, ...what }) =>
    waitFor(
      () => client.state === state,
      () => `the client is ${client.state}, not ${state}`,
      what,
    ),

  wait_paused({ name, ...what }) {
    const { subscription } = subscriptions.get(name);
    return waitFor(
      () => subscription.paused,
      () => `it is ${subscription.state}`,
      what,
    );
  },

  wait_ids({ name, ids: wanted, ...what }) {
    const { events } = subscriptions.get(name);
    const missing = () => {
      const had = new Set(ids(events));
      return wanted.filter((id) => !had.has(id));
    };
    return waitFor(
      () => missing().length === 0,
      () => `${missing().length} of ${wanted.length} are missing, the first: ${missing().slice(0, 10)}`,
      what,
    );
  },

  /** New readings: those delivered, and those left out before them. */
  wait_count({ name, count, ...what }) {
    const { events } = subscriptions.get(name);
    const news = () =>
      events.reduce((sum, { type, snapshot, merged }) => {
        return type === "reading" && !snapshot ? sum + 1 + merged : sum;
      }, 0);
    return waitFor(
      () => news() === count,
      () => `${news()} of ${count} came`,
      what,
    );
  },

  wait_event({ name, type, ...what }) {
    const { events } = subscriptions.get(name);
    return waitFor(
      () => events.some((event) => event.type === type),
      () => `it received ${events.map((event) => event.type)}`,
      what,
    );
  },

  wait_stale: ({ stale, ...what }) =>
    waitFor(
      () => client.stale === stale,
      () => `stale is ${client.stale}`,
      what,
    ),

  async take({ name, count, ...what }) {
    const { subscription } = subscriptions.get(name);
    const taken = [];
    const iterate = async () => {
      while (ids(taken).length < count) taken.push((await subscription.next()).value);
    };
    void iterate();
    await waitFor(
      () => ids(taken).length === count,
      () => `${ids(taken).length} of ${count} came`,
      what,
    );
    return { ids: ids(taken) };
  },

  received({ name }) {
    const { events, subscription } = subscriptions.get(name);
    const { position, doubles, state } = subscription;
    return { ids: ids(events), events, position: position ?? null, doubles, state };
  },
};

async function answer(line) {
  const { cmd, ...what } = JSON.parse(line);
  if (!Object.hasOwn(commands, cmd)) throw new Error(`no command ${JSON.stringify(cmd)}`);
  return commands[cmd](what);
}

for await (const line of createInterface({ input: process.stdin })) {
  const result = await answer(line).then(
    (answer) => ({ ok: true, ...answer }),
    (error) => ({ ok: false, error: String(error) }),
  );
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
process.exit(0);
