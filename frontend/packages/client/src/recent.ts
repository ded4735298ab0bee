/** A set that remembers the last `capacity` members and forgets the oldest first. */
export class Recent<T> {
  readonly #members = new Set<T>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  has(member: T): boolean {
    return this.#members.has(member);
  }

  /** False if it is in the set already. */
  add(member: T): boolean {
    if (this.#members.has(member)) return false;
    this.#members.add(member);
    if (this.#members.size > this.#capacity) {
      for (const oldest of this.#members) {
        this.#members.delete(oldest);
        break;
      }
    }
    return true;
  }

  clear(): void {
    this.#members.clear();
  }
}
