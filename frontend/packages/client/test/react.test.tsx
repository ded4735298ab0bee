// @vitest-environment happy-dom

import { StrictMode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RowcastClient } from "../src/index.ts";
import { RowcastProvider, useSensor, useSensors, useWebSocket, type WebSocketOptions } from "../src/react.ts";
import { type Connection, ScriptedServer, waitFor } from "./scripted.ts";
import { event, IDLE_MS, live, mark, reading, snap } from "./seen.ts";

let server: ScriptedServer;
let root: Root;
let element: HTMLElement;

beforeEach(async () => {
  server = await ScriptedServer.listen();
  element = document.createElement("div");
  root = createRoot(element);
});

afterEach(async () => {
  root.unmount();
  await server.close();
});

async function shows(text: string) {
  await waitFor(
    () => element.textContent === text,
    () => `it shows ${JSON.stringify(element.textContent)}, not ${JSON.stringify(text)}`,
  );
}

describe("useSensors and useSensor", () => {
  let renders = 0;

  function Board() {
    const { ids, state, stale, latest } = useSensors();
    return (
      <p>
        {state}
        {stale ? " stale" : ""} {ids.join()} {latest?.reading.id}
      </p>
    );
  }

  function One({ sensor }: { sensor: string }) {
    const row = useSensor(sensor);
    renders += 1;
    return <p>{row ? `${row.reading.value}${row.snapshot ? " then" : ""}` : "none"}</p>;
  }

  it("show the newest of each sensor, and whether it is live or stale", async () => {
    root.render(
      <RowcastProvider url={server.url} sensors={["s*"]}>
        <Board />
        <One sensor="s-2" />
      </RowcastProvider>,
    );
    const connection = await server.connection(1);
    const request = await connection.attach(IDLE_MS, { id: 1, ok: { sub: 1 } }, [snap(1), snap(2)]);
    expect(request.subscribe).toEqual({ sensors: ["s*"], from: "latest" });
    await shows("catching-up s-1,s-2 21 then");
    connection.send([live("1.10"), { ...event(11), data: reading(11, "s-10") }]);
    await shows("live s-1,s-2,s-10 111 then");
    connection.send(mark("1.11", { stale: true }));
    await shows("live stale s-1,s-2,s-10 111 then");
    const before = renders;
    connection.send([{ ...event(12), data: reading(12, "s-1") }, mark("1.12")]);
    await shows("live s-1,s-2,s-10 121 then");
    expect(renders, "another sensor's reading does not render this one").toBe(before);
    connection.send({ ...event(13), data: reading(13, "s-2") });
    await shows("live s-1,s-2,s-10 136.5");
  });

  it("share a client: one socket, a subscription each", async () => {
    const client = new RowcastClient({ url: server.url });
    const views = (second: boolean) => (
      <>
        <RowcastProvider client={client} sensors={["a"]}>
          <One sensor="a" />
        </RowcastProvider>
        {second ? (
          <RowcastProvider client={client} sensors={["b"]} from="now">
            <One sensor="b" />
          </RowcastProvider>
        ) : null}
      </>
    );
    root.render(views(true));
    const connection = await server.connection(1);
    connection.hello(IDLE_MS);
    const [a, b] = [await connection.request(1), await connection.request(2)];
    expect([a, b].map(({ subscribe }) => subscribe)).toEqual([
      { sensors: ["a"], from: "latest" },
      { sensors: ["b"], from: "now" },
    ]);
    connection.send([
      { id: a.id, ok: { sub: 1 } },
      { id: b.id, ok: { sub: 2, pos: "1.1" } },
      { sub: 1, snap: true, data: reading(2, "a") },
      { sub: 2, pos: "1.4", data: reading(4, "b") },
    ]);
    await shows("1 then2");
    root.render(views(false));
    await connection.receives(({ unsubscribe }) => unsubscribe?.sub === 2);
    expect(server.connections).toHaveLength(1);
    client.close();
  });

  it("subscribe again when the options change, not when equal ones are rendered again", async () => {
    const client = new RowcastClient({ url: server.url });
    const view = (sensor: string) => (
      <RowcastProvider client={client} sensors={[sensor]}>
        <Board />
      </RowcastProvider>
    );
    root.render(view("a"));
    const connection = await server.connection(1);
    await connection.attach(IDLE_MS, { id: 1, ok: { sub: 1 } }, live("1.1"));
    await shows("live  ");
    root.render(view("a"));
    root.render(view("b"));
    const again = await connection.request(2);
    expect(again.subscribe?.sensors).toEqual(["b"]);
    await connection.receives(({ unsubscribe }) => unsubscribe?.sub === 1);
    client.close();
  });

  it("survive React's strict mode", async () => {
    root.render(
      <StrictMode>
        <RowcastProvider url={server.url}>
          <Board />
        </RowcastProvider>
      </StrictMode>,
    );
    await waitFor(
      () => server.connections.length > 0,
      () => "no connection",
    );
    const connection = server.connections.at(-1) as Connection;
    await connection.attach(IDLE_MS, { id: 1, ok: { sub: 1 } }, [snap(7)], live("1.7"));
    await shows("live s-7 7");
  });
});

describe("useWebSocket", () => {
  let calls: string[];

  function Demo(options: Partial<WebSocketOptions>) {
    const { isConnected, latestData, error, send } = useWebSocket({
      url: server.url,
      onMessage: ({ data }) => calls.push(`message ${data.id}`),
      onError: (error) => calls.push(`error ${error.message}`),
      onOpen: () => calls.push("open"),
      onClose: () => calls.push("close"),
      ...options,
    });
    return (
      <button type="button" onClick={() => calls.push(`sent ${send({ hello: 1 })}`)}>
        {`${isConnected} ${latestData?.data.id ?? null} ${error}`}
      </button>
    );
  }

  async function opened(nth: number, position: string) {
    const connection = await server.connection(nth);
    const request = await connection.attach(IDLE_MS, { id: 1, ok: { sub: 1, pos: position } });
    return { connection, from: request.subscribe?.from };
  }

  beforeEach(() => {
    calls = [];
  });

  it("has the demo's signature, and resumes where the demo lost readings", async () => {
    root.render(<Demo reconnectInterval={20} />);
    await shows("false null null");
    const first = await opened(1, "1.10");
    expect(first.from).toBe("now");
    await shows("true null null");
    first.connection.send(event(11));
    await shows("true 11 null");
    first.connection.close(1000);
    const second = await opened(2, "1.11");
    expect(second.from).toBe("1.11");
    second.connection.send([event(11), event(12), live("1.12")]);
    await shows("true 12 null");
    expect(calls).toEqual([
      "open",
      "message 11",
      "error the server closed the connection: normal (1000)",
      "close",
      "message 12",
      "open",
    ]);
  });

  it("sends, and shows the gateway's error", async () => {
    root.render(<Demo />);
    const { connection } = await opened(1, "1.10");
    await shows("true null null");
    element.querySelector("button")?.click();
    await connection.receives((message) => "hello" in message);
    connection.send({ error: { code: "unknown-verb", message: "no such verb", retry: false } });
    await shows("true null no such verb");
    expect(calls).toEqual(["open", "sent true", "error no such verb"]);
  });

  it("stays closed after a disconnect without `reconnect`", async () => {
    root.render(<Demo reconnect={false} reconnectInterval={1} />);
    const { connection } = await opened(1, "1.10");
    await shows("true null null");
    connection.cut();
    await shows("false null null");
    await waitFor(
      () => calls.includes("close"),
      () => `calls ${calls}`,
    );
    expect(server.connections).toHaveLength(1);
  });

  it("ends with its component", async () => {
    root.render(<Demo />);
    const { connection } = await opened(1, "1.10");
    await shows("true null null");
    root.render(null);
    await connection.receives(({ unsubscribe }) => unsubscribe !== undefined);
    expect(server.connections).toHaveLength(1);
  });
});
