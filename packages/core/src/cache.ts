/** What a cache holds. It is marked itself: an entry around it would be one more place in memory for a read to wait for. */
export interface Cached {
  /** Whether it was read since the last eviction that spared it. The cache sets it. */
  used?: boolean;
}

/**
 * Bounded map that evicts entries that were not read lately.
 *
 * When it is full, the oldest entry goes, but an entry that was read gets a second round first. A read only sets a
 * flag, which is cheaper than reordering a list.
 *
 * @internal
 */
export class BoundedCache<Value extends Cached> {
  readonly #size: number;
  readonly #entries = new Map<string, Value>();

  /** @param size Entries kept at the most; 0 keeps none. */
  constructor(size: number) {
    this.#size = size;
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    entry.used = true;
    return entry;
  }

  set(key: string, value: Value): void {
    if (!this.#entries.has(key)) {
      if (this.#size < 1) return;
      if (this.#entries.size >= this.#size) this.#forget();
    }
    value.used = false;
    this.#entries.set(key, value);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** Drops one entry. It spares only a few, so its time does not grow with the map. */
  #forget(): void {
    let passes = 8;
    for (const [key, entry] of this.#entries) {
      this.#entries.delete(key);
      if (!entry.used || passes === 0) return;
      passes -= 1;
      entry.used = false;
      this.#entries.set(key, entry);
    }
  }
}
