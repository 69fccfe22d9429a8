/** A clock that is wrong by so many milliseconds; whatever measures (timers, `performance.now`) stays right. Answers what puts it right again. */
export function shiftClock(ms: number): () => void {
  const Right = Date;
  globalThis.Date = class extends Right {
    constructor(...parts: [] | [string | number | Date]) {
      super(...((parts.length === 0 ? [Right.now() + ms] : parts) as [number]));
    }

    static override now = (): number => Right.now() + ms;
    /** What was made before is a date all the same. */
    static override [Symbol.hasInstance](value: unknown): boolean {
      return value instanceof Right;
    }
  } as DateConstructor;
  return () => {
    globalThis.Date = Right;
  };
}
