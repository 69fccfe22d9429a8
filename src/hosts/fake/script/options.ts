import { isName, type NameKind } from '../../../domain/agent/names';
import { Failure } from './failure';

/** What one disk's part is to be (`--disks`). */
export interface AskedDisk {
  readonly target: string;
  readonly mode: 'full' | 'incremental' | 'rescued';
  readonly parentFile: string | null;
  readonly path?: string;
  readonly format?: string;
}

/** The options of one call, checked as the host script checks them; an empty text stands for absent. */
export interface Options {
  readonly operation: string;
  readonly values: ReadonlyMap<string, string>;
  readonly facts: boolean;
  readonly dryRun: boolean;
  /** The options that have no value: `verify`, `salvage`, `swap`, `overwrite`, `networks`. */
  readonly flags: ReadonlySet<string>;
  /** What follows `--`. */
  readonly rest: readonly string[];
  readonly disks: readonly AskedDisk[] | null;
}

const VALUES: Readonly<Record<string, string>> = {
  '-o': 'operation',
  '--operation': 'operation',
  '-v': 'vm',
  '--vm': 'vm',
  '-t': 'type',
  '--type': 'type',
  '-s': 'storage',
  '--storage': 'storage',
  '-m': 'mount',
  '--mount': 'mount',
  '-p': 'path',
  '--path': 'path',
  '-q': 'quiesce',
  '--quiesce': 'quiesce',
  '-d': 'diskpaths',
  '--diskpaths': 'diskpaths',
  '-M': 'mode',
  '--mode': 'mode',
  '-b': 'bandwidth',
  '--bandwidth': 'bandwidth',
};
for (const name of 'bitmap-new bitmap-parent parent-paths parent-path disks dialect on-lost-bitmap transfer job fence from bitmap run new-name attach manifest name sha256 last'.split(
  ' ',
))
  Object.assign(VALUES, { [`--${name}`]: name });

const NAMES: Readonly<Record<string, NameKind>> = {
  vm: 'vm',
  'bitmap-new': 'bitmap',
  'bitmap-parent': 'bitmap',
  bitmap: 'bitmap',
  path: 'path',
  'parent-path': 'path',
  type: 'mount',
  storage: 'address',
  'new-name': 'vm',
  attach: 'vm',
  job: 'job',
  name: 'file',
  run: 'job',
};
const PATTERNS: Readonly<Record<string, RegExp>> = {
  fence: /^\d{1,15}$/,
  quiesce: /^(true|false)$/,
  dialect: /^(seed|final)$/,
  transfer: /^(push|pull|auto)$/,
  'on-lost-bitmap': /^(full|rescue)$/,
  bandwidth: /^[1-9]\d{0,5}$/,
  from: /^\d{1,15}(:\d{1,15})?$/,
};

/** An option that nobody knows: the script prints this and its usage. */
export class InvalidOption extends Error {}

/** Reads a call's arguments. @throws InvalidOption, Failure `bad-option` */
export function parseOptions(argv: readonly string[]): Options {
  const values = new Map<string, string>();
  let facts = false;
  let dryRun = false;
  const flags = new Set<string>();
  let rest: readonly string[] = [];
  for (let at = 0; at < argv.length; at += 1) {
    const option = argv[at] ?? '';
    if (option === '--') {
      rest = argv.slice(at + 1);
      break;
    }
    if (option === '--facts') {
      facts = true;
    } else if (option === '--dry-run') {
      dryRun = true;
    } else if (['--verify', '--salvage', '--swap', '--overwrite', '--networks'].includes(option)) {
      flags.add(option.slice(2));
    } else if (!option.startsWith('-')) {
      if (values.has('operation')) throw new InvalidOption(option);
      values.set('operation', option);
    } else {
      const name = VALUES[option];
      const value = argv[(at += 1)];
      if (name === undefined) throw new InvalidOption(option);
      if (value === undefined) throw new Failure('bad-option', `Option ${option} needs a value`);
      values.set(name, value);
    }
  }
  for (const [name, value] of values) checkValue(name, value);
  return { operation: values.get('operation') ?? '', values, facts, dryRun, flags, rest, disks: parseDisks(values.get('disks')) };
}

/** The value of an option that the operation cannot do without. @throws Failure `bad-option` */
export function need({ operation, values }: Options, name: string): string {
  const value = values.get(name);
  if (value) return value;
  throw new Failure('bad-option', `Operation ${operation} needs --${name}`);
}

/** A list with commas; none for an empty text. */
export const listOf = (text: string | undefined): string[] => (text ? text.split(',') : []);

function checkValue(name: string, value: string): void {
  const kind = NAMES[name];
  const pattern = PATTERNS[name];
  if (value === '' || ((!kind || isName(kind, value)) && (!pattern || pattern.test(value)))) return;
  throw new Failure('bad-option', `Not a valid ${name}: ${value}`);
}

function parseDisks(json: string | undefined): readonly AskedDisk[] | null {
  if (!json) return null;
  try {
    const disks: unknown = JSON.parse(json);
    if (Array.isArray(disks) && disks.length > 0) return disks as AskedDisk[];
  } catch {
    // falls through to the refusal
  }
  throw new Failure('bad-option', '--disks is not a JSON array');
}
