import type { HourLoadDto } from './dto/preview.dto';

const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [960, 320, 70, 30, 60];
const HOUR = 3_600_000;
/** Told apart by colour-blind people too (Okabe and Ito). */
const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#f0e442', '#000000'];

/** The load per hour as a picture: a bar for each hour, a part of it for each host; its height is how many backups go on at a time. */
export function drawLoad(load: readonly HourLoadDto[]): string {
  const hosts = [...new Set(load.map(({ host }) => host ?? '-'))].sort();
  const hours = load.map(({ hour }) => Date.parse(hour));
  const first = Math.min(...hours);
  const count = load.length === 0 ? 1 : (Math.max(...hours) - first) / HOUR + 1;
  const sums = new Map<number, number>();
  for (const { hour, seconds } of load) sums.set(Date.parse(hour), (sums.get(Date.parse(hour)) ?? 0) + seconds / 3600);
  const most = Math.max(...sums.values(), 0) || 1;
  const [width, height] = [(WIDTH - LEFT - 20) / count, HEIGHT - TOP - BOTTOM];
  const drawn = new Map<number, number>();
  const bars = load.map(({ hour, host, seconds, starts, bytes }) => {
    const at = Date.parse(hour);
    const from = drawn.get(at) ?? 0;
    const tall = (seconds / 3600 / most) * height;
    drawn.set(at, from + tall);
    const [x, y] = [LEFT + ((at - first) / HOUR) * width, TOP + height - from - tall];
    const words = `${hour.slice(0, 16)}Z ${host ?? '-'}: ${starts} start, ${seconds} s, ${bytes} bytes`;
    return `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${Math.max(width - 1, 0.5).toFixed(1)}" height="${tall.toFixed(1)}" fill="${COLOURS[hosts.indexOf(host ?? '-') % COLOURS.length]}"><title>${escape(words)}</title></rect>`;
  });
  const every = Math.ceil(count / 12);
  const labels = Array.from({ length: Math.ceil(count / every) }, (_, index) => {
    const shown = load.length === 0 ? '' : new Date(first + index * every * HOUR).toISOString().slice(5, 16).replace('T', ' ');
    return `<text x="${(LEFT + index * every * width).toFixed(1)}" y="${HEIGHT - BOTTOM + 16}">${shown}</text>`;
  });
  const keys = hosts
    .slice(0, COLOURS.length)
    .map(
      (host, index) =>
        `<rect x="${LEFT + index * 110}" y="${HEIGHT - 26}" width="10" height="10" fill="${COLOURS[index]}"/><text x="${LEFT + index * 110 + 14}" y="${HEIGHT - 17}">${escape(host.slice(0, 14))}</text>`,
    );
  const lines = [0, 0.5, 1].map((part) => {
    const y = (TOP + height * (1 - part)).toFixed(1);
    return `<path d="M${LEFT} ${y}H${WIDTH - 20}" stroke="#ccc"/><text x="${LEFT - 6}" y="${y}" text-anchor="end">${(most * part).toPrecision(2)}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/><text x="${LEFT}" y="18" font-size="13">Backups at a time, by hour (UTC) and host</text>`,
    ...lines,
    ...bars,
    ...labels,
    ...keys,
    '</svg>\n',
  ].join('\n');
}

/** Names are other people's. */
const escape = (text: string): string => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`).replace(/\p{Cc}/gu, ' ');
