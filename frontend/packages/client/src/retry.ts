const BASE_MS = 250;
const CAP_MS = 10_000;

/** Full jitter: anywhere between nothing and an exponential bound, so that a crowd does not come back at once. */
export function backoffMs(attempt: number, random: () => number): number {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(attempt, 16));
}

/** For endings that trying again soon would not cure: half the cap at least, the cap at most. */
export function slowMs(random: () => number): number {
  return CAP_MS / 2 + (random() * CAP_MS) / 2;
}

export interface Ending {
  /** Whether the last position is still worth asking for. */
  resume: boolean;
  slow: boolean;
}

const COME_BACK: Ending = { resume: true, slow: false };
const COME_BACK_SLOWLY: Ending = { resume: true, slow: true };

/** The protocol's close codes whose next step is not simply "come back and resume". */
const ENDINGS: Record<number, Ending> = {
  1002: COME_BACK_SLOWLY,
  1003: COME_BACK_SLOWLY,
  1007: COME_BACK_SLOWLY,
  1008: COME_BACK_SLOWLY,
  1009: COME_BACK_SLOWLY,
  1013: COME_BACK_SLOWLY,
  4400: COME_BACK_SLOWLY,
  4401: COME_BACK_SLOWLY,
  4403: COME_BACK_SLOWLY,
  4408: { resume: false, slow: false },
  4429: COME_BACK_SLOWLY,
};

export function ending(code: number): Ending {
  return ENDINGS[code] ?? COME_BACK;
}
