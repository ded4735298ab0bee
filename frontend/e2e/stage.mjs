/**
 * A stand-in for the gateway, to see the built page without one: serves build/client and plays a v1 server.
 * Commands on stdin, one a line: `cut`, `drain`, `gap` (the next resume finds a gap), `stop` and `go` (readings),
 * `stale` and `fresh` (the state in the marks).
 * PORT, SENSORS and RATE (readings a second) are its settings.
 */

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";

const port = Number(process.env.PORT ?? 4173);
const sensors = Number(process.env.SENSORS ?? 12);
const rate = Number(process.env.RATE ?? 4);
const IDLE_MS = 2_000;
const TICK_MS = 20;
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const root = fileURLToPath(new URL("../build/client", import.meta.url));

const log = [];
let running = true;
let gapNext = false;
let stale = false;

const http = createServer(async (request, response) => {
  const path = normalize(new URL(request.url, "http://stage").pathname);
  const file = path === "/" ? "/index.html" : path;
  try {
    const body = await readFile(join(root, file));
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
});
const server = new WebSocketServer({
  server: http,
  path: "/ws/sensors/",
  handleProtocols: () => "rowcast.v1",
});

const event = (index) => ({ sub: 1, pos: `1.${index + 1}`, data: log[index] });
const head = () => `1.${log.length}`;

server.on("connection", (socket) => {
  const send = (message) => socket.send(JSON.stringify(message));
  send({ hello: { v: 1, session: "stage", pos: head(), idle_ms: IDLE_MS, limits: {} } });
  socket.on("message", (frame) => {
    const { id, subscribe, ping } = JSON.parse(frame);
    if (ping) send({ pong: {} });
    if (!subscribe) return;
    if (subscribe.from === "latest") {
      const newest = new Map(log.map((reading) => [reading.sensor_id, reading]));
      send({ id, ok: { sub: 1 } });
      send([...newest.values()].map((data) => ({ sub: 1, snap: true, data })));
    } else {
      let from = Number(subscribe.from.split(".")[1]);
      if (gapNext) send({ sub: 1, gap: { from: subscribe.from, to: head(), reason: "retention" } });
      if (gapNext) from = log.length;
      gapNext = false;
      send({ id, ok: { sub: 1, pos: `1.${from}`, resumed: true } });
      send(log.slice(from).map((_, index) => event(from + index)));
    }
    send({ sub: 1, live: { pos: head() } });
    socket.live = true;
  });
});

function everyone(message) {
  for (const socket of server.clients) if (socket.live) socket.send(JSON.stringify(message));
}

function read() {
  const id = log.length + 1;
  const now = new Date().toISOString();
  const value = Math.round((20 + 5 * Math.sin(id / 9)) * 100) / 100;
  const metadata = id % 3 ? { unit: "°C", room: "hall", battery: 0.93 } : {};
  const sensor = `sensor-${1 + Math.floor(Math.random() * sensors)}`;
  log.push({ id, sensor_id: sensor, value, timestamp: now, metadata, created_at: now, updated_at: now });
  everyone(event(log.length - 1));
}

let due = 0;
setInterval(() => {
  if (running) for (due += (rate * TICK_MS) / 1_000; due >= 1; due--) read();
}, TICK_MS);
const mark = () => everyone({ sub: 1, mark: { pos: head(), n: log.length, ...(stale && { stale }) } });
setInterval(mark, IDLE_MS);

const commands = {
  cut: () => server.clients.forEach((socket) => void socket.terminate()),
  drain: () => {
    everyone({ bye: { code: 1012, reason: "drain", after_ms: 1_500, resume: true } });
    for (const socket of server.clients) socket.close(1012);
  },
  gap: () => {
    gapNext = true;
  },
  stop: () => {
    running = false;
  },
  go: () => {
    running = true;
  },
  stale: () => {
    stale = true;
    mark();
  },
  fresh: () => {
    stale = false;
    mark();
  },
};
createInterface({ input: process.stdin }).on("line", (line) => commands[line.trim()]?.());
http.listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/`));
