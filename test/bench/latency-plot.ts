/** The moment of a trouble, or its time. */
export interface Mark {
  readonly at: number;
  readonly until: number;
  readonly label: string;
}

/** What was measured: all times in ms since its begin. */
export interface Panel {
  /** When each write was done, and what it took. */
  readonly points: readonly { readonly at: number; readonly ms: number }[];
  /** While the backup ran. */
  readonly run: { readonly from: number; readonly to: number } | null;
  readonly marks: readonly Mark[];
  readonly longestGapMs: number;
}

/** Panels side by side with the same axes; null: there is none. */
export interface Row {
  readonly title: string;
  readonly panels: readonly (Panel | null)[];
}

const LEFT = 52;
const WIDE = 470;
const BETWEEN = 26;
const HEAD = 64;
const HEIGHT = 174;
const TOP = 54;
const BOTTOM = 24;
const PLOT = HEIGHT - TOP - BOTTOM;
/** The guest's log has whole ms: below one is none. */
const LOWEST = 0.5;

/** Write latency over time as SVG: a row for each situation, latency on a scale of powers of ten that is the same in all. */
export function plotLatency(columns: readonly string[], rows: readonly Row[]): string {
  const all = rows.flatMap(({ panels }) => panels.flatMap((panel) => panel?.points ?? []));
  const highest = Math.ceil(Math.log10(Math.max(1000, ...all.map(({ ms }) => ms))) * 2) / 2;
  const y = (ms: number): number => {
    const share = Math.log10(Math.max(ms, LOWEST) / LOWEST) / (highest - Math.log10(LOWEST));
    return Math.round(TOP + PLOT * (1 - share));
  };
  const width = LEFT + columns.length * (WIDE + BETWEEN);
  const height = HEAD + rows.length * HEIGHT;
  const across = (column: number): number => LEFT + column * (WIDE + BETWEEN);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`,
    '<style>.run{fill:#69c;fill-opacity:.25}.mark{stroke:#c60}.trouble{fill:#f90;fill-opacity:.25}.label{fill:#a50}.grid{stroke:#ccc}.title{font-size:13px;font-weight:bold}.gap{fill:#555}.write{stroke:#b22222;stroke-width:2.4;stroke-linecap:round;fill:none}</style>',
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text class="title" x="${LEFT}" y="18">How long each write of the guest took, by its own log: a dot where it ended, a line from its begin. Shaded: the backup.</text>`,
    ...columns.map((title, column) => `<text class="title" x="${across(column)}" y="42">${title}</text>`),
    ...rows.flatMap(({ title, panels }, index) => {
      const until = Math.max(1000, ...panels.flatMap((panel) => panel?.points.map(({ at }) => at) ?? []));
      return [
        `<g transform="translate(0 ${HEAD + index * HEIGHT})">`,
        `<text class="title" x="${LEFT}" y="16">${title}</text>`,
        ...decades(highest).map((ms) => `<text x="${LEFT - 6}" y="${y(ms) + 4}" text-anchor="end">${label(ms)}</text>`),
        ...panels.flatMap((panel, column) => [
          `<g transform="translate(${across(column)} 0)">`,
          ...decades(highest).map((ms) => `<path class="grid" d="M0 ${y(ms)}H${WIDE}"/>`),
          ...(panel === null
            ? [`<text class="gap" x="8" y="${TOP + PLOT / 2}">by push there is no scratch directory</text>`]
            : draw(panel, until, y)),
          '</g>',
        ]),
        '</g>',
      ];
    }),
    '</svg>\n',
  ].join('\n');
}

function draw({ points, run, marks, longestGapMs }: Panel, until: number, y: (ms: number) => number): string[] {
  const x = (at: number): number => Math.round((2 * WIDE * Math.max(0, at)) / until) / 2;
  const band = (kind: string, from: number, to: number): string =>
    `<rect class="${kind}" x="${x(from)}" y="${TOP}" width="${x(to) - x(from)}" height="${PLOT}"/>`;
  const step = [1, 2, 5, 10, 20].find((seconds) => until / 1000 / seconds <= 12) ?? 50;
  const seconds = Array.from({ length: Math.floor(until / 1000 / step) + 1 }, (_, index) => index * step);
  // What falls on the same spot is drawn once: nothing that stands out is lost.
  const writes = new Set(
    points.map(({ at, ms }) => {
      const [from, to] = [x(at - ms), x(at)];
      return to - from < 2 ? `M${to} ${y(ms)}h0` : `M${from} ${y(ms)}H${to}`;
    }),
  );
  return [
    run === null ? '' : band('run', run.from, run.to),
    ...marks.map((mark) => band('trouble', mark.at, mark.until)),
    ...seconds.map((at) => `<text x="${x(at * 1000)}" y="${HEIGHT - BOTTOM + 14}" text-anchor="middle">${at} s</text>`),
    ...marks.map(({ at, label: text }) => {
      const [side, anchor] = x(at) > WIDE / 2 ? [x(at) - 4, 'end'] : [x(at) + 4, 'start'];
      return `<path class="mark" d="M${x(at)} ${TOP - 14}V${TOP + PLOT}"/><text class="label" x="${side}" y="${TOP - 5}" text-anchor="${anchor}">${text}</text>`;
    }),
    `<text class="gap" x="${WIDE}" y="32" text-anchor="end">longest without a write: ${label(longestGapMs)}</text>`,
    `<path class="write" d="${[...writes].join('')}"/>`,
  ];
}

const decades = (highest: number): number[] => Array.from({ length: Math.floor(highest) + 1 }, (_, power) => 10 ** power);

const label = (ms: number): string => (ms >= 1000 ? `${Number((ms / 1000).toPrecision(3))} s` : `${ms} ms`);
