/**
 * Bounded map that forgets what was not asked for lately.
 *
 * Two generations: when the young one is full it becomes the old one, and the old one is dropped whole. A read of the
 * old one moves the entry to the young one. Reads stay cheap, unlike those of a list ordered by use.
 *
 * @internal
 */
export class BoundedCache<Value> {
  readonly #generation: number;
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  /** @param size Entries kept at the most, rounded up to an even number; 0 keeps none. */
  constructor(size: number) {
    this.#generation = Math.ceil(size / 2);
  }

  get(key: string): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: Value): void {
    if (this.#generation === 0) return;
    if (this.#young.size >= this.#generation && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
