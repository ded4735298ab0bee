/** What the client needs of the place it runs in. A test brings its own chance and clock. */

/** The browser's `WebSocket`, as far as it is used here. */
export interface Socket {
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string): void;
  close(code?: number): void;
}

export interface Surroundings {
  /** What relative addresses are relative to. */
  page: string | undefined;
  socket(url: string, protocol: string): Socket;
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** Milliseconds since 1970. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  setTimer(run: () => void, ms: number): unknown;
  clearTimer(timer: unknown): void;
  /** Says when the page is seen again or the network has changed, until what it gives is called. */
  onWake(wake: () => void): () => void;
}

/** A browser's; in Node and workers, which have no page, nothing ever wakes it. */
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
      // `offline` is not believed, but a reason to ask: a link that is really cut is then known within seconds.
      for (const name of ["online", "offline", "pageshow"]) addEventListener(name, wake);
      document.addEventListener("visibilitychange", show);
      return () => {
        for (const name of ["online", "offline", "pageshow"]) removeEventListener(name, wake);
        document.removeEventListener("visibilitychange", show);
      };
    },
  };
}
