import type { SensorReading } from "@rowcast/client/react";

const STALE_MS = 30_000;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The age of a reading by its own time; never negative, although the two clocks may differ. */
export function ageMs({ reading }: SensorReading, now: number): number {
  return Math.max(0, now - Date.parse(reading.timestamp));
}

export function ageText(ms: number): string {
  if (!Number.isFinite(ms)) return "";
  if (ms < SECOND) return "just now";
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s ago`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ago`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h ago`;
  return `${Math.floor(ms / DAY)} d ago`;
}

/** Events are stale by their time of arrival, which does not depend on the device's clock; readings of a snapshot by their own time. */
export function isStale(row: SensorReading, now: number): boolean {
  return (row.snapshot ? ageMs(row, now) : now - row.arrivedAt) > STALE_MS;
}
