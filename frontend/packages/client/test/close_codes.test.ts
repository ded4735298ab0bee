import { afterEach, beforeEach, expect, it } from "vitest";
import { CLOSE_CODES, RowcastClient } from "../src/index.ts";
import { ScriptedServer } from "./scripted.ts";
import { event, IDLE_MS, live, Seen, surroundings, Timers } from "./seen.ts";

/** The random number of the longest wait. */
const ALMOST_ONE = 0.999_999;
const UNKNOWN_CODE = 3_999;
const UNKNOWN_FAULT = 4_499;

interface Row {
  code: number;
  from: string;
  waits: number;
  gaps: number;
  reported: boolean;
}

const RESUME = { from: "1.11", waits: 250, gaps: 0, reported: false };
const BACK_OFF = { from: "1.11", waits: 1_000, gaps: 0, reported: false };
const SNAPSHOT = { from: "latest", waits: 250, gaps: 1, reported: false };
const STOP = { from: "1.11", waits: 10_000, gaps: 0, reported: true };

const ROWS: Row[] = [
  { code: 1000, ...STOP },
  { code: 1001, ...RESUME },
  { code: 1002, ...STOP },
  { code: 1003, ...STOP },
  { code: 1007, ...STOP },
  { code: 1008, ...STOP },
  { code: 1009, ...STOP },
  { code: 1012, ...RESUME },
  { code: 1013, ...BACK_OFF },
  { code: 4400, ...STOP },
  { code: 4401, ...STOP },
  { code: 4403, ...STOP },
  { code: 4408, ...SNAPSHOT },
  { code: 4409, ...BACK_OFF },
  { code: 4429, ...BACK_OFF },
  { code: UNKNOWN_CODE, ...RESUME },
  { code: UNKNOWN_FAULT, ...STOP },
];

let server: ScriptedServer;
let client: RowcastClient | undefined;

beforeEach(async () => {
  server = await ScriptedServer.listen();
});

afterEach(async () => {
  client?.close();
  client = undefined;
  await server.close();
});

it("has a row for each code of the table", () => {
  const codes = ROWS.map(({ code }) => code).filter((code) => code < UNKNOWN_CODE || code in CLOSE_CODES);
  expect(codes).toEqual(Object.keys(CLOSE_CODES).map(Number));
});

it.each(ROWS)(
  "after $code waits up to $waits ms and resumes from $from",
  async ({ code, from, waits, gaps, reported }) => {
    const timers = new Timers();
    const seen = new Seen();
    client = new RowcastClient({ url: server.url }, surroundings(timers, ALMOST_ONE));
    seen.watch(client);
    client.subscribe({ from: "latest" }, seen.handler);
    const first = await server.connection(1);
    await first.attach(IDLE_MS, { id: 1, ok: { sub: 1 } }, live("1.10"), event(11));
    await seen.receives(11);

    first.close(code);
    await seen.becomes("reconnecting");
    expect(timers.all.at(-1)).toBeCloseTo(waits, 1);
    expect(client.error !== undefined).toBe(reported);
    expect(client.error?.code).toBe(reported ? (CLOSE_CODES[code]?.reason ?? String(code)) : undefined);

    client.wake();
    const request = await (await server.connection(2)).attach(IDLE_MS);
    expect(request.subscribe?.from).toBe(from);
    expect(seen.of("gap")).toHaveLength(gaps);
  },
);
