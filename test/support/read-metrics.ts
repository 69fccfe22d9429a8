/** A value as it was read. */
export interface ReadSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric as it was read. */
export interface ReadMetric {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly ReadSample[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const PAIR = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/;
const LINE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? ([^ ]+)$`, 's');
const TYPES = ['counter', 'gauge', 'summary'];

/**
 * Reads the text format of Prometheus, and nothing that only nearly is: each metric once, HELP and TYPE before its values, no
 * two values of the same labels, counters that end in `_total` and are never negative.
 */
export function readMetrics(text: string): Map<string, ReadMetric> {
  if (!text.endsWith('\n')) throw new Error('The last line does not end.');
  const metrics = new Map<string, ReadMetric & { samples: ReadSample[] }>();
  const seen = new Set<string>();
  let now = '';
  let help: string | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    const fail = (why: string): never => {
      throw new Error(`${why}: ${line}`);
    };
    const [, word, name = '', said = ''] = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`, 's').exec(line) ?? [];
    if (word === 'HELP') {
      if (metrics.has(name) || help !== undefined) fail('a second HELP');
      [now, help] = [name, unescape(said, /\\(.)/g, fail)];
    } else if (word === 'TYPE') {
      if (name !== now || help === undefined || !TYPES.includes(said)) fail('no such TYPE here');
      if ((said === 'counter') !== name.endsWith('_total')) fail('a counter, and no other, ends in _total');
      metrics.set(name, { type: said, help: help ?? '', samples: [] });
      help = undefined;
    } else {
      const [, full = '', pairs = '', number = ''] = LINE.exec(line) ?? fail('no sample');
      const metric = metrics.get(now) ?? fail('a sample without TYPE');
      if (full !== now && !(metric.type === 'summary' && [`${now}_sum`, `${now}_count`].includes(full))) fail(`not of ${now}`);
      const labels = readLabels(pairs, fail);
      const key = JSON.stringify([full, Object.entries(labels).sort()]);
      if (seen.has(key)) fail('a second value of the same labels');
      seen.add(key);
      const value = /^[+-]?Inf$/.test(number) ? (number.startsWith('-') ? -Infinity : Infinity) : Number(number);
      if (number !== 'NaN' && Number.isNaN(value)) fail('no number');
      if (metric.type === 'counter' && !(value >= 0)) fail('a counter below 0');
      metric.samples.push({ name: full, labels, value });
    }
  }
  return metrics;
}

function readLabels(text: string, fail: (why: string) => never): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let rest = text; rest !== '';) {
    const [whole = '', name = '', said = '', comma] = PAIR.exec(rest) ?? fail('no labels');
    if (Object.hasOwn(labels, name)) fail('a label twice');
    labels[name] = unescape(said, /\\(["\\n])/g, fail);
    rest = rest.slice(whole.length);
    if ((comma === ',') !== (rest !== '')) fail('a comma too many');
  }
  return labels;
}

const unescape = (text: string, escapes: RegExp, fail: (why: string) => never): string =>
  text.replace(escapes, (_, character: string) => {
    if (character === 'n') return '\n';
    return /["\\]/.test(character) ? character : fail('an unknown escape');
  });
