/** Something that takes a while to make. Who asks at one time gets the same. */
export class Kept<T> {
  #kept: { readonly at: number; readonly made: T } | undefined;
  #making: Promise<T> | undefined;

  constructor(
    private readonly forMs: number,
    private readonly make: () => Promise<T>,
  ) {}

  /** What is this old at most, and up to twice as old while another is being made. */
  async get(): Promise<T> {
    const age = this.#kept === undefined ? Infinity : performance.now() - this.#kept.at;
    if (age > this.forMs) this.#making ??= this.#makeAnew();
    return this.#kept !== undefined && age <= this.forMs * 2 ? this.#kept.made : (this.#making as Promise<T>);
  }

  #makeAnew(): Promise<T> {
    const made = this.make();
    made.then(
      (value) => {
        this.#kept = { at: performance.now(), made: value };
        this.#making = undefined;
      },
      () => (this.#making = undefined),
    );
    return made;
  }
}
