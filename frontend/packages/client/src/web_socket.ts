/** The demo's hook with its signature, on a client that resumes and retries forever. */

import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { RowcastClient } from "./client.ts";
import type { Reading } from "./wire.ts";

/** A text frame of the demo's protocol. */
export interface WebSocketMessage {
  data: Reading;
}

export interface WebSocketOptions {
  /** Absolute, or relative to the page, whose `https` makes it `wss`. */
  url: string;
  onMessage?: ((message: WebSocketMessage) => void) | undefined;
  onError?: ((error: Error) => void) | undefined;
  /** Called when every reading from now on will be delivered. */
  onOpen?: (() => void) | undefined;
  onClose?: (() => void) | undefined;
  /** `false`: stays closed after the first disconnect. */
  reconnect?: boolean | undefined;
  /** The longest wait between two attempts, in milliseconds. */
  reconnectInterval?: number | undefined;
}

export interface WebSocketView {
  isConnected: boolean;
  latestData: WebSocketMessage | null;
  error: string | null;
}

export interface WebSocketControl extends WebSocketView {
  /** Sends a string unchanged, anything else as JSON; false while there is no socket. The gateway answers with an error. */
  send: (message: unknown) => boolean;
}

export function useWebSocket(options: WebSocketOptions): WebSocketControl {
  const { url, reconnect = true, reconnectInterval = 3_000 } = options;
  const handlers = useRef(options);
  useEffect(() => {
    handlers.current = options;
  });
  const [channel] = useState(() => new Channel(() => handlers.current));
  useEffect(
    () => channel.open(url, reconnect, reconnectInterval),
    [channel, url, reconnect, reconnectInterval],
  );
  const view = useSyncExternalStore(channel.onChange, channel.view, channel.view);
  return { ...view, send: channel.send };
}

class Channel {
  #client: RowcastClient | undefined;
  #view: WebSocketView = { isConnected: false, latestData: null, error: null };
  readonly #listeners = new Set<() => void>();
  readonly #handlers: () => WebSocketOptions;

  constructor(handlers: () => WebSocketOptions) {
    this.#handlers = handlers;
  }

  open(url: string, reconnect: boolean, retryCapMs: number): () => void {
    const client = new RowcastClient({ url, retryCapMs });
    this.#client = client;
    client.watch(() => this.#refresh(client, reconnect));
    client.subscribe({}, (event) => {
      if (event.type !== "reading") return;
      const latestData = { data: event.reading };
      this.#update({ latestData });
      this.#handlers().onMessage?.(latestData);
    });
    return () => client.close();
  }

  readonly view = (): WebSocketView => this.#view;

  readonly onChange = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly send = (message: unknown): boolean => {
    return this.#client?.send(typeof message === "string" ? message : JSON.stringify(message)) ?? false;
  };

  #refresh(client: RowcastClient, reconnect: boolean): void {
    if (client !== this.#client) return;
    const { isConnected: was, error: before } = this.#view;
    const isConnected = client.state === "live";
    const error = client.error?.message ?? null;
    if (was === isConnected && before === error) return;
    this.#update({ isConnected, error });
    const { onOpen, onClose, onError } = this.#handlers();
    if (error !== null && error !== before) onError?.(new Error(error));
    if (isConnected && !was) onOpen?.();
    if (was && !isConnected) {
      onClose?.();
      if (!reconnect) client.close();
    }
  }

  #update(part: Partial<WebSocketView>): void {
    this.#view = { ...this.#view, ...part };
    for (const listener of this.#listeners) listener();
  }
}
