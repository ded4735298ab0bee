/** Which readings arrived, and which of them twice: the end-to-end test compares them with the database. */

import type { SubscriptionEvent } from "@rowcast/client";

/** Enough to detect a duplicate at any rate the page can show; bounded, since a page may stay open for months. */
const REMEMBERED_IDS = 50_000;
const LOGGED_IDS = 10_000;

export class Ledger {
  /** Ids of the events' readings in the order of arrival, the last 10,000. */
  readonly ids: number[] = [];
  /** Events with a reading that the page already had, which the client should have dropped. */
  duplicates = 0;
  readonly #seen = new Set<number>();

  readonly note = (event: SubscriptionEvent): void => {
    if (event.type !== "reading") return;
    const { id } = event.reading;
    const isNew = !this.#seen.has(id);
    this.#remember(id);
    if (event.snapshot) return;
    if (!isNew) this.duplicates += 1;
    else this.#log(id);
  };

  #remember(id: number): void {
    this.#seen.add(id);
    if (this.#seen.size <= REMEMBERED_IDS) return;
    for (const oldest of this.#seen) {
      this.#seen.delete(oldest);
      return;
    }
  }

  #log(id: number): void {
    this.ids.push(id);
    // In place, since the test keeps a reference to the array; rarely, since it moves all of it.
    if (this.ids.length >= 2 * LOGGED_IDS) this.ids.splice(0, this.ids.length - LOGGED_IDS);
  }
}
