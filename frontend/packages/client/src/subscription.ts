/** One subscription: its position, its events, and the queue for a slow consumer. */

import { callApplication } from "./application.ts";
import { isReading } from "./frame.ts";
import type { Carried } from "./link.ts";
import { Recent } from "./recent.ts";
import type { CommandError, Mode, Reading, ServerMessage, Start, Subscribe } from "./wire.ts";

export type State =
  | "idle"
  | "connecting"
  | "catching-up"
  | "live"
  | "reconnecting"
  | "unauthorized"
  | "closed";

export interface SubscribeOptions {
  /** Exact ids and `prefix*`; absent means all. */
  sensors?: readonly string[] | undefined;
  /** Where to start; `"now"` if absent. */
  from?: Start | undefined;
  /** Every reading (`"all"`), or the newest of each sensor. */
  mode?: Mode | undefined;
  /** In mode `latest`, the most events a second for each sensor. */
  maxRate?: number | undefined;
  /** Whether readings come with the trace context of the request that stored them. */
  trace?: boolean | undefined;
  /** How many events are queued for the iterator before the subscription pauses; 1,000 if absent. */
  queue?: number | undefined;
}

export interface ReadingEvent {
  type: "reading";
  reading: Reading;
  /** From the snapshot at the start of the subscription, not a new reading. */
  snapshot: boolean;
  /** In mode `latest`: how many older readings were left out before this one. */
  merged: number;
  /** The W3C trace context of the request that stored it, if the subscription asks for it and there was one. */
  traceparent?: string | undefined;
}

export interface GapEvent {
  type: "gap";
  /** Readings in (`from`, `to`] are no longer available; without `to`, a snapshot follows. */
  from: string | undefined;
  to: string | undefined;
  /** `retention` and `epoch` are the server's; `too-slow` and `bad-position` are the client's. */
  reason: string;
  /** When the gateway was last active before the disconnect, in milliseconds since 1970. */
  lastHeard: number | undefined;
}

export type SubscriptionEvent =
  | ReadingEvent
  | GapEvent
  /** The end of a snapshot or a replay. */
  | { type: "live" }
  /** The server refused the subscription; it is retried later. */
  | { type: "error"; error: CommandError };

/** What a subscription needs of its client. */
export interface Owner {
  /** When the gateway was last active before the current disconnect. */
  lostAt(): number | undefined;
  /** A mark reports whether readings may be late. */
  marked(stale: boolean): void;
  attach(subscription: Subscription): void;
  detach(subscription: Subscription): void;
  /** Subscribes again, soon or later. */
  attachLater(subscription: Subscription, error: CommandError): void;
  drop(subscription: Subscription): void;
  /** Its state or counters have changed. */
  changed(): void;
}

interface Queued {
  event: SubscriptionEvent;
  position: string | undefined;
}

type Result = IteratorResult<SubscriptionEvent, undefined>;

/** More events than a resume can repeat: a gateway sends at most one batch twice. */
const REMEMBERED = 10_000;
const QUEUE = 1_000;
const DONE: Result = { done: true, value: undefined };

export class Subscription implements AsyncIterableIterator<SubscriptionEvent, undefined>, Carried {
  #state: State = "connecting";
  #from: Start;
  /** Everything that matches up to it has been received. */
  #received: string | undefined;
  /** Everything that matches up to it has been delivered to the application. */
  #delivered: string | undefined;
  #doubles = 0;
  #paused = false;
  readonly #applied = new Recent<string>(REMEMBERED);
  readonly #queue: Queued[] = [];
  readonly #waiting: ((result: Result) => void)[] = [];
  readonly #options: SubscribeOptions;
  readonly #handler: ((event: SubscriptionEvent) => void) | undefined;
  readonly #owner: Owner;

  constructor(owner: Owner, options: SubscribeOptions, handler?: (event: SubscriptionEvent) => void) {
    this.#owner = owner;
    this.#options = options;
    this.#handler = handler;
    this.#from = options.from ?? "now";
  }

  get state(): State {
    return this.#state;
  }

  /** Safe to resume from: everything that matches up to it has been delivered to the application. */
  get position(): string | undefined {
    return this.#delivered;
  }

  /** The number of duplicate events, which were dropped. */
  get doubles(): number {
    return this.#doubles;
  }

  /** Whether it is paused until its consumer catches up. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Ends it; queued events are dropped. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#queue.length = 0;
    for (const take of this.#waiting.splice(0)) take(DONE);
    this.#owner.drop(this);
  }

  [Symbol.asyncIterator](): this {
    if (this.#handler) throw new Error("a subscription with a handler cannot be iterated");
    return this;
  }

  next(): Promise<Result> {
    if (this.#state === "closed") return Promise.resolve(DONE);
    const queued = this.#queue.shift();
    if (!queued) {
      this.#delivered = this.#received;
      return new Promise((take) => this.#waiting.push(take));
    }
    this.#delivered = queued.position;
    if (this.#paused && this.#queue.length <= this.#limit / 2) {
      this.#paused = false;
      this.#owner.attach(this);
    }
    return Promise.resolve({ value: queued.event });
  }

  /** `break` out of a loop ends the subscription. */
  return(): Promise<Result> {
    this.close();
    return Promise.resolve(DONE);
  }

  request(): Subscribe {
    const { sensors, mode, maxRate, trace } = this.#options;
    return {
      ...(sensors && { sensors: [...sensors] }),
      from: this.#received ?? this.#from,
      ...(mode && { mode }),
      ...(maxRate !== undefined && { max_rate: maxRate }),
      ...(trace && { trace }),
    };
  }

  receive(message: ServerMessage): void {
    if (this.#paused || this.#state === "closed") return;
    const { ok, live, mark, gap, error } = message;
    if (message.data !== undefined) this.#onData(message);
    else if (ok) this.#onAttached(ok.pos);
    else if (live) this.#onLive(live.pos);
    else if (gap) this.#onGap(gap.reason, gap.from, gap.to);
    else if (error) this.#onError(error);
    else if (mark) {
      this.#covered(mark.pos);
      this.#owner.marked(mark.stale === true);
    }
  }

  /** The link was lost, or there is none yet. */
  enter(state: State): void {
    if (this.#state === state || this.#state === "closed") return;
    this.#state = state;
    this.#owner.changed();
  }

  /** Its position is invalid: reports a gap, and takes a snapshot. */
  startOver(reason: string): void {
    if (this.#state === "closed") return;
    const { from } = this.request();
    const isPosition = typeof from === "string" && from !== "now" && from !== "latest";
    this.#received = undefined;
    this.#from = "latest";
    this.#applied.clear();
    if (isPosition) this.#onGap(reason, from, undefined);
  }

  #onAttached(position: string | undefined): void {
    const nothingToCatchUp = this.#received === undefined && this.#from === "now";
    this.enter("catching-up");
    this.#covered(position);
    if (nothingToCatchUp) this.#onLive(position);
  }

  #onLive(position: string | undefined): void {
    this.#covered(position);
    // A gateway repeats `live` when a connection that fell behind has caught up; that is not an event.
    if (this.#state === "live") return;
    this.enter("live");
    this.#deliver({ type: "live" });
  }

  #onGap(reason: string, from: string | undefined, to: string | undefined): void {
    if (to !== undefined) this.#received = to;
    this.#deliver({ type: "gap", from, to, reason, lastHeard: this.#owner.lostAt() });
  }

  #onError(error: CommandError): void {
    if (error.code === "bad-position" && this.request().from !== "latest") {
      this.startOver(error.code);
      this.#owner.attach(this);
      return;
    }
    this.enter("reconnecting");
    this.#deliver({ type: "error", error });
    this.#owner.attachLater(this, error);
  }

  #onData({ data, snap, pos, merged, traceparent }: ServerMessage): void {
    if (!isReading(data)) return;
    // Events of mode `latest` have no position: their readings are identified by id.
    const isNew = snap || this.#applied.add(pos ?? `#${data.id}`);
    if (pos !== undefined) this.#received = pos;
    if (isNew) {
      const event: ReadingEvent = {
        type: "reading",
        reading: data,
        snapshot: snap === true,
        merged: merged ?? 0,
      };
      this.#deliver(traceparent === undefined ? event : { ...event, traceparent });
    } else {
      this.#doubles += 1;
      this.#owner.changed();
    }
  }

  /** Nothing that matches is between the last event and this position. */
  #covered(position: string | undefined): void {
    if (position === undefined) return;
    this.#received = position;
    const last = this.#queue.at(-1);
    // A consumer that has taken the last queued event has everything up to here.
    if (last) last.position = position;
    else this.#delivered = position;
  }

  #deliver(event: SubscriptionEvent): void {
    const handler = this.#handler;
    if (handler) {
      this.#delivered = this.#received;
      callApplication(() => handler(event));
      return;
    }
    const take = this.#waiting.shift();
    if (take) {
      this.#delivered = this.#received;
      take({ value: event });
      return;
    }
    this.#queue.push({ event, position: this.#received });
    // A snapshot has no positions to resume from: it is queued in full, one reading of each sensor.
    if (this.#queue.length >= this.#limit && this.#received !== undefined) this.#pause();
  }

  #pause(): void {
    this.#paused = true;
    this.enter("catching-up");
    this.#owner.detach(this);
  }

  get #limit(): number {
    return this.#options.queue ?? QUEUE;
  }
}
