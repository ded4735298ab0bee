import { expect, it } from "vitest";
import { EventStream } from "../src/event_stream.ts";

const TEXT =
  'retry: 900\n\n: hi\n\ntraceparent: 00-ab\nid: 1.2\ndata: {"a":1}\n\nevent: mark\r\ndata: {\r\ndata:}\r\n\r\nid: 3\rdata: x\r\r';
const EVENTS = [
  { name: "message", id: "1.2", data: '{"a":1}', traceparent: "00-ab" },
  { name: "mark", id: undefined, data: "{\n}" },
  { name: "message", id: "3", data: "x" },
];

it.each([1, 2, 3, 7, 1_000])("reads chunks of %i characters", (size) => {
  const stream = new EventStream();
  const events = [];
  for (let at = 0; at < TEXT.length; at += size) events.push(...stream.push(TEXT.slice(at, at + size)));
  // What ends in a carriage return waits for the next chunk.
  events.push(...stream.push("\n"));
  expect(events).toEqual(EVENTS);
});
