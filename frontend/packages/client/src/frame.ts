/** Parses frames: unreadable text is dropped, unknown keys are ignored. */

import type { Reading, ServerMessage } from "./wire.ts";

/** A frame holds one message or an array of them. */
export function parseFrame(frame: unknown): ServerMessage[] {
  if (typeof frame !== "string") return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(frame);
  } catch {
    return [];
  }
  const messages = Array.isArray(parsed) ? parsed : [parsed];
  return messages.filter((message) => typeof message === "object" && message !== null);
}

export function isReading(data: unknown): data is Reading {
  const reading = data as Partial<Reading> | null;
  return (
    typeof reading === "object" &&
    reading !== null &&
    typeof reading.id === "number" &&
    typeof reading.sensor_id === "string" &&
    typeof reading.value === "number" &&
    typeof reading.timestamp === "string"
  );
}
