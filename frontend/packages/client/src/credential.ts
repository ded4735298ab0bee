/** The token that a client presents: its own text, or what a function of the application answers. */

import type { CommandError } from "./wire.ts";

/**
 * A token or device key, or a function that is asked for one: before the first connection, when the token ends soon, and
 * after a refusal, whose reason it then gets. It may answer later; `undefined` means to try without.
 */
export type TokenSource =
  | string
  | ((refusal: string | undefined) => string | undefined | Promise<string | undefined>);

type Answer = Promise<string | undefined>;

export class Credential {
  #token: string | undefined;
  /** The token may be used, or none is to be. */
  #isUsable = false;
  /** Why the last one was refused, until there is another. */
  #refusal: string | undefined;
  #endsAt = Number.POSITIVE_INFINITY;
  /** The answer that the application still owes. */
  #asked: Answer | undefined;
  readonly #source: TokenSource;
  readonly #now: () => number;

  constructor(source: TokenSource, now: () => number) {
    this.#source = source;
    this.#now = now;
  }

  get token(): string | undefined {
    return this.#token;
  }

  /** Whether there may be another token than the present one. */
  get isRenewable(): boolean {
    return typeof this.#source === "function";
  }

  /** The gateway told when the token ends. */
  endsIn(ms: number): void {
    this.#endsAt = this.#now() + ms;
  }

  /** The token for a new connection. */
  obtain(): Answer {
    if (this.#isUsable && this.#now() < this.#endsAt) return Promise.resolve(this.#token);
    return this.renew();
  }

  /** Another token, while the present one is still in force. */
  renew(): Answer {
    return this.#asked ?? this.#ask();
  }

  /** The present token was refused: asks for another one at once, whatever was asked before. */
  refuse(reason: string): Answer {
    this.#isUsable = false;
    this.#refusal = reason;
    return this.#ask();
  }

  #ask(): Answer {
    const source = this.#source;
    const refusal = this.#refusal;
    const asked: Answer = Promise.resolve()
      .then(() => (typeof source === "function" ? source(refusal) : source))
      .then((token) => {
        if (asked === this.#asked) this.#take(token);
        return token;
      })
      .finally(() => {
        if (asked === this.#asked) this.#asked = undefined;
      });
    this.#asked = asked;
    return asked;
  }

  #take(token: string | undefined): void {
    this.#token = token;
    this.#isUsable = true;
    this.#refusal = undefined;
    this.#endsAt = Number.POSITIVE_INFINITY;
  }
}

/** The application's own error, as one of the client. */
export function noToken(error: unknown): CommandError {
  const message = error instanceof Error ? error.message : String(error);
  return { code: "no-token", message: `no token: ${message}`, retry: true };
}
