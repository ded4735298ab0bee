/** Follows all sensors over the v1 protocol and comes back, without a hole, whenever the socket ends. */

import {
  type Bye,
  type Gap,
  isReading,
  parseFrame,
  type Reading,
  type ServerMessage,
  SUBPROTOCOL,
} from "./protocol";
import { Recent } from "./recent";
import { backoffMs, ending, slowMs } from "./retry";

export type ClientState = "connecting" | "catching-up" | "live" | "reconnecting" | "closed";

/** What the client reports. Every call is made from a timer or a socket event, never from the constructor. */
export interface ClientEvents {
  state(state: ClientState): void;
  /** `snapshot`: the newest of its sensor as it was when the subscription began, not news. */
  reading(reading: Reading, snapshot: boolean): void;
  /** An event that had been applied before, and was dropped. */
  double(reading: Reading): void;
  /** Readings that cannot be had any more; `lastHeard` is when the server was last heard before the cut. */
  gap(gap: Gap, lastHeard: number | undefined): void;
  /** The server refused a request of ours. */
  refused(code: string, message: string): void;
}

/** The browser's `WebSocket`, as far as it is used here. */
export interface Socket {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string): void;
  close(code?: number): void;
}

export interface Surroundings {
  connect(url: string, protocol: string): Socket;
  /** Milliseconds since 1970. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  setTimer(run: () => void, ms: number): unknown;
  clearTimer(timer: unknown): void;
}

/** How long a socket may take to open and say hello. */
const HELLO_WITHIN_MS = 10_000;
/** What the protocol names as the usual `idle_ms`, for a hello that does not say. */
const DEFAULT_IDLE_MS = 15_000;
/** How long a socket that looks alive may take to answer a ping after the machine woke up. */
const PONG_WITHIN_MS = 3_000;
/** How long a socket must have been live for the back-off to begin anew. */
const STAY_MS = 5_000;
/** More events than a resume could repeat: a gateway sends at most a batch of them twice. */
const REMEMBERED_POSITIONS = 10_000;

export class RowcastClient {
  #state: ClientState = "connecting";
  #socket: Socket | undefined;
  #position: string | undefined;
  readonly #applied = new Recent<string>(REMEMBERED_POSITIONS);
  #attempt = 0;
  #requestId = 0;
  #bye: Bye | undefined;
  #slow = false;
  #silenceMs = HELLO_WITHIN_MS;
  #heardAt: number | undefined;
  #lostAt: number | undefined;
  #liveSince: number | undefined;
  #watchdog: unknown;
  #retry: unknown;

  readonly #url: string;
  readonly #events: ClientEvents;
  readonly #around: Surroundings;

  constructor(url: string, events: ClientEvents, around: Surroundings) {
    this.#url = url;
    this.#events = events;
    this.#around = around;
  }

  get state(): ClientState {
    return this.#state;
  }

  /** The last position seen: everything up to it has been delivered. */
  get position(): string | undefined {
    return this.#position;
  }

  start(): void {
    if (this.#socket || this.#retry !== undefined || this.#state === "closed") return;
    this.#connect();
  }

  /** Ends for good. */
  stop(): void {
    this.#clearTimers();
    const socket = this.#release();
    this.#enter("closed");
    socket?.close(1000);
  }

  /** The network or the page came back: try at once, or make sure that the socket still lives. */
  wake(): void {
    if (this.#retry !== undefined) {
      this.#around.clearTimer(this.#retry);
      this.#connect();
    } else if (this.#state === "live" || this.#state === "catching-up") {
      this.#socket?.send('{"ping":{}}');
      this.#watch(PONG_WITHIN_MS);
    }
  }

  #connect(): void {
    this.#retry = undefined;
    this.#bye = undefined;
    this.#slow = false;
    this.#requestId = 0;
    this.#silenceMs = HELLO_WITHIN_MS;
    let socket: Socket;
    try {
      socket = this.#around.connect(this.#url, SUBPROTOCOL);
    } catch {
      this.#comeBack(1006);
      return;
    }
    this.#socket = socket;
    socket.onmessage = (event: { data: unknown }) => {
      if (socket === this.#socket) this.#onFrame(event.data);
    };
    socket.onclose = (event: { code: number }) => {
      if (socket === this.#socket) this.#onEnd(event.code);
    };
    // An error is always followed by a close, which says the same and more.
    socket.onerror = () => {};
    this.#watch(HELLO_WITHIN_MS);
  }

  #onFrame(frame: unknown): void {
    this.#heardAt = this.#around.now();
    const socket = this.#socket;
    for (const message of parseFrame(frame)) {
      this.#onMessage(message);
      if (socket !== this.#socket) return;
    }
    this.#watch(this.#silenceMs);
  }

  #onMessage(message: ServerMessage): void {
    if (message.data !== undefined) this.#onEvent(message);
    else if (message.hello) this.#onHello(message.hello.idle_ms);
    else if (message.ok) this.#advance(message.ok.pos);
    else if (message.live) this.#onLive(message.live.pos);
    else if (message.mark) this.#advance(message.mark.pos);
    else if (message.gap) this.#onGap(message.gap);
    else if (message.error) this.#onError(message);
    else if (message.bye) this.#bye = message.bye;
  }

  #onHello(idleMs: number | undefined): void {
    // Twice: a mark that is due after idle_ms may itself be late on a slow link.
    this.#silenceMs = 2 * (idleMs && idleMs > 0 ? idleMs : DEFAULT_IDLE_MS);
    this.#subscribe();
  }

  #subscribe(): void {
    this.#enter("catching-up");
    this.#requestId += 1;
    const subscribe = { from: this.#position ?? "latest" };
    this.#socket?.send(JSON.stringify({ id: this.#requestId, subscribe }));
  }

  #onEvent(message: ServerMessage): void {
    const reading = message.data;
    if (!isReading(reading)) return;
    if (message.snap) {
      this.#events.reading(reading, true);
      return;
    }
    this.#advance(message.pos);
    if (message.pos !== undefined && !this.#applied.add(message.pos)) this.#events.double(reading);
    else this.#events.reading(reading, false);
  }

  #onLive(position: string | undefined): void {
    this.#advance(position);
    this.#lostAt = undefined;
    this.#liveSince = this.#around.now();
    this.#enter("live");
  }

  #onGap(gap: Gap): void {
    this.#advance(gap.to);
    this.#events.gap(gap, this.#lostAt);
  }

  #onError({ id, error }: ServerMessage): void {
    if (id !== this.#requestId) return;
    if (error?.code === "bad-position" && this.#position !== undefined) {
      this.#startOver();
      this.#subscribe();
      return;
    }
    this.#events.refused(error?.code ?? "unknown", error?.message ?? "");
    this.#slow = error?.retry !== true;
    this.#cut();
  }

  #onEnd(code: number): void {
    this.#release();
    this.#comeBack(code);
  }

  /** Ends the current socket from this side and comes back: no close event is waited for, a dead link sends none. */
  #cut(): void {
    const socket = this.#release();
    socket?.close();
    this.#comeBack(1006);
  }

  #release(): Socket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#around.clearTimer(this.#watchdog);
    return socket;
  }

  #comeBack(code: number): void {
    const next = ending(code);
    if (!next.resume || this.#bye?.resume === false) this.#startOver();
    this.#lostAt ??= this.#heardAt;
    // Only a stay counts as success: a server that lets us in and throws us out at once is not to be hammered.
    if (this.#liveSince !== undefined && this.#around.now() - this.#liveSince > STAY_MS) this.#attempt = 0;
    this.#liveSince = undefined;
    const wait = this.#waitMs(next.slow);
    this.#attempt += 1;
    this.#enter("reconnecting");
    this.#retry = this.#around.setTimer(() => this.#connect(), wait);
  }

  #waitMs(slow: boolean): number {
    const asked = this.#bye?.after_ms;
    if (typeof asked === "number" && asked >= 0) return asked;
    if (slow || this.#slow) return slowMs(this.#around.random);
    return backoffMs(this.#attempt, this.#around.random);
  }

  #startOver(): void {
    this.#position = undefined;
    this.#applied.clear();
  }

  #advance(position: string | undefined): void {
    if (position !== undefined) this.#position = position;
  }

  #watch(ms: number): void {
    this.#around.clearTimer(this.#watchdog);
    this.#watchdog = this.#around.setTimer(() => this.#cut(), ms);
  }

  #clearTimers(): void {
    this.#around.clearTimer(this.#watchdog);
    this.#around.clearTimer(this.#retry);
    this.#retry = undefined;
  }

  #enter(state: ClientState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#events.state(state);
  }
}
