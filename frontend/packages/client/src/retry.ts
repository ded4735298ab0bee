/** When to come back. */

import { CLOSE_CODES, type Next } from "./wire.ts";

const BASE_MS = 250;
const CAP_MS = 10_000;
/** Where the server asks for patience, the first bound is a second. */
const PATIENT_ATTEMPT = 2;

/** Full jitter: anywhere between nothing and an exponential bound, so that a crowd does not come back at once. */
export function backoffMs(attempt: number, random: () => number, cap = CAP_MS): number {
  return random() * Math.min(cap, BASE_MS * 2 ** Math.min(attempt, 16));
}

/** For endings that trying again soon would not cure: half the cap at least, the cap at most. */
export function slowMs(random: () => number, cap = CAP_MS): number {
  return (cap / 2) * (1 + random());
}

/** What the table says of a close code; an unknown one from 4400 to 4499 is the client's fault, as in HTTP. */
export function nextAfter(code: number): Next {
  return CLOSE_CODES[code]?.next ?? (code >= 4400 && code < 4500 ? "stop" : "resume");
}

/** How long to stay away; no ending is for ever. */
export function waitMs(next: Next, attempt: number, random: () => number, cap?: number): number {
  if (next === "stop" || next === "authenticate") return slowMs(random, cap);
  return backoffMs(next === "back-off" ? attempt + PATIENT_ATTEMPT : attempt, random, cap);
}
