/** A client on real sockets and a real clock; the test controls its random numbers and timers. */

import type { State, SubscriptionEvent, Surroundings } from "../src/index.ts";
import { here } from "../src/surroundings.ts";
import { waitFor } from "./scripted.ts";

export const IDLE_MS = 15_000;

/** The client's timers, with their durations. */
export class Timers {
  readonly all: number[] = [];
  /** These end at once, so that a test does not wait for them. */
  readonly short = new Set<number>();
  readonly #running = new Map<NodeJS.Timeout, { run: () => void; ms: number }>();

  start(run: () => void, ms: number): NodeJS.Timeout {
    this.all.push(ms);
    const timer = setTimeout(run, this.short.has(ms) ? 0 : ms);
    this.#running.set(timer, { run, ms });
    return timer;
  }

  clear(timer: NodeJS.Timeout | undefined): void {
    clearTimeout(timer);
    if (timer) this.#running.delete(timer);
  }

  /** Ends the timers of this duration. */
  end(ms: number): void {
    for (const [timer, running] of [...this.#running]) {
      if (running.ms !== ms) continue;
      this.clear(timer);
      running.run();
    }
  }
}

/** Fixed random numbers, and timers that are recorded. */
export function surroundings(timers: Timers, random = 0): Surroundings {
  return {
    ...here(),
    random: () => random,
    setTimer: (run, ms) => timers.start(run, ms),
    clearTimer: (timer) => timers.clear(timer as NodeJS.Timeout | undefined),
  };
}

/** What a subscription's handler received. */
export class Seen {
  readonly events: SubscriptionEvent[] = [];
  readonly states: State[] = [];

  readonly handler = (event: SubscriptionEvent) => {
    this.events.push(event);
  };

  /** Records every state of a client. */
  readonly watch = (client: { readonly state: State; watch(watcher: () => void): () => void }) =>
    client.watch(() => {
      if (this.states.at(-1) !== client.state) this.states.push(client.state);
    });

  ids(snapshot: boolean): number[] {
    return this.events.flatMap((event) =>
      event.type === "reading" && event.snapshot === snapshot ? [event.reading.id] : [],
    );
  }

  get live(): number[] {
    return this.ids(false);
  }

  get snapshot(): number[] {
    return this.ids(true);
  }

  of<T extends SubscriptionEvent["type"]>(type: T): Extract<SubscriptionEvent, { type: T }>[] {
    return this.events.filter((event) => event.type === type) as Extract<SubscriptionEvent, { type: T }>[];
  }

  async becomes(state: State): Promise<void> {
    await waitFor(
      () => this.states.at(-1) === state,
      () => `states ${this.states}`,
    );
  }

  async receives(...ids: number[]): Promise<void> {
    await waitFor(
      () => JSON.stringify(this.live) === JSON.stringify(ids),
      () => `readings ${this.live}`,
    );
  }
}

export function reading(id: number, sensor = "s-1") {
  const time = "2026-07-01T10:00:00.000000Z";
  const metadata = {};
  return {
    id,
    sensor_id: sensor,
    value: id / 2,
    timestamp: time,
    metadata,
    created_at: time,
    updated_at: time,
  };
}

export const event = (id: number, sub = 1) => ({ sub, pos: `1.${id}`, data: reading(id) });
export const snap = (id: number, sub = 1) => ({ sub, snap: true, data: reading(id, `s-${id}`) });
export const live = (pos: string, sub = 1) => ({ sub, live: { pos } });
export const mark = (pos: string, more = {}) => ({ sub: 1, mark: { pos, n: 0, ...more } });
