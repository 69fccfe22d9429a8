import fc from 'fast-check';
import { readMetrics } from '../../../test/support/read-metrics';
import { type Metric, writeMetrics } from './write-metrics';

describe('writeMetrics', () => {
  it('writes a head, and a line for each value', () => {
    const metrics: Metric[] = [
      { name: 'a_total', type: 'counter', help: 'How \\ often\nit was.', samples: [{ value: 3 }] },
      {
        ...{ name: 'b_bytes', type: 'gauge', help: 'Bytes.' },
        samples: [
          { labels: { of: 'na"s\\1\n', zone: 'ü, } {' }, value: 1e21 },
          { labels: { of: '' }, value: -Infinity },
          { labels: { of: 'x' }, value: Infinity },
          { labels: { of: 'y' }, value: NaN },
        ],
      },
      {
        ...{ name: 'c_seconds', type: 'summary', help: 'Seconds.' },
        samples: [
          { part: 'sum', value: 0.5 },
          { part: 'count', value: 2 },
        ],
      },
      { name: 'd', type: 'gauge', help: 'Nobody knows.', samples: [] },
    ];
    expect(writeMetrics(metrics)).toBe(`# HELP a_total How \\\\ often\\nit was.
# TYPE a_total counter
a_total 3
# HELP b_bytes Bytes.
# TYPE b_bytes gauge
b_bytes{of="na\\"s\\\\1\\n",zone="ü, } {"} 1e+21
b_bytes{of=""} -Inf
b_bytes{of="x"} +Inf
b_bytes{of="y"} NaN
# HELP c_seconds Seconds.
# TYPE c_seconds summary
c_seconds_sum 0.5
c_seconds_count 2
# HELP d Nobody knows.
# TYPE d gauge
`);
  });

  it('is read back as it was, whatever a label says', () => {
    const said = fc.string({ unit: fc.constantFrom('"', '\\', '\n', 'n', ',', '}', '{', '=', ' ', 'ü', '\r') });
    fc.assert(
      fc.property(said, said, fc.double(), (one, other, value) => {
        const text = writeMetrics([
          { name: 'm', type: 'gauge', help: `x${one}`, samples: [{ labels: { one, other }, value: value || 0 }] },
        ]);
        expect([...readMetrics(text)]).toEqual([
          ['m', { type: 'gauge', help: `x${one}`, samples: [{ name: 'm', labels: { one, other }, value: value || 0 }] }],
        ]);
      }),
    );
  });
});
