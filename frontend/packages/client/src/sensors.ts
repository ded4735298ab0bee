/** The newest reading of each sensor, and the listeners to notify at the next frame. */

import type { RowcastClient } from "./client.ts";
import type { State, SubscribeOptions, SubscriptionEvent } from "./subscription.ts";
import type { CommandError, Reading } from "./wire.ts";

export interface SensorReading {
  reading: Reading;
  /** From a snapshot: it existed before the subscription. */
  snapshot: boolean;
  /** When it arrived here, in milliseconds since 1970. */
  arrivedAt: number;
}

export interface MissedReadings {
  /** Its number, from 1. */
  key: number;
  reason: string;
  /** Between these local times; `from` is absent if the disconnect was not observed. */
  from: number | undefined;
  to: number;
}

export interface SensorsView {
  state: State;
  /** The gateway reported that readings may be late. */
  stale: boolean;
  error: CommandError | undefined;
  /** In their natural order. */
  ids: readonly string[];
  /** By sensor; the map is the same one throughout. */
  readings: ReadonlyMap<string, SensorReading>;
  latest: SensorReading | undefined;
  /** Distinct events; a snapshot's are not counted. */
  received: number;
  /** Duplicate events, which were dropped. */
  doubles: number;
  gaps: number;
  /** The last few gaps. */
  missed: readonly MissedReadings[];
}

const KEPT_GAPS = 3;

export class Sensors {
  readonly #rows = new Map<string, SensorReading>();
  #next: SensorsView;
  #view: SensorsView;
  readonly #changed = new Set<string>();
  #idsChanged = false;
  #scheduled = false;
  readonly #listeners = new Set<() => void>();
  readonly #rowListeners = new Map<string, Set<() => void>>();
  readonly #now: () => number;
  readonly #schedule: (flush: () => void) => void;

  constructor(now: () => number, schedule: (flush: () => void) => void) {
    this.#now = now;
    this.#schedule = schedule;
    this.#view = {
      state: "idle",
      stale: false,
      error: undefined,
      ids: [],
      readings: this.#rows,
      latest: undefined,
      received: 0,
      doubles: 0,
      gaps: 0,
      missed: [],
    };
    this.#next = this.#view;
  }

  /**
   * Shows a subscription's events until the returned function is called. `tap` gets each event first; readings of sensors that
   * `shows` refuses are left out.
   */
  follow(
    client: RowcastClient,
    options: SubscribeOptions,
    tap?: (event: SubscriptionEvent) => void,
    shows: (sensor: string) => boolean = () => true,
  ): () => void {
    const subscription = client.subscribe(options, (event) => {
      tap?.(event);
      if (event.type !== "reading" || shows(event.reading.sensor_id)) this.apply(event);
    });
    const before = this.#next.doubles;
    const refresh = () => {
      const { stale, error, state } = client;
      this.#update({ state, stale, error, doubles: before + subscription.doubles });
    };
    const unwatch = client.watch(refresh);
    refresh();
    return () => {
      unwatch();
      subscription.close();
      this.#update({ state: "idle" });
    };
  }

  apply(event: SubscriptionEvent): void {
    if (event.type === "gap") {
      const gaps = this.#next.gaps + 1;
      const missed = { key: gaps, reason: event.reason, from: event.lastHeard, to: this.#now() };
      this.#update({ gaps, missed: [...this.#next.missed, missed].slice(-KEPT_GAPS) });
      return;
    }
    if (event.type !== "reading") return;
    const { reading, snapshot } = event;
    const row = { reading, snapshot, arrivedAt: this.#now() };
    if (!this.#rows.has(reading.sensor_id)) this.#idsChanged = true;
    this.#rows.set(reading.sensor_id, row);
    this.#changed.add(reading.sensor_id);
    if (!snapshot) this.#update({ latest: row, received: this.#next.received + 1 });
    else this.#update(isNewer(row, this.#next.latest) ? { latest: row } : {});
  }

  // Arrow functions, since React gets them unbound.

  readonly view = (): SensorsView => this.#view;

  readonly onView = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  row(sensor: string): SensorReading | undefined {
    return this.#rows.get(sensor);
  }

  onRow(sensor: string, listener: () => void): () => void {
    const listeners = this.#rowListeners.get(sensor) ?? new Set();
    this.#rowListeners.set(sensor, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#rowListeners.delete(sensor);
    };
  }

  #update(part: Partial<SensorsView>): void {
    this.#next = { ...this.#next, ...part };
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => this.#flush());
  }

  /** Notifies only the listeners of changed sensors, once for all events since the last frame. */
  #flush(): void {
    this.#scheduled = false;
    if (this.#idsChanged) {
      this.#idsChanged = false;
      this.#next = { ...this.#next, ids: [...this.#rows.keys()].sort(inNaturalOrder) };
    }
    this.#view = this.#next;
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const sensor of changed) {
      for (const listener of this.#rowListeners.get(sensor) ?? []) listener();
    }
    for (const listener of this.#listeners) listener();
  }
}

const { compare: inNaturalOrder } = new Intl.Collator("en", { numeric: true });

function isNewer(row: SensorReading, latest: SensorReading | undefined): boolean {
  return latest === undefined || Date.parse(row.reading.timestamp) >= Date.parse(latest.reading.timestamp);
}
