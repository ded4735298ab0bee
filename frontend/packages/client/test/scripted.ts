/** A real HTTP and WebSocket server whose messages are those of the test. */

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket as Peer, WebSocketServer } from "ws";
import type { ClientMessage } from "../src/wire.ts";

const DEADLINE_MS = 5_000;

export class Connection {
  readonly messages: ClientMessage[] = [];
  readonly #peer: Peer;

  constructor(peer: Peer) {
    this.#peer = peer;
    peer.on("message", (frame) => this.messages.push(JSON.parse(String(frame))));
  }

  get protocol(): string {
    return this.#peer.protocol;
  }

  /** One frame; an array is sent as one. */
  send(message: unknown): void {
    this.#peer.send(JSON.stringify(message));
  }

  raw(frame: string): void {
    this.#peer.send(frame);
  }

  close(code: number): void {
    this.#peer.close(code);
  }

  /** Like a lost connection: no close frame. */
  cut(): void {
    this.#peer.terminate();
  }

  async receives(what: (message: ClientMessage) => boolean): Promise<ClientMessage> {
    return waitFor(
      () => this.messages.find(what),
      () => `the client sent ${JSON.stringify(this.messages)}`,
    );
  }

  /** The nth request for a subscription, from 1. */
  async request(nth = 1): Promise<ClientMessage> {
    return waitFor(
      () => this.messages.filter(({ subscribe }) => subscribe)[nth - 1],
      () => `the client sent ${JSON.stringify(this.messages)}`,
    );
  }

  hello(idleMs: number): void {
    this.send({ hello: { v: 1, session: "s", pos: "1.99", idle_ms: idleMs, limits: {} } });
  }

  /** Sends `hello` and answers the first subscription; returns its request. */
  async attach(idleMs: number, ...answers: unknown[]): Promise<ClientMessage> {
    this.hello(idleMs);
    const request = await this.request();
    for (const answer of answers) this.send(answer);
    return request;
  }
}

/** A request for server-sent events. */
export class Stream {
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
  isOpen = true;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.query = new URL(request.url ?? "", "http://scripted").searchParams;
    this.authorization = request.headers.authorization;
    this.#response = response;
    response.on("close", () => {
      this.isOpen = false;
    });
  }

  open(): void {
    this.#response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
  }

  /** A named event, or a reading at a position. */
  send(event: { name?: string; id?: string; data: unknown }): void {
    const { name, id, data } = event;
    this.#response.write(
      `${name ? `event: ${name}\n` : ""}${id ? `id: ${id}\n` : ""}data: ${JSON.stringify(data)}\n\n`,
    );
  }

  end(): void {
    this.#response.end();
  }

  refuse(status: number, body: object): void {
    this.#response
      .writeHead(status, { "content-type": "application/problem+json" })
      .end(JSON.stringify(body));
  }
}

export class ScriptedServer {
  readonly connections: Connection[] = [];
  readonly streams: Stream[] = [];
  /** Upgrades that were refused. */
  refused = 0;
  /** Like a proxy that does not support upgrades. */
  refuses = false;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;

  private constructor(http: Server) {
    this.#http = http;
    this.#sockets = new WebSocketServer({
      noServer: true,
      handleProtocols: (offered) => (offered.has("rowcast.v1") ? "rowcast.v1" : false),
    });
    http.on("upgrade", (request, socket, head) => {
      if (this.refuses) {
        this.refused += 1;
        // The client may be gone before it has read the refusal.
        socket.on("error", () => {});
        socket.end("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n");
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (peer) =>
        this.connections.push(new Connection(peer)),
      );
    });
    http.on("request", (request, response) => this.streams.push(new Stream(request, response)));
  }

  static async listen(port = 0): Promise<ScriptedServer> {
    const http = createServer();
    http.listen(port, "127.0.0.1");
    await once(http, "listening");
    return new ScriptedServer(http);
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/ws/sensors/`;
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  /** The nth connection, from 1. */
  async connection(nth: number): Promise<Connection> {
    return waitFor(
      () => this.connections[nth - 1],
      () => `${this.connections.length} connections`,
    );
  }

  /** The nth stream, from 1. */
  async stream(nth: number): Promise<Stream> {
    return waitFor(
      () => this.streams[nth - 1],
      () => `${this.streams.length} streams`,
    );
  }

  async close(): Promise<void> {
    for (const peer of this.#sockets.clients) peer.terminate();
    this.#http.closeAllConnections();
    this.#http.close();
    await once(this.#http, "close");
  }
}

export async function waitFor<T>(condition: () => T | undefined | false, last: () => string): Promise<T> {
  const deadline = Date.now() + DEADLINE_MS;
  while (Date.now() < deadline) {
    const found = condition();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`timed out: ${last()}`);
}
