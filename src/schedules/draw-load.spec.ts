import { drawLoad } from './draw-load';
import type { HourLoadDto } from './dto/preview.dto';

const load = (hour: number, host: string | null, seconds: number): HourLoadDto => ({
  ...{ hour: new Date(Date.UTC(2026, 10, 29, hour)).toISOString(), host, starts: 1, unknown: 0, seconds, bytes: 5 },
});
const heights = (svg: string): number[] =>
  [...svg.matchAll(/height="([\d.]+)" fill="#\w+"><title>/g)].map(([, height]) => Number(height));

describe('drawLoad', () => {
  it('draws a bar for each hour and host, as tall as backups are long, one upon the other', () => {
    const svg = drawLoad([load(1, 'a', 3600), load(1, 'b', 1800), load(3, 'a', 900)]);
    const [first = 0, second = 0, third = 0] = heights(svg);
    expect([second / first, third / first].map((share) => share.toFixed(2))).toEqual(['0.50', '0.25']);
    expect(svg).toContain('<title>2026-11-29T01:00Z b: 1 start, 1800 s, 5 bytes</title>');
    expect(svg).toMatch(/>1\.5<\/text>/);
  });

  it('draws nothing of nothing, and no name as anything but text', () => {
    expect(heights(drawLoad([]))).toEqual([]);
    const svg = drawLoad([load(1, `<b>&"'\u0007`, 60), load(1, null, 60)]);
    expect(svg).not.toMatch(/<b>|\u0007|&"/);
    expect(svg).toContain('&#60;b&#62;&#38;&#34;&#39;');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(drawLoad([])).not.toMatch(/NaN|Infinity|undefined/);
  });
});
