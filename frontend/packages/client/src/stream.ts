/** Server-sent events, for networks that block WebSockets: one stream for each subscription. */

import type { Credential } from "./credential.ts";
import { EventStream, type ServerSentEvent } from "./event_stream.ts";
import { parseFrame } from "./frame.ts";
import { type Carried, CUT, FORBIDDEN, type Link, type LinkEvents, UNAUTHENTICATED } from "./link.ts";
import type { Surroundings } from "./surroundings.ts";
import { ALIVE_WITHIN_MS, HELLO_WITHIN_MS, silenceMs, Watchdog } from "./watchdog.ts";
import type { ServerMessage, Subscribe } from "./wire.ts";

/** The close code for the status of a refused request. */
const CODES: Record<number, number> = { 401: UNAUTHENTICATED, 403: FORBIDDEN, 429: 4429, 503: 1013 };

/** The end of one stream is the end of the link: its cause affects the others too. */
export class StreamLink implements Link {
  #ready = false;
  #activeAt = 0;
  #code = CUT;
  readonly #streams = new Map<Carried, AbortController>();
  readonly #url: string;
  readonly #events: LinkEvents;
  readonly #around: Surroundings;
  readonly #credential: Credential | undefined;

  constructor(url: string, events: LinkEvents, around: Surroundings, credential: Credential | undefined) {
    this.#url = url;
    this.#events = events;
    this.#around = around;
    this.#credential = credential;
  }

  start(carried: Iterable<Carried>): void {
    for (const one of carried) this.attach(one);
  }

  attach(carried: Carried): void {
    if (this.#streams.has(carried)) return;
    const abort = new AbortController();
    this.#streams.set(carried, abort);
    void this.#follow(carried, abort);
  }

  detach(carried: Carried): void {
    this.#streams.get(carried)?.abort();
    this.#streams.delete(carried);
  }

  /** A stream keeps the token of its request: each continues as another one, from its position. */
  renew(): void {
    for (const carried of [...this.#streams.keys()]) {
      this.detach(carried);
      this.attach(carried);
    }
  }

  /** A stream cannot be pinged; one that was active just now is alive. */
  ping(): void {
    if (this.#around.now() - this.#activeAt > ALIVE_WITHIN_MS) this.#end(CUT);
  }

  send(): boolean {
    return false;
  }

  close(): void {
    for (const abort of this.#streams.values()) abort.abort();
    this.#streams.clear();
  }

  async #follow(carried: Carried, abort: AbortController): Promise<void> {
    const watchdog = new Watchdog(this.#around, () => this.#end(CUT));
    const isOurs = () => this.#streams.get(carried) === abort;
    try {
      watchdog.feed(HELLO_WITHIN_MS);
      const request = carried.request();
      const token = this.#credential?.token;
      const headers = {
        accept: "text/event-stream",
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      };
      const response = await this.#around.fetch(this.#url + query(request), {
        headers,
        signal: abort.signal,
      });
      if (!isOurs()) return;
      if (!response.ok || !response.body) {
        await this.#refused(carried, response, isOurs);
        return;
      }
      watchdog.feed(silenceMs());
      if (!this.#ready) {
        this.#ready = true;
        this.#events.ready(this);
      }
      const stream = new EventStream();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      // Without a position an event is part of the snapshot, until the stream is live.
      let snapshot = request.from === "latest";
      for (let chunk = await reader.read(); !chunk.done && isOurs(); chunk = await reader.read()) {
        watchdog.feed(silenceMs());
        this.#activeAt = this.#around.now();
        this.#events.active(this);
        for (const event of stream.push(chunk.value)) {
          if (event.name === "live") snapshot = false;
          for (const message of messages(event, snapshot)) this.#onMessage(carried, message);
          if (!isOurs()) return;
        }
      }
      if (isOurs()) this.#end(this.#code);
    } catch {
      if (isOurs()) this.#end(CUT);
    } finally {
      watchdog.stop();
    }
  }

  #onMessage(carried: Carried, message: ServerMessage): void {
    if (message.bye) {
      this.#code = message.bye.code ?? CUT;
      this.#events.bye(this, message.bye);
      return;
    }
    if (message.expires) {
      this.#events.expiring(this, message.expires.in_ms);
      return;
    }
    // Before it is notified, so that it can subscribe again.
    if (message.error) this.detach(carried);
    carried.receive(message);
  }

  /** A bad request concerns the subscription; any other refusal the whole link. */
  async #refused(carried: Carried, response: Response, isOurs: () => boolean): Promise<void> {
    if (response.status !== 400) {
      this.#end(CODES[response.status] ?? CUT);
      return;
    }
    const { type, detail } = await response.json().catch(() => ({}));
    if (!isOurs()) return;
    const code = String(type ?? "bad-query").replace(/^.*:/, "");
    this.#onMessage(carried, { error: { code, message: String(detail ?? ""), retry: false } });
  }

  #end(code: number): void {
    this.close();
    this.#events.ended(this, code);
  }
}

function query({ sensors, from, mode, max_rate, trace }: Subscribe): string {
  const fields = new URLSearchParams({ v: "1" });
  if (sensors) fields.set("sensor", sensors.join(","));
  if (typeof from === "object") fields.set("last", from.last);
  else if (from) fields.set("from", from);
  if (mode) fields.set("mode", mode);
  if (max_rate) fields.set("max_rate", String(max_rate));
  if (trace) fields.set("trace", "true");
  return `?${fields}`;
}

/** Event as message: a named event carries its object, one without a name is a reading at the position of its id. */
function messages({ name, id, data, traceparent }: ServerSentEvent, snapshot: boolean): ServerMessage[] {
  if (name !== "message") return parseFrame(`{"${name}":${data}}`);
  const position = id ? `"pos":${JSON.stringify(id)}` : `"snap":${snapshot}`;
  const trace = traceparent ? `"traceparent":${JSON.stringify(traceparent)},` : "";
  return parseFrame(`{${trace}${position},"data":${data}}`);
}
