/** Something that takes a while to make, and is made again when what there is has become too old. Who asks at one time gets the same. */
export class Kept<T> {
  #kept: { readonly at: number; readonly made: Promise<T> } | undefined;

  constructor(
    private readonly forMs: number,
    private readonly make: () => Promise<T>,
  ) {}

  get(): Promise<T> {
    const now = performance.now();
    if (this.#kept === undefined || now - this.#kept.at > this.forMs) {
      const made = this.make();
      this.#kept = { at: now, made };
      // What failed is not kept.
      made.catch(() => {
        if (this.#kept?.made === made) this.#kept = undefined;
      });
    }
    return this.#kept.made;
  }
}
