/**
 * Clients without Rowcast's library: the npm package `ws`, and in a real browser an EventSource and a page
 * as the demo's users wrote it. With ROWCAST_TOKEN they say who they are: by a subprotocol, and by tickets. Driven like the page: a JSON command a line on stdin, one JSON answer a line on stdout.
 */

import { createInterface } from "node:readline";
import { WebSocket } from "ws";
import { launch } from "./browser.mjs";

const DEADLINE_MS = 20_000;
const POLL_MS = 10;

const gateway = process.env.ROWCAST_GATEWAY;
const token = process.env.ROWCAST_TOKEN;
const browser = await launch();
const page = await browser.newPage();
await page.goto(`http://${gateway}/`);

/** A page for the demo: its hook gives up after five tries of 3 s, and at once after a close with 1000. */
await page.evaluate(async (token) => {
  window.stock = { demo: [], events: [], opened: 0 };
  const ticket = async () => {
    if (!token) return "";
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch("/api/tickets", { method: "POST", headers });
    return `&ticket=${(await answer.json()).ticket}`;
  };
  let tries = 0;
  const connect = async () => {
    const socket = new WebSocket(`ws://${window.location.host}/ws/sensor-readings/?x=1${await ticket()}`);
    socket.onopen = () => {
      tries = 0;
      window.stock.opened += 1;
    };
    socket.onmessage = ({ data }) => window.stock.demo.push(JSON.parse(data).data.value);
    socket.onclose = ({ code }) => {
      if (code !== 1000 && tries < 5) {
        tries += 1;
        setTimeout(connect, 3_000);
      }
    };
  };
  await connect();
  const source = new EventSource(`/sse/sensors/?sensor=stock*${await ticket()}`);
  source.addEventListener("live", () => window.stock.events.push("live"));
  source.onmessage = ({ data }) => window.stock.events.push(JSON.parse(data).value);
}, token);

const received = { ws: [] };
const socket = new WebSocket(`ws://${gateway}/ws/sensors/`, [
  "rowcast.v1",
  ...(token ? [`bearer.${token}`] : []),
]);
socket.on("open", () => socket.send('{"id":1,"subscribe":{"sensors":["stock"]}}'));
socket.on("message", (frame) => {
  const messages = [JSON.parse(String(frame))].flat();
  for (const { ok, data } of messages) {
    if (ok) received.ws.push("ok");
    if (data) received.ws.push(data.value);
  }
});

async function all() {
  const { demo, events, opened } = await page.evaluate(() => window.stock);
  return { ...received, demo, events, opened };
}

/** Waits until what one of them has received ends like this. */
async function wait({ who, ends }) {
  const wanted = JSON.stringify(ends);
  let last;
  for (const deadline = Date.now() + DEADLINE_MS; Date.now() < deadline; ) {
    last = (await all())[who];
    const tail = Array.isArray(last) ? last.slice(-ends.length) : last;
    if (JSON.stringify(tail) === wanted) return { received: last };
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`${who} has ${JSON.stringify(last)}, not ${wanted}`);
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = { ok: true, ...(await wait(JSON.parse(line))) };
  } catch (error) {
    answer = { ok: false, error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
