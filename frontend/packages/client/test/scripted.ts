/** A real WebSocket server whose lines are written by the test. */

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type WebSocket as Peer, WebSocketServer } from "ws";

const DEADLINE_MS = 5_000;

export interface Said {
  id?: number;
  subscribe?: { from: string };
  ping?: object;
}

export class Connection {
  readonly said: Said[] = [];
  readonly #peer: Peer;

  constructor(peer: Peer) {
    this.#peer = peer;
    peer.on("message", (frame) => this.said.push(JSON.parse(String(frame))));
  }

  get protocol(): string {
    return this.#peer.protocol;
  }

  /** One frame; an array goes as an array. */
  send(message: unknown): void {
    this.#peer.send(JSON.stringify(message));
  }

  raw(frame: string): void {
    this.#peer.send(frame);
  }

  close(code: number): void {
    this.#peer.close(code);
  }

  /** As a cut wire: no close frame. */
  cut(): void {
    this.#peer.terminate();
  }

  async hears(what: (said: Said) => boolean): Promise<Said> {
    return waitFor(
      () => this.said.find(what),
      () => `the client said ${JSON.stringify(this.said)}`,
    );
  }

  /** Says hello and answers the first subscription, which is given back. */
  async attach(idleMs: number, ...answers: unknown[]): Promise<Said> {
    this.send({ hello: { v: 1, session: "s", pos: "1.99", idle_ms: idleMs, limits: {} } });
    const request = await this.hears((said) => said.subscribe !== undefined);
    for (const answer of answers) this.send(answer);
    return request;
  }
}

export class ScriptedServer {
  readonly connections: Connection[] = [];
  readonly #server: WebSocketServer;

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on("connection", (peer) => this.connections.push(new Connection(peer)));
  }

  static async listen(): Promise<ScriptedServer> {
    const server = new WebSocketServer({
      host: "127.0.0.1",
      port: 0,
      handleProtocols: (offered) => (offered.has("rowcast.v1") ? "rowcast.v1" : false),
    });
    await once(server, "listening");
    return new ScriptedServer(server);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/ws/sensors/`;
  }

  /** The nth connection, from 1. */
  async connection(nth: number): Promise<Connection> {
    return waitFor(
      () => this.connections[nth - 1],
      () => `${this.connections.length} connections`,
    );
  }

  async close(): Promise<void> {
    for (const peer of this.#server.clients) peer.terminate();
    this.#server.close();
    await once(this.#server, "close");
  }
}

export async function waitFor<T>(look: () => T | undefined | false, last: () => string): Promise<T> {
  const deadline = Date.now() + DEADLINE_MS;
  while (Date.now() < deadline) {
    const found = look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`waited in vain: ${last()}`);
}
