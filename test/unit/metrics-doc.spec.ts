import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { METRICS } from '../../src/metrics/metric-list';

const page = readFileSync(join(__dirname, '../../docs/metrics.md'), 'utf8');
const rows = [...page.matchAll(/^\| `(\w+)` \| (\w+) \|[^|]*\|([^|]+)\|([^|]+)\|$/gm)].map((row) => row.slice(1));

describe('docs/metrics.md', () => {
  it('lists every metric and no other, with its type, in order', () => {
    expect(rows.map(([name, type]) => [name, type])).toEqual(Object.entries(METRICS).map(([name, { type }]) => [name, type]));
  });

  it('alerts by metrics that there are', () => {
    const [, alerts = ''] = page.split('## Alerts');
    const named = [...alerts.matchAll(/\bchainkeeper_\w+/g)].map(([name]) => name);
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !Object.hasOwn(METRICS, name))).toEqual([]);
  });

  it('ends the names of what is counted, and no other, in _total', () => {
    const odd = Object.entries(METRICS).filter(([name, { type }]) => (type === 'counter') !== name.endsWith('_total'));
    expect(odd).toEqual([]);
  });
});
