/** The token that a person gives to the page, kept in its memory only, and what the page asks for. */

/** Why the page asks for a token. */
export type Asked = "wanted" | "needed" | "refused" | "forbidden" | "ending" | "ended";

export class Access {
  #asked: Asked | undefined;
  #hasToken = false;
  #answer: ((token: string) => void) | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #asksFirst: boolean;

  /** With `asksFirst` it asks before the gateway does, as a gateway with public sensors does not. */
  constructor(asksFirst: boolean) {
    this.#asksFirst = asksFirst;
  }

  // Arrow functions, since the client and React get them unbound.

  /** The client's question. Without a token the page first tries whether it needs one, unless it asks first. */
  readonly ask = (refusal: string | undefined): Promise<string> | undefined => {
    if (refusal === undefined && !this.#hasToken && !this.#asksFirst) return undefined;
    this.#show(this.#reason(refusal));
    return new Promise((resolve) => {
      this.#answer = resolve;
    });
  };

  /** Why there is a question, if there is one. */
  readonly asked = (): Asked | undefined => this.#asked;

  readonly onAsked = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly give = (token: string): void => {
    this.#hasToken = true;
    this.#answer?.(token);
    this.#answer = undefined;
    this.#show(undefined);
  };

  #reason(refusal: string | undefined): Asked {
    if (refusal === undefined) return this.#hasToken ? "ending" : "wanted";
    if (!this.#hasToken) return "needed";
    // Nobody answered while it was ending.
    if (this.#asked === "ending") return "ended";
    return refusal === "forbidden" ? "forbidden" : "refused";
  }

  #show(asked: Asked | undefined): void {
    this.#asked = asked;
    for (const listener of this.#listeners) listener();
  }
}
