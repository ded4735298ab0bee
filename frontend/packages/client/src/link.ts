/** The transport of subscriptions: a WebSocket, or streams of server-sent events. */

import type { Bye, CommandError, ServerMessage, Subscribe } from "./wire.ts";

/** A subscription as a link sees it. */
export interface Carried {
  /** The request to send now: its filter and its position. */
  request(): Subscribe;
  receive(message: ServerMessage): void;
}

export interface Link {
  /** Opens it; these subscriptions are attached when it is ready, or before. */
  start(carried: Iterable<Carried>): void;
  /** Subscribes at once, or when the link is ready. */
  attach(carried: Carried): void;
  detach(carried: Carried): void;
  /** Presents the credential's new token, while the one before is in force. */
  renew(): void;
  /** Checks that the peer is alive, and ends the link if it is not. */
  ping(): void;
  /** Sends text unchanged; false if the link cannot. */
  send(text: string): boolean;
  /** Ends it from this side; nothing is reported afterwards. */
  close(): void;
}

/** What a link reports; the client ignores reports of a link that it has replaced. */
export interface LinkEvents {
  /** The gateway has answered: subscriptions may be attached. */
  ready(link: Link): void;
  /** Data has arrived. */
  active(link: Link): void;
  bye(link: Link, bye: Bye): void;
  /** An error that belongs to no subscription. */
  refused(link: Link, error: CommandError): void;
  /** The token ends soon. */
  expiring(link: Link, inMs: number): void;
  /** A token was refused; the one before stays in force. */
  notRenewed(link: Link, error: CommandError): void;
  ended(link: Link, code: number): void;
}

/** The code of browsers for a close without a close frame. */
export const CUT = 1006;
/** The table's codes for a client that says who it is wrongly, or may not read. */
export const UNAUTHENTICATED = 4401;
export const FORBIDDEN = 4403;
