/** What the client needs of its environment. Tests replace the random numbers and the clock. */

/** The part of the browser's `WebSocket` that is used here. */
export interface Socket {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string): void;
  close(code?: number): void;
}

export interface Surroundings {
  /** The base of relative addresses. */
  page: string | undefined;
  socket(url: string, protocol: string): Socket;
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** Milliseconds since 1970. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  setTimer(run: () => void, ms: number): unknown;
  clearTimer(timer: unknown): void;
  /** Calls back when the page is visible again or the network has changed, until the returned function is called. */
  onWake(wake: () => void): () => void;
}

/** A browser's; in Node and workers, which have no page, there are no such events. */
export function here(): Surroundings {
  return {
    page: globalThis.location?.href,
    socket: (url, protocol) => new WebSocket(url, protocol),
    fetch: (url, init) => fetch(url, init),
    now: Date.now,
    random: Math.random,
    setTimer: (run, ms) => setTimeout(run, ms),
    clearTimer: (timer) => clearTimeout(timer as number | undefined),
    onWake: (wake) => {
      const { addEventListener, removeEventListener, document } = globalThis;
      if (!document) return () => {};
      const show = () => document.visibilityState === "visible" && wake();
      // `offline` may be wrong, so it only triggers a check: a link that is really lost is then detected within seconds.
      for (const name of ["online", "offline", "pageshow"]) addEventListener(name, wake);
      document.addEventListener("visibilitychange", show);
      return () => {
        for (const name of ["online", "offline", "pageshow"]) removeEventListener(name, wake);
        document.removeEventListener("visibilitychange", show);
      };
    },
  };
}
