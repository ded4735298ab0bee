/** Detects a link that has been silent for too long. */

import type { Surroundings } from "./surroundings.ts";

/** How long a link may take to open and say hello. */
export const HELLO_WITHIN_MS = 10_000;
/** How long a link may take to prove that it is alive after the machine woke up. */
export const ALIVE_WITHIN_MS = 3_000;
/** The protocol's default `idle_ms`, until `hello` states one. */
const DEFAULT_IDLE_MS = 15_000;

/** The longest silence: twice the idle time, since marks may be late on a slow link. */
export function silenceMs(idleMs?: number): number {
  return 2 * (idleMs && idleMs > 0 ? idleMs : DEFAULT_IDLE_MS);
}

/** Calls back when it has not been fed for the given time. */
export class Watchdog {
  #timer: unknown;
  readonly #around: Surroundings;
  readonly #expired: () => void;

  constructor(around: Surroundings, expired: () => void) {
    this.#around = around;
    this.#expired = expired;
  }

  feed(ms: number): void {
    this.stop();
    this.#timer = this.#around.setTimer(this.#expired, ms);
  }

  stop(): void {
    this.#around.clearTimer(this.#timer);
  }
}
