/** A bounded number of turns, handed out in the order in which they were asked for. */
export class Slots {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(size: number) {
    this.#free = size;
  }

  /** Waits for a turn; gives back how to end it. Null when none came in time: nothing was taken then. */
  async take(patienceMs: number): Promise<(() => void) | null> {
    if (this.#free > 0) {
      this.#free -= 1;
    } else if (!(await this.#turn(patienceMs))) {
      return null;
    }
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    };
  }

  #turn(patienceMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const go = (): void => {
        clearTimeout(timer);
        resolve(true);
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1);
        resolve(false);
      }, patienceMs);
      this.#waiting.push(go);
    });
  }
}
