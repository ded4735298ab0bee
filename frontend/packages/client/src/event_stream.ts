/** The text of server-sent events as the HTML standard has it (§9.2.6), from chunks cut anywhere. */

export interface ServerSentEvent {
  /** `message` where none is named. */
  name: string;
  id: string | undefined;
  data: string;
}

export class EventStream {
  #rest = "";

  /** The events that this chunk ends. */
  push(chunk: string): ServerSentEvent[] {
    const text = this.#rest + chunk;
    // A carriage return at the end may be half of a line's end.
    const whole = text.endsWith("\r") ? text.slice(0, -1) : text;
    const blocks = whole.replace(/\r\n?/g, "\n").split("\n\n");
    this.#rest = (blocks.pop() ?? "") + text.slice(whole.length);
    return blocks.map(parse).filter((event) => event !== undefined);
  }
}

function parse(block: string): ServerSentEvent | undefined {
  let name = "message";
  let id: string | undefined;
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") name = value;
    else if (field === "id") id = value;
    else if (field === "data") data.push(value);
  }
  // A block without data, such as a comment that keeps the connection open, is no event.
  return data.length > 0 ? { name, id, data: data.join("\n") } : undefined;
}
