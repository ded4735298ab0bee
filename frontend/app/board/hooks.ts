/** The board as React sees it. */

import { createContext, useCallback, useContext, useEffect, useState, useSyncExternalStore } from "react";
import { RowcastClient, type Surroundings } from "../live/client";
import { Board, type Head, type Row } from "./board";
import { Clock } from "./clock";

declare global {
  interface Window {
    /** For the end-to-end test, which must show that no reading is missing or doubled after a cut. */
    __rowcast?: { ids: number[] };
  }
}

const browser: Surroundings = {
  connect: (url, protocol) => new WebSocket(url, protocol),
  now: Date.now,
  random: Math.random,
  setTimer: (run, ms) => setTimeout(run, ms),
  clearTimer: (timer) => clearTimeout(timer as number | undefined),
};

interface Page {
  board: Board;
  clock: Clock;
}

const PageContext = createContext<Page | undefined>(undefined);

export const PageProvider = PageContext.Provider;

/** Follows the gateway that served the page for as long as the component is there. */
export function useGateway(): Page {
  const [page] = useState(() => ({
    board: new Board(Date.now, (flush) => requestAnimationFrame(flush)),
    clock: new Clock(Date.now),
  }));
  const { board } = page;
  useEffect(() => {
    const client = new RowcastClient(socketUrl(window.location), board, browser);
    const wake = () => client.wake();
    const show = () => document.visibilityState === "visible" && client.wake();
    client.start();
    window.__rowcast = { ids: board.ids };
    window.addEventListener("online", wake);
    // Not believed, but a reason to ask: a socket that is really cut is then known to be within seconds.
    window.addEventListener("offline", wake);
    document.addEventListener("visibilitychange", show);
    return () => {
      window.removeEventListener("online", wake);
      window.removeEventListener("offline", wake);
      document.removeEventListener("visibilitychange", show);
      client.stop();
    };
  }, [board]);
  return page;
}

function socketUrl({ protocol, host }: Location): string {
  return `${protocol === "https:" ? "wss:" : "ws:"}//${host}/ws/sensors/`;
}

function usePage(): Page {
  const page = useContext(PageContext);
  if (!page) throw new Error("no page around this component");
  return page;
}

export function useBoard(): Board {
  return usePage().board;
}

/** `select` must give something that stays the same while its part of the head does. */
export function useHead<T>(select: (head: Head) => T): T {
  const board = useBoard();
  return useSyncExternalStore(board.onHead, () => select(board.head()));
}

export function useSensors(): readonly string[] {
  const board = useBoard();
  return useSyncExternalStore(board.onSensors, board.sensors);
}

export function useRow(sensor: string): Row | undefined {
  const board = useBoard();
  const subscribe = useCallback((listener: () => void) => board.onRow(sensor, listener), [board, sensor]);
  return useSyncExternalStore(subscribe, () => board.row(sensor));
}

/** Rendered anew only when what is read off the clock changes. */
export function useClock<T extends string | boolean>(read: (now: number) => T): T {
  const { clock } = usePage();
  return useSyncExternalStore(clock.onTick, () => read(clock.now()));
}
