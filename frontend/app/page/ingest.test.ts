import { expect, it } from "vitest";
import { curlCommand, ingestBase } from "./ingest";

it.each([
  ["", "http://page"],
  ["%ROWCAST_INGEST%", "http://page"],
  ["https://in.example/", "https://in.example"],
])("with the placeholder %j the base is %s", (meta, base) => {
  expect(ingestBase(meta, "http://page")).toBe(base);
});

it("writes a command for a shell", () => {
  expect(curlCommand("http://page")).toBe(
    `curl -X POST http://page/api/sensors/ -H 'Content-Type: application/json' -d '{"sensor_id":"sensor-1","value":21.5}'`,
  );
});
