/** When to reconnect. */

import { CLOSE_CODES, type Next } from "./wire.ts";

const BASE_MS = 250;
const CAP_MS = 10_000;
/** With back-off the first bound is that of this attempt. */
const BACK_OFF_ATTEMPT = 2;

/** Full jitter: between zero and an exponential bound, so that many clients do not reconnect at once. */
export function backoffMs(attempt: number, random: () => number, cap = CAP_MS): number {
  return random() * Math.min(cap, BASE_MS * 2 ** Math.min(attempt, 16));
}

/** For closes that an early retry would not help: at least half the cap, at most the cap. */
export function slowMs(random: () => number, cap = CAP_MS): number {
  return (cap / 2) * (1 + random());
}

/** The table's action for a close code; an unknown one from 4400 to 4499 is the client's fault, as in HTTP. */
export function nextAfter(code: number): Next {
  return CLOSE_CODES[code]?.next ?? (code >= 4400 && code < 4500 ? "stop" : "resume");
}

/** After a refusal of a token: soon with the first new one, then slowly. */
export function refusedMs(refusals: number, random: () => number, cap?: number): number {
  return refusals === 1 ? backoffMs(0, random, cap) : slowMs(random, cap);
}

/** When a token that ends in this time is renewed: at a random time, so that many clients do not ask for theirs at once. */
export function renewMs(endsInMs: number, random: () => number): number {
  return (endsInMs / 4) * (1 + random());
}

/** How long to wait; the client always retries. */
export function waitMs(next: Next, attempt: number, random: () => number, cap?: number): number {
  if (next === "stop" || next === "authenticate") return slowMs(random, cap);
  return backoffMs(next === "back-off" ? attempt + BACK_OFF_ATTEMPT : attempt, random, cap);
}
