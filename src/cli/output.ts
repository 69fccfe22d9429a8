/** One column of a table: its title and how a row fills it. */
export interface Column<T> {
  readonly title: string;
  readonly of: (row: T) => string | number | boolean | null | undefined;
  /** Numbers read better from the right. */
  readonly right?: boolean;
}

/** What hosts and people wrote must not steer the terminal. */
export const oneLine = (text: string): string => text.replace(/\p{Cc}/gu, (control) => JSON.stringify(control).slice(1, -1));

const cell = (value: string | number | boolean | null | undefined): string =>
  value === null || value === undefined ? '-' : value === true ? 'yes' : value === false ? 'no' : oneLine(String(value));

/** A plain table for people, columns as wide as their content. */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  const lines = [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ of }) => cell(of(row))))];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => (line[index] ?? '').length)));
  return lines
    .map((line) =>
      line
        .map((text, index) => (columns[index]?.right ? text.padStart(widths[index] ?? 0) : text.padEnd(widths[index] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Bytes for people, in binary units. Exact numbers are in `--json`. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return '-';
  let amount = value;
  let unit = 0;
  while (amount >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${value} B` : `${amount.toFixed(1)} ${UNITS[unit]}`;
}

/** How long ago for people, in its largest unit. */
export function age(since: string, now: number = Date.now()): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(since)) / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** A progress bar of fixed width; without a total it only says how much. */
export function progressBar(done: number, total: number | null, width = 30): string {
  if (total === null || total <= 0) return `${bytes(done)} so far`;
  const share = Math.min(1, done / total);
  const full = Math.round(share * width);
  return `[${'#'.repeat(full)}${'.'.repeat(width - full)}] ${Math.floor(share * 100)} % of ${bytes(total)}`;
}

/** Writes text, or the same thing as JSON with `--json`. */
export function show(json: boolean | undefined, value: unknown, text: () => string): void {
  process.stdout.write(`${json ? JSON.stringify(value, null, 2) : text()}\n`);
}
