/** What carries subscriptions to the gateway and back: a WebSocket, or streams of server-sent events. */

import type { Surroundings } from "./surroundings.ts";
import type { Bye, CommandError, ServerMessage, Subscribe } from "./wire.ts";

/** A subscription as a link sees it. */
export interface Carried {
  /** What to ask for at this moment: its filter, and where it stands. */
  request(): Subscribe;
  receive(message: ServerMessage): void;
}

export interface Link {
  /** Opens it; these are attached when it is ready, if not before. */
  start(carried: Iterable<Carried>): void;
  /** Asks for it once, unless the link first has to be ready. */
  attach(carried: Carried): void;
  detach(carried: Carried): void;
  /** Asks for a sign of life, and ends the link without one. */
  ping(): void;
  /** Passes text on as it stands; false where the link cannot. */
  send(text: string): boolean;
  /** Ends it from this side: nothing is reported any more. */
  close(): void;
}

/** What a link reports; the client knows by the link whether it still cares. */
export interface LinkEvents {
  /** The gateway has answered: subscriptions may be attached. */
  ready(link: Link): void;
  heard(link: Link): void;
  bye(link: Link, bye: Bye): void;
  /** A refusal that belongs to no subscription. */
  refused(link: Link, error: CommandError): void;
  ended(link: Link, code: number): void;
}

/** A close without a close frame, as browsers number it. */
export const CUT = 1006;
/** How long a link may take to open and say hello. */
export const HELLO_WITHIN_MS = 10_000;
/** How long a link that looks alive may take to give a sign of life after the machine woke up. */
export const SIGN_WITHIN_MS = 3_000;
/** What the protocol names as the usual `idle_ms`, where none is said. */
const DEFAULT_IDLE_MS = 15_000;

/** How long silence may last: twice the idle time, since a mark that is due may itself be late on a slow link. */
export function silenceMs(idleMs?: number): number {
  return 2 * (idleMs && idleMs > 0 ? idleMs : DEFAULT_IDLE_MS);
}

/** Bites when it has not been fed for as long as was last said. */
export class Watchdog {
  #timer: unknown;
  readonly #around: Surroundings;
  readonly #bite: () => void;

  constructor(around: Surroundings, bite: () => void) {
    this.#around = around;
    this.#bite = bite;
  }

  feed(ms: number): void {
    this.stop();
    this.#timer = this.#around.setTimer(this.#bite, ms);
  }

  stop(): void {
    this.#around.clearTimer(this.#timer);
  }
}
