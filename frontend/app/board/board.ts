/** What the page knows: the newest reading of each sensor, the counters, and who must be told at the next frame. */

import type { ClientEvents, ClientState } from "../live/client";
import type { Gap, Reading } from "../live/protocol";
import { Recent } from "../live/recent";

export interface Row {
  reading: Reading;
  /** From a snapshot: it was there before we were. */
  snapshot: boolean;
  /** By the page's clock. */
  arrivedAt: number;
}

export interface Notice {
  key: number;
  reason: string;
  /** Between these local times; `from` is absent where the cut was not seen. */
  from: number | undefined;
  to: number;
}

export interface Counters {
  /** Distinct events; a snapshot's are not counted. */
  received: number;
  /** Events whose reading this page had already. */
  duplicates: number;
  gaps: number;
}

export interface Head {
  state: ClientState;
  latest: Row | undefined;
  counters: Counters;
  notices: readonly Notice[];
  refusal: string | undefined;
}

/** Enough to tell a double at any rate the page can show; bounded, since a page may stay open for months. */
const REMEMBERED_IDS = 50_000;
const LOGGED_IDS = 10_000;
const SHOWN_NOTICES = 3;

export class Board implements ClientEvents {
  /** Ids of the events' readings in the order of arrival, the last 10,000: the end-to-end test reads them. */
  readonly ids: number[] = [];
  readonly #rows = new Map<string, Row>();
  readonly #seen = new Recent<number>(REMEMBERED_IDS);
  #sensors: readonly string[] = [];
  #next: Head;
  #head: Head;

  readonly #changed = new Set<string>();
  #sensorsChanged = false;
  #scheduled = false;
  readonly #headListeners = new Set<() => void>();
  readonly #sensorsListeners = new Set<() => void>();
  readonly #rowListeners = new Map<string, Set<() => void>>();

  readonly #now: () => number;
  readonly #schedule: (flush: () => void) => void;

  constructor(now: () => number, schedule: (flush: () => void) => void) {
    this.#now = now;
    this.#schedule = schedule;
    this.#head = {
      state: "connecting",
      latest: undefined,
      counters: { received: 0, duplicates: 0, gaps: 0 },
      notices: [],
      refusal: undefined,
    };
    this.#next = this.#head;
  }

  state(state: ClientState): void {
    this.#update(state === "live" ? { state, refusal: undefined } : { state });
  }

  reading(reading: Reading, snapshot: boolean): void {
    const isNew = this.#seen.add(reading.id);
    if (!snapshot && !isNew) {
      this.double(reading);
      return;
    }
    const row = { reading, snapshot, arrivedAt: this.#now() };
    this.#place(row);
    if (snapshot) {
      this.#update(isNewer(row, this.#next.latest) ? { latest: row } : {});
      return;
    }
    this.#log(reading.id);
    const { counters } = this.#next;
    this.#update({ latest: row, counters: { ...counters, received: counters.received + 1 } });
  }

  double(_reading: Reading): void {
    const { counters } = this.#next;
    this.#update({ counters: { ...counters, duplicates: counters.duplicates + 1 } });
  }

  gap(gap: Gap, lastHeard: number | undefined): void {
    const { counters, notices } = this.#next;
    const gaps = counters.gaps + 1;
    const notice = { key: gaps, reason: gap.reason ?? "unknown", from: lastHeard, to: this.#now() };
    this.#update({
      counters: { ...counters, gaps },
      notices: [...notices, notice].slice(-SHOWN_NOTICES),
    });
  }

  refused(code: string, message: string): void {
    this.#update({ refusal: message || code });
  }

  dismiss(notice: Notice): void {
    this.#update({ notices: this.#next.notices.filter(({ key }) => key !== notice.key) });
  }

  // Arrow functions: React is given them as they stand.

  readonly head = (): Head => this.#head;

  readonly sensors = (): readonly string[] => this.#sensors;

  row(sensor: string): Row | undefined {
    return this.#rows.get(sensor);
  }

  readonly onHead = (listener: () => void): (() => void) => {
    this.#headListeners.add(listener);
    return () => this.#headListeners.delete(listener);
  };

  readonly onSensors = (listener: () => void): (() => void) => {
    this.#sensorsListeners.add(listener);
    return () => this.#sensorsListeners.delete(listener);
  };

  onRow(sensor: string, listener: () => void): () => void {
    const listeners = this.#rowListeners.get(sensor) ?? new Set();
    this.#rowListeners.set(sensor, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  #place(row: Row): void {
    const sensor = row.reading.sensor_id;
    if (!this.#rows.has(sensor)) this.#sensorsChanged = true;
    this.#rows.set(sensor, row);
    this.#changed.add(sensor);
  }

  #log(id: number): void {
    this.ids.push(id);
    // In place, and seldom: whoever holds the array keeps seeing it.
    if (this.ids.length >= 2 * LOGGED_IDS) this.ids.splice(0, this.ids.length - LOGGED_IDS);
  }

  #update(part: Partial<Head>): void {
    this.#next = { ...this.#next, ...part };
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => this.#flush());
  }

  /** Tells the listeners of what changed, and only them, once however many events came since the last frame. */
  #flush(): void {
    this.#scheduled = false;
    this.#head = this.#next;
    const changed = [...this.#changed];
    this.#changed.clear();
    if (this.#sensorsChanged) {
      this.#sensorsChanged = false;
      this.#sensors = [...this.#rows.keys()].sort(inNaturalOrder);
      for (const listener of this.#sensorsListeners) listener();
    }
    for (const sensor of changed) {
      for (const listener of this.#rowListeners.get(sensor) ?? []) listener();
    }
    for (const listener of this.#headListeners) listener();
  }
}

const { compare: inNaturalOrder } = new Intl.Collator("en", { numeric: true });

function isNewer(row: Row, latest: Row | undefined): boolean {
  return latest === undefined || Date.parse(row.reading.timestamp) >= Date.parse(latest.reading.timestamp);
}
