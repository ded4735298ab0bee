/** Parses server-sent events (HTML standard §9.2.6) from chunks of any size. */

export interface ServerSentEvent {
  /** `message` if the event has no name. */
  name: string;
  id: string | undefined;
  data: string;
  /** The trace context of a reading, if the subscription asks for it. */
  traceparent: string | undefined;
}

export class EventStream {
  #remainder = "";

  /** The events that this chunk completes. */
  push(chunk: string): ServerSentEvent[] {
    const text = this.#remainder + chunk;
    // A carriage return at the end may be the first half of CRLF.
    const whole = text.endsWith("\r") ? text.slice(0, -1) : text;
    const blocks = whole.replace(/\r\n?/g, "\n").split("\n\n");
    this.#remainder = (blocks.pop() ?? "") + text.slice(whole.length);
    return blocks.map(parse).filter((event) => event !== undefined);
  }
}

function parse(block: string): ServerSentEvent | undefined {
  let name = "message";
  let id: string | undefined;
  let traceparent: string | undefined;
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") name = value;
    else if (field === "id") id = value;
    else if (field === "data") data.push(value);
    else if (field === "traceparent") traceparent = value;
  }
  // A block without data, such as a keep-alive comment, is not an event.
  return data.length > 0 ? { name, id, data: data.join("\n"), traceparent } : undefined;
}
