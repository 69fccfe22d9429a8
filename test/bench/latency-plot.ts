/** One panel: what was measured, and how long each write took. */
export interface Panel {
  readonly title: string;
  readonly points: readonly { readonly at: number; readonly ms: number }[];
  /** ms between which the backup ran; null: there was none. */
  readonly run: { readonly from: number; readonly to: number } | null;
}

const WIDTH = 900;
const HEIGHT = 190;
const LEFT = 70;
const TOP = 34;
const BOTTOM = 34;

/** Write latency over time as SVG: one panel below the other, the same axes, latency on a scale of powers of ten. */
export function plotLatency(panels: readonly Panel[]): string {
  const points = panels.flatMap((panel) => panel.points);
  const until = Math.max(1000, ...points.map(({ at }) => at), ...panels.map(({ run }) => run?.to ?? 0));
  const lowest = Math.floor(Math.log10(Math.max(0.01, Math.min(...points.map(({ ms }) => ms)))));
  const highest = Math.ceil(Math.log10(Math.max(1, ...points.map(({ ms }) => ms))));
  const x = (at: number): string => (LEFT + ((WIDTH - LEFT - 20) * at) / until).toFixed(1);
  const y = (ms: number): string => {
    const share = (Math.log10(Math.max(ms, 10 ** lowest)) - lowest) / Math.max(1, highest - lowest);
    return (HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share).toFixed(1);
  };
  const decades = Array.from({ length: highest - lowest + 1 }, (_, index) => 10 ** (lowest + index));
  const step = [1, 2, 5, 10, 20, 50].find((seconds) => until / 1000 / seconds <= 12) ?? 100;
  const seconds = Array.from({ length: Math.floor(until / 1000 / step) + 1 }, (_, index) => index * step);
  const drawn = panels.map(({ title, points: dots, run }, index) =>
    [
      `<g transform="translate(0 ${index * HEIGHT})">`,
      run === null
        ? ''
        : `<rect class="run" x="${x(run.from)}" y="${TOP}" width="${(Number(x(run.to)) - Number(x(run.from))).toFixed(1)}" height="${HEIGHT - TOP - BOTTOM}"/>`,
      ...decades.map(
        (ms) =>
          `<line class="grid" x1="${LEFT}" x2="${WIDTH - 20}" y1="${y(ms)}" y2="${y(ms)}"/><text x="${LEFT - 6}" y="${Number(y(ms)) + 4}" text-anchor="end">${label(ms)}</text>`,
      ),
      ...seconds.map((at) => `<text x="${x(at * 1000)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${at} s</text>`),
      `<text class="title" x="${LEFT}" y="${TOP - 12}">${title}</text>`,
      ...dots.map(({ at, ms }) => `<circle cx="${x(at)}" cy="${y(ms)}" r="2.5"/>`),
      '</g>',
    ].join('\n'),
  );
  const height = HEIGHT * panels.length;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">`,
    '<style>.run{fill:#cfe2f3}.grid{stroke:#bbb}.title{font-size:13px;font-weight:bold}circle{fill:#b22222}</style>',
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...drawn,
    '</svg>\n',
  ].join('\n');
}

const label = (ms: number): string => (ms >= 1000 ? `${ms / 1000} s` : `${Number(ms.toPrecision(1))} ms`);
