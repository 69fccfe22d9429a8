/** Which part of a list: at most `limit` rows below the id `after`, newest first. */
export interface Part {
  readonly limit: number;
  readonly after?: number | undefined;
}

/** Part of a list. `next` is the `after` of the part that follows; null when this is the last. */
export interface Listed<T> {
  readonly items: T[];
  readonly next: number | null;
}

/** Cuts rows that were read one beyond the limit, which tells whether there are more. */
export function cut<T>(rows: readonly T[], limit: number, idOf: (row: T) => number): Listed<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, next: rows.length > limit && last !== undefined ? idOf(last) : null };
}
