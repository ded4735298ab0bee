import { expect, it } from "vitest";
import { addresses } from "../src/address.ts";

it.each([
  [
    "/ws/sensors/",
    "https://page.example/a",
    "wss://page.example/ws/sensors/",
    "https://page.example/sse/sensors/",
  ],
  ["/ws/sensors/", "http://page:8080/", "ws://page:8080/ws/sensors/", "http://page:8080/sse/sensors/"],
  [
    "ws://other/ws/sensor-readings",
    "http://page/",
    "ws://other/ws/sensor-readings",
    "http://other/sse/sensors/",
  ],
  ["https://other/x/ws/sensors/", undefined, "wss://other/x/ws/sensors/", "https://other/x/sse/sensors/"],
])("resolves %s on %s", (url, page, socket, stream) => {
  expect(addresses(url, page)).toEqual({ socket, stream });
});

it("needs a page for a relative address", () => {
  expect(() => addresses("/ws/sensors/", undefined)).toThrow();
});
