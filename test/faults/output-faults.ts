import { appendFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { waitForRun } from '../story/story';
import { until } from '../support/brake';
import type { Fault } from './fault';
import type { Stricken } from './stricken';

const MIB = 1024 * 1024;
/** The service may grow by so much while it reads what a job printed, however much that is. */
const GROWTH = 150 * MIB;

type Alter = (file: (stream: 'stdout' | 'stderr') => string) => void;

const output = (what: string, outcomes: RegExp, strike: Fault['strike'], more: Partial<Fault> = {}): Fault => ({
  ...{ what, step: 'copying', outcomes, strike },
  ...more,
});

/** While the script works: what it says itself comes after it. */
const before =
  (alter: Alter): Fault['strike'] =>
  (host, job) => {
    alter((stream) => host.jobFile(job, stream));
    return Promise.resolve();
  };

/** When the script has ended, and nobody has read what it said. */
const after =
  (alter: Alter): Fault['strike'] =>
  async (host, job) => {
    await host.line('unlimited');
    await until(() => existsSync(host.jobFile(job, 'exit')), 'the script has ended');
    alter((stream) => host.jobFile(job, stream));
  };

/** Cuts stdout some characters behind a text. */
const cut = (text: string, behind: number): Fault['strike'] =>
  after((file) => {
    const at = readFileSync(file('stdout'), 'latin1').indexOf(text);
    if (at < 0) throw new Error(`the script has not said ${text}`);
    truncateSync(file('stdout'), at + behind);
  });

const append = (stream: 'stdout' | 'stderr', bytes: Buffer | string): Alter => {
  const data = Buffer.from(bytes as string, 'latin1');
  return (file) => appendFileSync(file(stream), data);
};

const flood =
  (stream: 'stdout' | 'stderr'): Alter =>
  (file) => {
    const piece = Buffer.from('qemu-img: warning: this is said again and again\n'.repeat(21_846));
    for (let written = 0; written < 200 * MIB; written += piece.length) appendFileSync(file(stream), piece);
  };

/** The same, with the service's memory watched until the run has ended. */
function bounded(fault: Fault): Fault {
  const marks = new WeakMap<Stricken, number>();
  return {
    ...fault,
    strike: async (host, job, moment) => {
      await fault.strike(host, job, moment);
      // The peak is counted from here on.
      writeFileSync(`/proc/${host.service.pid}/clear_refs`, '5');
      marks.set(host, memoryOf(host, 'VmRSS'));
    },
    mend: async (host, job) => {
      await host.line('unlimited');
      await waitForRun(host.client, job, 120);
      const growth = memoryOf(host, 'VmHWM') - (marks.get(host) ?? 0);
      if (growth > GROWTH) throw new Error(`the service grew by ${Math.round(growth / MIB)} MiB`);
    },
  };
}

function memoryOf({ service }: Stricken, what: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${service.pid}/status`, 'utf8');
  return Number(new RegExp(`^${what}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
}

const LOOKALIKES = [
  'BITMAP_CREATED=evil',
  'BITMAP_CREATED=backup-1',
  'FACTS={}',
  'FACTS={"v":1',
  'INCREMENTAL_FALLBACK=true?',
  ' BITMAP_RECREATED=evil',
  'qemu-img: FACTS={"v":1}',
  '4711',
  'Job type:         Completed   ',
  '',
].join('\n');
const GARBAGE = Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 167 + (index >> 3)) & 0xff));
const NOT_UTF8 = 'never finished \xc3\x28 \xa0\xa1 \xe2\x28\xa1 \xf0\x28\x8c\x28 \xff\xfe\n';
const NUL = `nul ${'\0'.repeat(512)} bytes\n`;

/** What becomes of the words of the host script on their way. */
export const OUTPUT_FAULTS: readonly Fault[] = [
  output('stdout is cut within the facts', /^failed size-missing$/, cut('FACTS=', 100), { quick: true }),
  output('stdout is cut within the size', /^failed size-contradicted$/, cut('\nBITMAP_CREATED=', -2)),
  output('stdout is cut within its last line', /^succeeded$/, cut('BITMAP_CREATED=', 20), { next: /^FULL bitmap-unconfirmed$/ }),
  output('garbage follows on stdout', /^failed size-not-last$/, after(append('stdout', GARBAGE))),
  output('garbage follows on stderr', /^succeeded$/, after(append('stderr', GARBAGE))),
  bounded(output('200 MB stand on stdout before what the script says', /^succeeded$/, before(flood('stdout')))),
  bounded(output('200 MB follow on stdout', /^failed size-not-last$/, after(flood('stdout')))),
  bounded(output('200 MB stand on stderr', /^succeeded$/, before(flood('stderr')))),
  output('bytes that are no UTF-8 stand before what the script says', /^succeeded$/, before(append('stdout', NOT_UTF8))),
  output('bytes that are no UTF-8 follow on both streams', /^failed size-not-last$/, after(both(NOT_UTF8))),
  output('NUL bytes stand before what the script says, on both streams', /^succeeded$/, before(both(NUL))),
  output('NUL bytes follow on stdout', /^failed size-not-last$/, after(append('stdout', NUL))),
  output('look-alikes of markers stand before what the script says', /^succeeded$/, before(append('stdout', LOOKALIKES))),
  output('look-alikes of markers stand on stderr', /^succeeded$/, after(append('stderr', LOOKALIKES))),
  output('another bitmap’s marker follows', /^succeeded$/, after(append('stdout', 'BITMAP_CREATED=evil\n')), {
    next: /^FULL bitmap-unconfirmed$/,
  }),
  output('facts of nothing follow', /^failed nothing-done$/, after(append('stdout', 'FACTS={}\n'))),
];

function both(text: string): Alter {
  return (file) => {
    append('stdout', text)(file);
    append('stderr', text)(file);
  };
}
