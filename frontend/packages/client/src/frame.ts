/** The part of the v1 protocol this client speaks. Unknown fields and messages are left alone. */

export const SUBPROTOCOL = "rowcast.v1";

export interface Reading {
  id: number;
  sensor_id: string;
  value: number;
  /** RFC 3339. */
  timestamp: string;
  metadata: unknown;
}

export interface Gap {
  from?: string;
  to?: string;
  reason?: string;
}

export interface Bye {
  code?: number;
  reason?: string;
  after_ms?: number;
  resume?: boolean;
}

/** A server message: one of its fields says which it is. */
export interface ServerMessage {
  id?: number;
  pos?: string;
  snap?: boolean;
  hello?: { idle_ms?: number };
  ok?: { sub?: number; pos?: string; resumed?: boolean };
  error?: { code?: string; message?: string; retry?: boolean };
  data?: Reading;
  live?: { pos?: string };
  mark?: { pos?: string; n?: number };
  gap?: Gap;
  bye?: Bye;
}

/** A frame holds one message or an array of them; what cannot be read is dropped. */
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
