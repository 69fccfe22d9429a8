/** What a metric is, whatever its value. */
export interface MetricHead {
  readonly type: 'counter' | 'gauge' | 'summary';
  /** For people. */
  readonly help: string;
}

/** One value of a metric. A label's value may come from outside. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
  /** Of a summary: which part of it. */
  readonly part?: 'sum' | 'count';
}

/** A metric with all of its values; two of them have no labels in common. */
export interface Metric extends MetricHead {
  readonly name: string;
  readonly samples: readonly Sample[];
}

/** What `writeMetrics` writes. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Metrics as Prometheus reads them. */
export const writeMetrics = (metrics: readonly Metric[]): string => metrics.map(writeMetric).join('');

const writeMetric = ({ name, type, help, samples }: Metric): string =>
  `# HELP ${name} ${escape(help)}\n# TYPE ${name} ${type}\n${samples.map((sample) => writeSample(name, sample)).join('')}`;

function writeSample(name: string, { labels = {}, value, part }: Sample): string {
  const pairs = Object.entries(labels).map(([label, said]) => `${label}="${escape(said).replaceAll('"', '\\"')}"`);
  return `${name}${part === undefined ? '' : `_${part}`}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${spell(value)}\n`;
}

const escape = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');

const spell = (value: number): string => (Math.abs(value) === Infinity ? `${value > 0 ? '+' : '-'}Inf` : String(value));
