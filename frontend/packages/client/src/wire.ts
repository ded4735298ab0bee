/** The messages between gateway and client. Written by `cargo xtask codegen` from crates/wire. */

/** The WebSocket subprotocol. */
export const SUBPROTOCOL = "rowcast.v1";

/** The body of `ok`. */
export interface Attached {
  /** Nothing that matches and comes after it will be missed; absent for a snapshot. */
  pos?: Position;
  /** For a resume: the log reaches back to where it started. */
  resumed?: boolean;
  /** The subscription's number on this connection. */
  sub: number;
}

/** The body of `auth`. */
export interface Auth {
  /** The token. */
  token: string;
}

/** The answer to `auth`. */
export interface Authenticated {
  /** When the token ends, in milliseconds from now; absent: never. */
  expires_in_ms?: number;
}

/** The body of `bye`. */
export interface Bye {
  /** When to reconnect, in milliseconds. */
  after_ms?: number;
  /** The close code that follows. */
  code: number;
  /** Its reason. */
  reason: string;
  /** Whether the last position is worth resuming from. */
  resume: boolean;
}

/** A client's message as its schema; [`Command`] is what reads and writes it. */
export interface ClientMessage {
  /** Authenticate, for the first time or again. */
  auth?: Auth;
  /** Returned in the answer. */
  id?: number;
  /** Answer with `pong`. */
  ping?: Empty;
  /** Start a subscription. */
  subscribe?: Subscribe;
  /** End a subscription. */
  unsubscribe?: Unsubscribe;
}

/** The body of `error`. */
export interface CommandError {
  /** In so many milliseconds it is admitted, if nothing else is until then; of `too-many-requests`. */
  after_ms?: number;
  /** A stable code. */
  code: string;
  /** A sentence for people. */
  message: string;
  /** Whether the same command may succeed later. */
  retry: boolean;
}

/** `{}` */
export type Empty = Record<string, never>;

/** The body of `expires`. */
export interface Expires {
  /** When the token ends, in milliseconds from now. A fresh one in `auth` goes on without a seam; without it, the connection is closed with 4401. */
  in_ms: number;
}

/** The body of `gap`: readings in (from, to] are no longer available. */
export interface Gap {
  /** Where the client was. */
  from: Position;
  /** The reason. */
  reason: GapReason;
  /** Where the subscription continues. */
  to: Position;
}

/** Why readings are not available. */
export type GapReason = "retention" | "epoch";

/** The body of `hello`. */
export interface Hello {
  /** The longest silence on a live subscription, in milliseconds. */
  idle_ms: number;
  /** The gateway's limits. */
  limits: Limits;
  /** The end of the log. */
  pos: Position;
  /** The connection's name in the gateway's logs. */
  session: string;
  /** The protocol's version. */
  v: number;
}

/** The limits in `hello`. An older gateway may not send all of them. */
export interface Limits {
  /** The most commands a second, in bursts of up to ten times as many. */
  commands_per_s: number;
  /** The most fragments of one message. */
  fragments: number;
  /** The largest message, in bytes. */
  message_bytes: number;
  /** The most patterns in one subscription. */
  patterns: number;
  /** The most subscriptions on one connection. */
  subscriptions: number;
}

/** The body of `live`. */
export interface Live {
  /** Live from here. */
  pos: Position;
}

/** The body of `mark`. */
export interface Mark {
  /** How many events the subscription has had since `ok`. */
  n: number;
  /** All that matches up to it has been sent. */
  pos: Position;
  /** The gateway has not received anything from the leader for some seconds: there may be later readings that it does not have. */
  stale?: boolean;
}

/** Which readings of its sensors a subscription gets. */
export type Mode = "all" | "latest";

/** The position of a reading in the log's order; opaque. It is safe to resume from any position that was received. */
export type Position = string;

/** A reading's JSON object, as clients read it and schemas describe it. */
export interface Reading {
  /** When the row was inserted. */
  created_at: string;
  /** From the table's sequence; unique. */
  id: number;
  /** Any JSON that the device sent; `{}` if it sent none, or if it is too large to be sent. */
  metadata: unknown;
  /** 1 to 100 characters, none of them a control character. */
  sensor_id: string;
  /** The device's time, or the time of the POST: RFC 3339, UTC, microseconds. */
  timestamp: string;
  /** `true` where the metadata is too large to be sent: more than 1 MiB of text. Absent otherwise. */
  truncated?: boolean;
  /** The same, unless a SQL writer sets it. */
  updated_at: string;
  /** Finite. */
  value: number;
}

/** One message of a server. Exactly one of its bodies is present; absent fields are not written. */
export interface ServerMessage {
  /** The answer to `auth`: the token is valid, and in force. */
  auth?: Authenticated;
  /** The server is about to close. */
  bye?: Bye;
  /** An event's reading. */
  data?: Reading;
  /** A command failed; the connection stays open. */
  error?: CommandError;
  /** The client's token ends soon. */
  expires?: Expires;
  /** Readings that are no longer available. */
  gap?: Gap;
  /** The first message of a v1 connection. */
  hello?: Hello;
  /** The `id` of the command that this answers. */
  id?: number;
  /** The end of a snapshot or replay. */
  live?: Live;
  /** The heartbeat. */
  mark?: Mark;
  /** In mode `latest`: how many older readings of the sensor were left out before this one. */
  merged?: number;
  /** A subscription is attached. */
  ok?: Attached;
  /** The answer to `ping`. */
  pong?: Empty;
  /** Safe to resume from: everything that matches up to it has been sent. */
  pos?: Position;
  /** The event is the newest reading of its sensor, from a snapshot. */
  snap?: boolean;
  /** The subscription it belongs to. */
  sub?: number;
  /** The W3C trace context of the request that brought the reading, where it had one and the subscription asks for it. */
  traceparent?: string;
}

/** Where a subscription starts. */
export type Start = "now" | "latest" | Position | { last: string };

/** The body of `subscribe`. */
export interface Subscribe {
  /** Where to start. */
  from: Start;
  /** In mode `latest`, the most events a second for each sensor; absent, as many as the connection takes. */
  max_rate?: number;
  /** Every reading, or the newest of each sensor. */
  mode?: Mode;
  /** Exact ids and `prefix*`; absent means all. */
  sensors?: string[];
  /** Whether events come with the trace context of their reading, where it has one. */
  trace?: boolean;
}

/** The body of `unsubscribe`. */
export interface Unsubscribe {
  /** The subscription's number. */
  sub: number;
}

/** What a client does after a close. */
export type Next = "resume" | "back-off" | "snapshot" | "authenticate" | "stop";

/** Why a socket ends, by its close code. */
export const CLOSE_CODES: Readonly<Record<number, { reason: string; next: Next }>> = {
  1000: { reason: "normal", next: "stop" },
  1001: { reason: "going-away", next: "resume" },
  1002: { reason: "protocol-error", next: "stop" },
  1003: { reason: "text-only", next: "stop" },
  1007: { reason: "not-utf8", next: "stop" },
  1008: { reason: "policy", next: "stop" },
  1009: { reason: "message-too-big", next: "stop" },
  1012: { reason: "drain", next: "resume" },
  1013: { reason: "overloaded", next: "back-off" },
  4400: { reason: "bad-message", next: "stop" },
  4401: { reason: "not-authenticated", next: "authenticate" },
  4403: { reason: "forbidden", next: "stop" },
  4408: { reason: "too-slow", next: "snapshot" },
  4409: { reason: "no-pong", next: "back-off" },
  4429: { reason: "too-many", next: "back-off" },
};
