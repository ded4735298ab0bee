/** One ticking second for the whole page. */
export class Clock {
  #now: number;
  #timer: ReturnType<typeof setInterval> | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #read: () => number;

  constructor(read: () => number) {
    this.#read = read;
    this.#now = read();
  }

  /** The time of the last tick: the same within a render, as React asks. */
  readonly now = (): number => this.#now;

  readonly onTick = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    this.#timer ??= setInterval(() => this.#tick(), 1_000);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  };

  #tick(): void {
    this.#now = this.#read();
    for (const listener of this.#listeners) listener();
  }
}
