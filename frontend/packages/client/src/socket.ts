/** A WebSocket that carries many subscriptions. */

import type { Credential } from "./credential.ts";
import { parseFrame } from "./frame.ts";
import { type Carried, CUT, FORBIDDEN, type Link, type LinkEvents, UNAUTHENTICATED } from "./link.ts";
import type { Socket, Surroundings } from "./surroundings.ts";
import { ALIVE_WITHIN_MS, HELLO_WITHIN_MS, silenceMs, Watchdog } from "./watchdog.ts";
import { type ClientMessage, type ServerMessage, SUBPROTOCOL } from "./wire.ts";

export class SocketLink implements Link {
  #socket: Socket | undefined;
  #hasHello = false;
  #id = 0;
  /** The id of the `auth` that was not answered yet. */
  #authId: number | undefined;
  #isAuthenticated = false;
  #silenceMs = HELLO_WITHIN_MS;
  /** By the request's id; a subscription that was detached before the answer is absent. */
  readonly #pending = new Map<number, Carried | undefined>();
  /** By the server's number. */
  readonly #subs = new Map<number, Carried>();
  /** Gaps that came before the `ok` of their subscription. */
  readonly #earlyGaps = new Map<number, ServerMessage>();
  readonly #watchdog: Watchdog;
  readonly #url: string;
  readonly #events: LinkEvents;
  readonly #around: Surroundings;
  readonly #credential: Credential | undefined;

  constructor(url: string, events: LinkEvents, around: Surroundings, credential: Credential | undefined) {
    this.#url = url;
    this.#events = events;
    this.#around = around;
    this.#credential = credential;
    this.#watchdog = new Watchdog(around, () => this.#cut());
  }

  start(): void {
    let socket: Socket;
    try {
      socket = this.#around.socket(this.#url, SUBPROTOCOL);
    } catch {
      // A content security policy can forbid the address. The timer defers the close until `start` has returned.
      this.#watchdog.feed(0);
      return;
    }
    this.#socket = socket;
    if (this.#credential) {
      socket.onopen = () => {
        if (socket === this.#socket) this.renew();
      };
    }
    socket.onmessage = (event: { data: unknown }) => {
      if (socket === this.#socket) this.#onFrame(event.data);
    };
    socket.onclose = (event: { code: number }) => {
      if (socket === this.#socket) this.#end(event.code);
    };
    // An error is always followed by a close, which has the reason.
    socket.onerror = () => {};
    this.#watchdog.feed(HELLO_WITHIN_MS);
  }

  attach(carried: Carried): void {
    if (!this.#hasHello) return;
    this.#id += 1;
    this.#pending.set(this.#id, carried);
    this.#sendMessage({ id: this.#id, subscribe: carried.request() });
  }

  detach(carried: Carried): void {
    for (const [id, pending] of this.#pending) if (pending === carried) this.#pending.set(id, undefined);
    for (const [sub, own] of this.#subs) if (own === carried) this.#unsubscribe(sub);
  }

  /** Without a token it says anything else: a gateway that needs one then closes at once. */
  renew(): void {
    const token = this.#credential?.token;
    if (token === undefined) {
      this.#sendMessage({ ping: {} });
      return;
    }
    this.#id += 1;
    this.#authId = this.#id;
    this.#sendMessage({ id: this.#id, auth: { token } });
  }

  ping(): void {
    this.#sendMessage({ ping: {} });
    this.#watchdog.feed(ALIVE_WITHIN_MS);
  }

  send(text: string): boolean {
    this.#socket?.send(text);
    return this.#socket !== undefined;
  }

  close(): void {
    this.#release()?.close(1000);
  }

  #onFrame(frame: unknown): void {
    this.#watchdog.feed(this.#silenceMs);
    this.#events.active(this);
    for (const message of parseFrame(frame)) {
      this.#onMessage(message);
      if (!this.#socket) return;
    }
  }

  #onMessage(message: ServerMessage): void {
    const { id, sub, hello, ok, error, expires, bye } = message;
    if (hello) {
      this.#hasHello = true;
      this.#silenceMs = silenceMs(hello.idle_ms);
      this.#watchdog.feed(this.#silenceMs);
      this.#events.ready(this);
    } else if (bye) {
      this.#events.bye(this, bye);
    } else if (expires) {
      this.#events.expiring(this, expires.in_ms);
    } else if (id !== undefined && id === this.#authId) {
      this.#onAuthAnswer(message);
    } else if (id !== undefined && this.#pending.has(id)) {
      const carried = this.#pending.get(id);
      this.#pending.delete(id);
      if (ok) this.#onAttached(ok.sub, carried, message);
      else carried?.receive(message);
    } else if (error) {
      this.#events.refused(this, error);
    } else if (sub !== undefined) {
      const carried = this.#subs.get(sub);
      if (carried) carried.receive(message);
      else if (message.gap) this.#earlyGaps.set(sub, message);
    }
  }

  #onAuthAnswer({ auth, error }: ServerMessage): void {
    this.#authId = undefined;
    if (auth) {
      this.#isAuthenticated = true;
      if (auth.expires_in_ms !== undefined) this.#credential?.endsIn(auth.expires_in_ms);
    } else if (!error || error.code === "auth-not-asked") {
      // A gateway without authentication takes everybody.
    } else if (this.#isAuthenticated) {
      this.#events.notRenewed(this, error);
    } else {
      // The gateway would go on for a client without a token, which this one is not.
      this.#release()?.close(1000);
      this.#events.ended(this, error.code === "forbidden" ? FORBIDDEN : UNAUTHENTICATED);
    }
  }

  #onAttached(sub: number, carried: Carried | undefined, message: ServerMessage): void {
    const gap = this.#earlyGaps.get(sub);
    this.#earlyGaps.delete(sub);
    if (!carried) {
      this.#unsubscribe(sub);
      return;
    }
    this.#subs.set(sub, carried);
    if (gap) carried.receive(gap);
    carried.receive(message);
  }

  #unsubscribe(sub: number): void {
    this.#subs.delete(sub);
    this.#id += 1;
    this.#sendMessage({ id: this.#id, unsubscribe: { sub } });
  }

  #sendMessage(message: ClientMessage): void {
    this.send(JSON.stringify(message));
  }

  /** Does not wait for a close event: a dead link sends none. */
  #cut(): void {
    this.#release()?.close();
    this.#events.ended(this, CUT);
  }

  #end(code: number): void {
    this.#release();
    this.#events.ended(this, code);
  }

  #release(): Socket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#watchdog.stop();
    return socket;
  }
}
