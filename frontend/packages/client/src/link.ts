/** What carries subscriptions to the gateway and back: a WebSocket, or streams of server-sent events. */

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
