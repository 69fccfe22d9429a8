/** VMs that are alike: how long each of them waited at most, in seconds, sorted; before and after. */
export interface WaitBand {
  readonly title: string;
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [960, 400, 62, 14, 58, 58];
/** As many dots as a band has room for. */
const MOST_DOTS = 110;
const GAP = 16;
/** Of Okabe and Ito: told apart by colour-blind people too. The one is hollow, the other is not. */
const SIDES = [
  { key: 'before', title: 'first come, first served', style: 'fill="none" stroke="#d55e00"' },
  { key: 'after', title: 'in turns, with a share for fulls', style: 'fill="#0072b2"' },
] as const;
const MARKS = [
  [10, '10 s'],
  [60, '1 min'],
  [600, '10 min'],
  [3600, '1 h'],
  [36_000, '10 h'],
] as const;

/** The longest wait of each VM as SVG: a band for those that are alike, the VMs of a band by how long they waited, on a scale of powers of ten. */
export function drawWaits(bands: readonly WaitBand[]): string {
  const most = Math.log10(MARKS.at(-1)?.[0] ?? 1);
  const least = Math.log10(5);
  const y = (seconds: number): string => {
    const share = (Math.log10(Math.max(seconds, 5)) - least) / (most - least);
    return (HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share).toFixed(1);
  };
  const width = (WIDTH - LEFT - RIGHT - GAP * (bands.length - 1)) / bands.length;
  const drawn = bands.map((band, index) => {
    const from = LEFT + index * (width + GAP);
    const [what = '', ...much] = band.title.split(': ');
    const words = [what, much.join(': ')].map(
      (text, line) =>
        `<text x="${(from + width / 2).toFixed(1)}" y="${HEIGHT - BOTTOM + 18 + 15 * line}" text-anchor="middle">${text}</text>`,
    );
    const dots = SIDES.flatMap(({ key, style }) => {
      const every = Math.max(1, band[key].length / MOST_DOTS);
      const count = Math.min(band[key].length, MOST_DOTS);
      return Array.from({ length: count }, (_, dot) => {
        const at = count === 1 ? 0.5 : dot / (count - 1);
        // The last one is the longest wait of all.
        const seconds = band[key][dot === count - 1 ? band[key].length - 1 : Math.floor(dot * every)] ?? 0;
        return `<circle cx="${(from + 6 + (width - 12) * at).toFixed(1)}" cy="${y(seconds)}" r="2.6" ${style}/>`;
      });
    });
    return [
      `<rect x="${from.toFixed(1)}" y="${TOP}" width="${width.toFixed(1)}" height="${HEIGHT - TOP - BOTTOM}" fill="#f4f4f4"/>`,
      ...MARKS.map(
        ([seconds]) => `<path d="M${from.toFixed(1)} ${y(seconds)}h${width.toFixed(1)}" stroke="#ccc" stroke-width="1"/>`,
      ),
      ...dots,
      ...words,
    ].join('\n');
  });
  const keys = SIDES.map(
    ({ title, style }, index) =>
      `<circle cx="${LEFT + 6 + index * 210}" cy="42" r="4" ${style}/><text x="${LEFT + 16 + index * 210}" y="46">${title}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${LEFT}" y="22" font-size="14" font-weight="bold">How long each VM waited at most in a bad night; a dot is a VM, of many VMs some are drawn</text>`,
    ...keys,
    ...MARKS.map(([seconds, title]) => `<text x="${LEFT - 8}" y="${Number(y(seconds)) + 4}" text-anchor="end">${title}</text>`),
    ...drawn,
    '</svg>\n',
  ].join('\n');
}
