import { type Dialect } from '../../src/domain/agent/facts';
import { type RunPath } from '../../src/domain/agent/read-size';
import { type Random } from './random';

/** One run of a host script: what it printed, and what is true of it. The truth is made first, the text from it. */
export interface ModelRun {
  readonly dialect: Dialect;
  readonly vmState: RunPath;
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | null;
  readonly disks: number | undefined;
  readonly truth: Truth;
}

export interface Truth {
  readonly result: boolean;
  readonly size: number | null;
  readonly bitmapCreated: string | null;
  readonly bitmapRecreated: string | null;
  readonly incrementalFallback: boolean;
  readonly needsCleanup: boolean;
  /** Set where the model knows the very code. */
  readonly code: string | null | undefined;
  /** Names of markers that nobody knows. */
  readonly unknownMarkers: readonly string[];
}

type Damage = 'none' | 'no-size' | 'stranger' | 'unit' | 'too-large' | 'count' | 'zero';

const NOISE = [
  'mount.nfs: mount system call took long',
  'mount: /tmp/csbackup.x: WARNING: source write-protected, mounted read-only.',
  '       dmesg(1) may have more information after failed mount system call.',
  'Created symlink 12 -> 13',
  '100 percent',
  'size=4096',
  'Ünïcödé — ok',
];

// No reader may take one of these for a size, or for a warning.
const STRANGERS = [
  'Jul',
  '12 kB',
  '1e6',
  '0x1F',
  '-4',
  '+4',
  '1,000',
  '12.0',
  'total 8',
  '٣',
  'root.x.qcow2',
  '=5',
  'Aa=5',
  '5 5',
];

const JOB_LABELS = [
  'Operation:        Backup      ',
  'Time elapsed:     29235        ms',
  'File processed:   23.000 GiB',
  'Temporary disk space use: 0.000 B',
];

const bitmapName = (random: Random): string => `backup-${1_700_000_000 + random.below(200_000_000)}`;

function fileSize(random: Random): bigint {
  const digits = 1 + random.below(15);
  return BigInt(1 + random.below(9)) * 10n ** BigInt(digits - 1) + BigInt(random.below(10 ** Math.min(digits - 1, 9)));
}

interface Sizes {
  readonly lines: readonly string[];
  /** Of those that are numbers. */
  readonly sum: bigint;
  /** The first line of a stopped VM is no number: that is noise, and only who knows how many disks there are misses it. */
  readonly firstLost: boolean;
}

function sizes(random: Random, vmState: RunPath, damage: Damage): Sizes {
  const files = Array.from({ length: vmState === 'running' ? 1 : 1 + random.below(4) }, () => fileSize(random));
  const at = random.below(files.length);
  if (damage === 'too-large') files[at] = 2n ** 53n + (random.oneIn(2) ? 0n : BigInt(random.below(2 ** 31)) ** 3n);
  if (damage === 'zero') files[at] = 0n;
  const lines = files.map(String);
  if (damage === 'unit') {
    lines[at] = random.pick(STRANGERS);
    files[at] = 0n;
  }
  return {
    lines,
    sum: files.reduce((sum, file) => sum + file, 0n),
    firstLost: damage === 'unit' && vmState === 'stopped' && at === 0 && files.length > 1,
  };
}

const insert = (random: Random, lines: string[], line: string, from = 0): void => {
  lines.splice(from + random.below(lines.length - from + 1), 0, line);
};

/** A run of a script that speaks `dialect`; every choice comes from `random`. */
export function modelRun(random: Random): ModelRun {
  const dialect = random.pick(['legacy', 'seed', 'mid', 'final'] as const);
  const vmState = random.pick(['running', 'stopped'] as const);
  const damage: Damage = random.oneIn(3) ? random.pick(['no-size', 'stranger', 'unit', 'too-large', 'count', 'zero']) : 'none';
  const printed = sizes(random, vmState, damage);
  const speaksBitmaps = dialect === 'seed' || dialect === 'mid';
  const created = speaksBitmaps && random.oneIn(2) ? bitmapName(random) : null;
  const recreated = speaksBitmaps && random.oneIn(3) ? bitmapName(random) : null;
  const fallback = dialect !== 'legacy' && random.oneIn(4);
  const fallbackOnStderr = fallback && dialect === 'seed';
  const unknownMarkers = [
    ...new Set(random.some(2, () => random.pick(['BACKUP_SIZE_TOTAL', 'PARENT_BITMAP_DELETED', 'X', 'A_B']))),
  ];

  const lines = random.some(3, () => random.pick(NOISE));
  const jobBlock = vmState === 'running' && !random.oneIn(5);
  if (jobBlock) lines.push('Job type:         Completed   ', ...random.some(4, () => random.pick(JOB_LABELS)), '');
  const firstSize = lines.length;
  if (damage !== 'no-size') lines.push(...printed.lines);
  if (damage === 'stranger') {
    // Right behind the last number of a running VM, anywhere behind the first one of a stopped VM.
    if (vmState === 'running') lines.push(random.pick(STRANGERS));
    else insert(random, lines, random.pick(STRANGERS), firstSize + 1);
  }
  const afterword = vmState === 'running' && random.oneIn(6);
  if (afterword)
    lines.push(
      random.pick(['umount: /tmp/csbackup.x: target is busy.', 'warning: 5 mounts left', "rmdir: failed to remove '/tmp/x'"]),
    );

  for (let count = random.below(4); count > 0; count -= 1) insert(random, lines, random.pick(['', '', '   ', '\t']));
  if (created !== null) {
    if (random.oneIn(6)) insert(random, lines, 'BITMAP_CREATED=backup-1');
    const stale = lines.indexOf('BITMAP_CREATED=backup-1');
    insert(random, lines, `BITMAP_CREATED=${created}`, stale + 1);
  }
  if (recreated !== null) insert(random, lines, `BITMAP_RECREATED=${recreated}`);
  if (fallback && !fallbackOnStderr)
    insert(random, lines, `INCREMENTAL_FALLBACK=${random.pick(['true', '', 'full (VM stopped — x)'])}`);
  for (const name of unknownMarkers) insert(random, lines, `${name}=${random.pick(['', '5', 'a=b', '{"x":1}'])}`);

  const ending = random.pick(['\n', '\n', '\r\n']);
  const stdout = lines.map((line) => padded(random, line)).join(ending) + (random.oneIn(3) ? '' : ending);
  const exitCode = random.oneIn(3) ? random.pick([1, 2, 20, 21, 22, 32, 127, 143, -1, null]) : 0;
  const disksKnown = damage === 'count' || random.oneIn(2);
  const disks = disksKnown ? printed.lines.length + (damage === 'count' ? random.pick([-1, 1, 2]) : 0) : undefined;

  return {
    dialect,
    vmState,
    stdout,
    stderr: fallbackOnStderr ? 'INCREMENTAL_FALLBACK=full (VM stopped — incremental requires running VM)\n' : '',
    exitCode,
    disks,
    truth: truthOf({ dialect, vmState, damage, printed, disks, created, recreated, fallback, exitCode, unknownMarkers }),
  };
}

/** Blanks around a line mean nothing, except before a marker, which then is none. */
function padded(random: Random, line: string): string {
  const trailing = random.oneIn(8) ? random.pick([' ', '\t', '   ']) : '';
  return /^[A-Z_]+=/.test(line) || !random.oneIn(8) ? line + trailing : ` ${line}${trailing}`;
}

interface Known {
  readonly dialect: Dialect;
  readonly vmState: RunPath;
  readonly damage: Damage;
  readonly printed: Sizes;
  readonly disks: number | undefined;
  readonly created: string | null;
  readonly recreated: string | null;
  readonly fallback: boolean;
  readonly exitCode: number | null;
  readonly unknownMarkers: readonly string[];
}

/** What is true of the run, said without reading any text. */
function truthOf(known: Known): Truth {
  const { dialect, vmState, damage, created, exitCode, disks } = known;
  const { sum, firstLost } = known.printed;
  const unharmed = damage === 'none' || (damage === 'count' && vmState === 'running') || (firstLost && disks === undefined);
  const readable = unharmed && sum <= BigInt(Number.MAX_SAFE_INTEGER);
  const lost = exitCode === null || exitCode === -1;
  const rerun = dialect === 'mid' && exitCode === 21;
  const seedless = dialect === 'mid' && exitCode === 22;
  const zero = exitCode === 0 || seedless;
  const dirty = !lost && !rerun && !zero && readable && created !== null;
  const result = !lost && !rerun && readable && (zero || dirty);
  return {
    result,
    size: result ? Number(sum) : null,
    bitmapCreated: result && !seedless ? created : null,
    bitmapRecreated: known.recreated,
    incrementalFallback: known.fallback || rerun,
    needsCleanup: exitCode === 20 || dirty,
    code: result ? null : lost ? 'outcome-unknown' : rerun ? 'incremental-unsupported' : undefined,
    unknownMarkers: known.unknownMarkers,
  };
}
