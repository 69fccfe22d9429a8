/** Rows by the id of what they belong to; an id without rows has an empty list. */
export function byOwner<T>(rows: readonly T[], ownerOf: (row: T) => number): (id: number) => T[] {
  const groups = new Map<number, T[]>();
  for (const row of rows) {
    const group = groups.get(ownerOf(row));
    if (group) group.push(row);
    else groups.set(ownerOf(row), [row]);
  }
  return (id) => groups.get(id) ?? [];
}
