/** Asks for another token while the present one is in force. */

import { type Credential, noToken } from "./credential.ts";
import type { Surroundings } from "./surroundings.ts";
import type { CommandError } from "./wire.ts";

export class Renewal {
  #timer: unknown;
  readonly #credential: Credential;
  readonly #around: Surroundings;

  constructor(credential: Credential, around: Surroundings) {
    this.#credential = credential;
    this.#around = around;
  }

  /** Instead of what was planned before. The same token again would not last longer: the connection ends with it. */
  after(
    ms: number,
    refusal: string | undefined,
    renewed: () => void,
    failed: (error: CommandError) => void,
  ): void {
    this.stop();
    this.#timer = this.#around.setTimer(() => {
      const { token: before } = this.#credential;
      const answer = refusal === undefined ? this.#credential.renew() : this.#credential.refuse(refusal);
      answer.then(
        (token) => {
          if (token !== undefined && token !== before) renewed();
        },
        (error) => failed(noToken(error)),
      );
    }, ms);
  }

  stop(): void {
    this.#around.clearTimer(this.#timer);
  }
}
