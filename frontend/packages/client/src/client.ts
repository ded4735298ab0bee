/** One client with one connection and many subscriptions, which resumes them whenever the connection ends. */

import { addresses, SOCKET_PATH } from "./address.ts";
import { callApplication } from "./application.ts";
import { Credential, noToken, type TokenSource } from "./credential.ts";
import { FORBIDDEN, type Link, type LinkEvents, UNAUTHENTICATED } from "./link.ts";
import { Renewal } from "./renewal.ts";
import { backoffMs, nextAfter, refusedMs, renewMs, slowMs, waitMs } from "./retry.ts";
import { SocketLink } from "./socket.ts";
import { StreamLink } from "./stream.ts";
import {
  type Owner,
  type State,
  type SubscribeOptions,
  Subscription,
  type SubscriptionEvent,
} from "./subscription.ts";
import { here, type Surroundings } from "./surroundings.ts";
import { type Bye, CLOSE_CODES, type CommandError, type Next } from "./wire.ts";

export interface ClientOptions {
  /** The gateway's socket, absolute or relative to the page; `/ws/sensors/` if absent. */
  url?: string | undefined;
  /** Where server-sent events are, if not beside the socket; `false`: never. */
  streamUrl?: string | false | undefined;
  /** The longest wait between two attempts, in milliseconds; 10,000 if absent. */
  retryCapMs?: number | undefined;
  /** Who the client is; absent: nobody asks. */
  token?: TokenSource | undefined;
}

/** How long a connection must have lasted for the back-off to be reset. */
const STAY_MS = 5_000;
/** How long a connection without subscriptions is kept: a page that changes its view soon opens another. */
const LINGER_MS = 1_000;
/** After this many sockets in a row without `hello`, server-sent events and sockets alternate. */
const MAX_REFUSED = 2;
/** The first and the longest wait before a WebSocket is retried beside server-sent events. */
const PROBE_MS = 10_000;
const PROBE_CAP_MS = 300_000;

export class RowcastClient {
  #state: State = "idle";
  #link: Link | undefined;
  #probe: Link | undefined;
  /** Whether the link has answered, and whether any ever has. */
  #ready = false;
  #everReady = false;
  #attempt = 0;
  #refused = 0;
  #streamFailed = false;
  #probes = 0;
  #bye: Bye | undefined;
  #stale = false;
  #error: CommandError | undefined;
  #activeAt: number | undefined;
  #lostAt: number | undefined;
  #readySince: number | undefined;
  /** Refusals of tokens in a row, and whether the last connection ended with one. */
  #refusals = 0;
  #unauthorized = false;
  /** The connection that waits for the application's token. */
  #asking: object | undefined;
  #retry: unknown;
  #linger: unknown;
  #nextProbe: unknown;
  #offWake: (() => void) | undefined;
  readonly #subscriptions = new Set<Subscription>();
  readonly #watchers = new Set<() => void>();
  readonly #socketUrl: string;
  readonly #streamUrl: string | undefined;
  readonly #cap: number | undefined;
  readonly #around: Surroundings;
  readonly #credential: Credential | undefined;
  readonly #renewal: Renewal | undefined;

  constructor(options: ClientOptions = {}, around: Surroundings = here()) {
    const { socket, stream } = addresses(options.url ?? SOCKET_PATH, around.page);
    const { streamUrl } = options;
    this.#socketUrl = socket;
    this.#streamUrl =
      streamUrl === false ? undefined : streamUrl ? new URL(streamUrl, around.page).href : stream;
    this.#cap = options.retryCapMs;
    this.#around = around;
    if (options.token === undefined) return;
    this.#credential = new Credential(options.token, around.now);
    this.#renewal = new Renewal(this.#credential, around);
  }

  /** `live` only while every subscription is, on the current connection. */
  get state(): State {
    return this.#state;
  }

  /** The gateway reported that readings may be late; a later mark resets it, a reading does not. */
  get stale(): boolean {
    return this.#stale;
  }

  /** The last error that the server reported, until all subscriptions are live again. */
  get error(): CommandError | undefined {
    return this.#error;
  }

  /** Connects if necessary. Without a handler the subscription is iterated. */
  subscribe(options: SubscribeOptions = {}, handler?: (event: SubscriptionEvent) => void): Subscription {
    const subscription = new Subscription(this.#owner, options, handler);
    if (this.#state === "closed") {
      subscription.close();
      return subscription;
    }
    this.#subscriptions.add(subscription);
    this.#around.clearTimer(this.#linger);
    if (this.#link) this.#link.attach(subscription);
    else if (this.#retry === undefined && !this.#asking && !this.#unauthorized) this.#connect();
    this.#settle();
    return subscription;
  }

  /** Calls back after every change of `state`, `stale`, `error` and of the subscriptions' states and counters. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** The network or the page is back: retry at once, or check that the connection is alive. */
  wake(): void {
    if (this.#retry !== undefined) {
      this.#around.clearTimer(this.#retry);
      this.#connect();
    } else if (this.#ready) this.#link?.ping();
  }

  /** Sends text unchanged; false while there is no socket. */
  send(text: string): boolean {
    return this.#ready && this.#link?.send(text) === true;
  }

  /** Ends it and its subscriptions for good. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    for (const subscription of [...this.#subscriptions]) subscription.close();
    this.#release();
    this.#notify();
  }

  readonly #owner: Owner = {
    lostAt: () => this.#lostAt,
    marked: (stale) => {
      if (this.#stale === stale) return;
      this.#stale = stale;
      this.#notify();
    },
    attach: (subscription) => this.#link?.attach(subscription),
    detach: (subscription) => this.#link?.detach(subscription),
    attachLater: (subscription, error) => {
      this.#error = error;
      this.#notify();
      const { random } = this.#around;
      const link = this.#link;
      const wait = error.retry
        ? (error.after_ms ?? 0) + backoffMs(2, random, this.#cap)
        : slowMs(random, this.#cap);
      // Another link attaches the existing subscriptions by itself.
      this.#around.setTimer(() => {
        if (link === this.#link && this.#subscriptions.has(subscription)) link?.attach(subscription);
      }, wait);
    },
    drop: (subscription) => {
      this.#link?.detach(subscription);
      this.#subscriptions.delete(subscription);
      if (this.#subscriptions.size > 0 || this.#state === "closed") return;
      this.#linger = this.#around.setTimer(() => this.#release(), LINGER_MS);
    },
    changed: () => this.#settle(),
  };

  readonly #events: LinkEvents = {
    ready: (link) => this.#onReady(link),
    active: (link) => {
      if (link === this.#link) this.#activeAt = this.#around.now();
    },
    bye: (link, bye) => {
      if (link === this.#link) this.#bye = bye;
    },
    refused: (link, error) => {
      if (link !== this.#link) return;
      this.#error = error;
      this.#notify();
    },
    expiring: (link, inMs) => {
      if (link === this.#link) this.#onExpiring(inMs);
    },
    notRenewed: (link, error) => {
      if (link !== this.#link) return;
      this.#error = error;
      this.#refusals += 1;
      this.#renewAfter(refusedMs(this.#refusals, this.#around.random, this.#cap), error.code);
      this.#notify();
    },
    ended: (link, code) => this.#onEnd(link, code),
  };

  #connect(): void {
    this.#retry = undefined;
    this.#bye = undefined;
    this.#offWake ??= this.#around.onWake(() => this.wake());
    if (!this.#credential) {
      this.#open();
      return;
    }
    const asking = {};
    this.#asking = asking;
    this.#credential.obtain().then(
      () => asking === this.#asking && this.#open(),
      (error) => asking === this.#asking && this.#onNoToken(error),
    );
  }

  #open(): void {
    this.#asking = undefined;
    const streams = this.#streamUrl !== undefined && this.#refused >= MAX_REFUSED && !this.#streamFailed;
    this.#link = streams ? this.#stream(this.#streamUrl) : this.#socket();
    // A WebSocket is next in any case, unless streams work.
    this.#streamFailed = streams;
    this.#link.start(this.#subscriptions);
  }

  #socket(): Link {
    return new SocketLink(this.#socketUrl, this.#events, this.#around, this.#credential);
  }

  #stream(url: string): Link {
    return new StreamLink(url, this.#events, this.#around, this.#credential);
  }

  /** The application has no token to give, which is its own error: it is asked again. */
  #onNoToken(error: unknown): void {
    this.#asking = undefined;
    this.#error = noToken(error);
    this.#retry = this.#around.setTimer(() => this.#connect(), slowMs(this.#around.random, this.#cap));
    this.#settle();
  }

  #onExpiring(inMs: number): void {
    if (!this.#credential?.isRenewable) return;
    // The present token is in force.
    this.#refusals = 0;
    this.#credential.endsIn(inMs);
    this.#renewAfter(renewMs(inMs, this.#around.random));
  }

  #renewAfter(ms: number, refusal?: string): void {
    const link = this.#link;
    const renewed = () => {
      if (link !== this.#link) return;
      link?.renew();
      this.#settle();
    };
    this.#renewal?.after(ms, refusal, renewed, (error) => {
      this.#error = error;
      this.#notify();
    });
  }

  #onReady(link: Link): void {
    if (link === this.#probe) {
      this.#probe = undefined;
      this.#link?.close();
      this.#link = link;
    }
    if (link !== this.#link) return;
    this.#ready = this.#everReady = true;
    this.#unauthorized = false;
    this.#readySince = this.#around.now();
    this.#streamFailed = false;
    if (link instanceof SocketLink) {
      this.#refused = this.#probes = 0;
      this.#around.clearTimer(this.#nextProbe);
    } else this.#probeLater();
    for (const subscription of this.#subscriptions) {
      if (subscription.paused) continue;
      subscription.enter("catching-up");
      // A callback may close the client.
      if (link !== this.#link) return;
      link.attach(subscription);
    }
    this.#settle();
  }

  /** Streams work, but a WebSocket is better: it is retried from time to time, and takes over when it answers. */
  #probeLater(): void {
    const bound = Math.min(PROBE_CAP_MS, PROBE_MS * 2 ** this.#probes);
    this.#probes += 1;
    this.#nextProbe = this.#around.setTimer(
      () => {
        this.#probe = this.#socket();
        this.#probe.start([]);
      },
      (bound / 2) * (1 + this.#around.random()),
    );
  }

  #onEnd(link: Link, code: number): void {
    if (link === this.#probe) {
      this.#probe = undefined;
      this.#probeLater();
    }
    if (link !== this.#link) return;
    this.#endProbe();
    const next = nextAfter(code);
    const refused = this.#credential && (code === UNAUTHENTICATED || code === FORBIDDEN);
    // A socket that was told what is wrong is not blocked.
    if (!this.#ready && !refused && link instanceof SocketLink) this.#refused += 1;
    // Only a connection that lasted resets the back-off: a server that accepts and closes at once must not be overloaded.
    if (this.#readySince !== undefined && this.#around.now() - this.#readySince > STAY_MS) {
      this.#attempt = this.#refusals = 0;
    }
    const wait = this.#bye?.after_ms ?? waitMs(next, this.#attempt, this.#around.random, this.#cap);
    this.#attempt += 1;
    this.#link = undefined;
    this.#ready = false;
    this.#readySince = undefined;
    this.#lostAt ??= this.#activeAt;
    this.#reportStop(code, next);
    if (refused) this.#onRefused(code);
    else this.#retry = this.#around.setTimer(() => this.#connect(), wait);
    for (const subscription of this.#subscriptions) {
      subscription.enter(this.#disconnected);
      if (next === "snapshot") subscription.startOver(CLOSE_CODES[code]?.reason ?? "");
    }
    this.#settle();
  }

  /** A function is asked for another token at once, and a connection tried with it soon, or slowly if that is refused too. */
  #onRefused(code: number): void {
    this.#unauthorized = true;
    this.#refusals += 1;
    // A stream that was answered is not blocked: it is next again.
    this.#streamFailed = false;
    if (!this.#credential?.isRenewable) return;
    // An error is that of the connection, which obtains the same answer or asks again.
    this.#credential.refuse(CLOSE_CODES[code]?.reason ?? "").catch(() => {});
    const wait = refusedMs(this.#refusals, this.#around.random, this.#cap);
    this.#retry = this.#around.setTimer(() => this.#connect(), wait);
  }

  #reportStop(code: number, next: Next): void {
    if (next !== "stop" && next !== "authenticate") return;
    const reason = this.#bye?.reason ?? CLOSE_CODES[code]?.reason ?? String(code);
    this.#error = {
      code: reason,
      message: `the server closed the connection: ${reason} (${code})`,
      retry: false,
    };
  }

  /** Stops all timers and links. */
  #release(): void {
    for (const timer of [this.#retry, this.#linger]) this.#around.clearTimer(timer);
    this.#retry = this.#asking = undefined;
    this.#renewal?.stop();
    this.#endProbe();
    this.#link?.close();
    this.#link = undefined;
    this.#ready = this.#everReady = this.#stale = this.#unauthorized = false;
    this.#offWake?.();
    this.#offWake = undefined;
    this.#settle();
  }

  #endProbe(): void {
    this.#around.clearTimer(this.#nextProbe);
    this.#probe?.close();
    this.#probe = undefined;
  }

  #settle(): void {
    if (this.#state === "closed") return;
    const states = [...this.#subscriptions].map(({ state }) => state);
    if (this.#ready) {
      const isLive = states.every((state) => state === "live");
      this.#state = isLive ? "live" : "catching-up";
      if (isLive) this.#lostAt = this.#error = undefined;
    } else if (!this.#unauthorized && !this.#link && !this.#asking && this.#retry === undefined)
      this.#state = "idle";
    else this.#state = this.#disconnected;
    this.#notify();
  }

  get #disconnected(): State {
    if (this.#unauthorized) return "unauthorized";
    return this.#everReady ? "reconnecting" : "connecting";
  }

  #notify(): void {
    for (const watcher of [...this.#watchers]) callApplication(watcher);
  }
}
