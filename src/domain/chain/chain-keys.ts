import { isName } from '../agent/names';

/** The chain keys as CloudStack writes them into `backup_details`, and ours with the prefix `ck.`. */
export const CHAIN_KEYS = {
  parentBackupId: 'nas.parent_backup_id',
  bitmapName: 'nas.bitmap_name',
  chainId: 'nas.chain_id',
  chainPosition: 'nas.chain_position',
  type: 'nas.type',
  bitmapRecreated: 'nas.bitmap_recreated',
  deletePending: 'nas.delete_pending',
  recreateMethod: 'ck.recreate_method',
} as const;

/** The one key that lies on the VM (`vm_instance_details`): the bitmap that the next incremental builds on. */
export const ACTIVE_CHECKPOINT_KEY = 'nas.active_checkpoint_id';

/** Ours on the VM: its books were brought back from a copy of this moment, and nobody has compared them with the NAS since. */
export const NOT_COMPARED_KEY = 'ck.not_compared_since';

/** How a bitmap was made good; `unknown` when a stock script did not say, which leaves the delta unproven. */
export const RECREATE_METHODS = ['redefined', 'rescued', 'unknown'] as const;
/** How a bitmap was made good, as the books keep it. */
export type RecreateMethodBooked = (typeof RECREATE_METHODS)[number];

/** One row of `backup_details` or `vm_instance_details`. */
export interface DetailRow {
  readonly name: string;
  readonly value: string;
}

/** The chain keys of one backup; null where a key is missing or cannot be trusted. */
export interface ChainKeys {
  /** Uuid of the parent; null for a full. */
  readonly parentBackupId: string | null;
  readonly bitmapName: string | null;
  readonly chainId: string | null;
  /** 0 is the full. */
  readonly position: number | null;
  readonly type: 'full' | 'incremental' | null;
  /** Name of the bitmap that was recreated before this backup. */
  readonly bitmapRecreated: string | null;
  readonly recreateMethod: RecreateMethodBooked | null;
  readonly deletePending: boolean;
}

/** What a reader met that is not as it should be. */
export interface KeyFinding {
  readonly code: 'duplicate' | 'contradiction' | 'malformed' | 'missing' | 'unknown-key' | 'type-mismatch' | 'hidden';
  readonly key: string;
  readonly detail: string;
}

const KNOWN: ReadonlySet<string> = new Set([...Object.values(CHAIN_KEYS), ACTIVE_CHECKPOINT_KEY]);

/** The rows to write for a backup. A key without a value has no row, as upstream. */
export function toDetails(keys: ChainKeys): DetailRow[] {
  const values: [string, string | null][] = [
    [CHAIN_KEYS.parentBackupId, keys.parentBackupId],
    [CHAIN_KEYS.bitmapName, keys.bitmapName],
    [CHAIN_KEYS.chainId, keys.chainId],
    [CHAIN_KEYS.chainPosition, keys.position === null ? null : String(keys.position)],
    [CHAIN_KEYS.type, keys.type],
    [CHAIN_KEYS.bitmapRecreated, keys.bitmapRecreated],
    [CHAIN_KEYS.recreateMethod, keys.recreateMethod],
    [CHAIN_KEYS.deletePending, keys.deletePending ? 'true' : null],
  ];
  return values.flatMap(([name, value]) => (value === null ? [] : [{ name, value }]));
}

/**
 * Reads the chain keys of one backup. The table has no unique key and CloudStack can rewrite it, so the reader
 * never throws: it takes what is certain and says what else it found.
 * @param backup the row's own status and type, where they are known.
 */
export function readChainKeys(
  rows: readonly DetailRow[],
  backup: { readonly status?: string; readonly type?: string } = {},
): { keys: ChainKeys; findings: KeyFinding[] } {
  const findings: KeyFinding[] = [];
  const one = (key: string): string | null => readOne(rows, key, findings);
  const shaped = <T>(key: string, parse: (text: string) => T | null): T | null => {
    const text = one(key);
    const value = text === null ? null : parse(text);
    if (text !== null && value === null)
      findings.push({ code: 'malformed', key, detail: `the value is ${JSON.stringify(text)}` });
    return value;
  };

  const keys: ChainKeys = {
    parentBackupId: one(CHAIN_KEYS.parentBackupId),
    bitmapName: shaped(CHAIN_KEYS.bitmapName, (text) => (isName('bitmap', text) ? text : null)),
    chainId: one(CHAIN_KEYS.chainId),
    position: shaped(CHAIN_KEYS.chainPosition, (text) => (/^(0|[1-9]\d{0,8})$/.test(text) ? Number(text) : null)),
    type: shaped(CHAIN_KEYS.type, (text) => (text === 'full' || text === 'incremental' ? text : null)) ?? typeOfRow(backup.type),
    ...readRecreation(rows, findings),
    deletePending: rows.some((row) => row.name === CHAIN_KEYS.deletePending && row.value === 'true'),
  };
  return { keys, findings: [...findings, ...missing(keys), ...strangers(rows), ...mismatch(keys, backup)] };
}

/** The VM's active checkpoint by its details; contradicting rows mean that none can be trusted. */
export function readActiveCheckpoint(rows: readonly DetailRow[]): { active: string | null; findings: KeyFinding[] } {
  const findings: KeyFinding[] = [];
  return { active: readOne(rows, ACTIVE_CHECKPOINT_KEY, findings), findings };
}

function readOne(rows: readonly DetailRow[], key: string, findings: KeyFinding[]): string | null {
  const values = rows.filter((row) => row.name === key && row.value !== '').map((row) => row.value);
  const different = [...new Set(values)];
  if (different.length > 1) {
    findings.push({
      code: 'contradiction',
      key,
      detail: `the values are ${different.map((value) => JSON.stringify(value)).join(', ')}`,
    });
    return null;
  }
  if (values.length > 1) findings.push({ code: 'duplicate', key, detail: `there are ${values.length} rows with the same value` });
  return different[0] ?? null;
}

/** A recreation must never be lost in a contradiction: any row tells of one, and only one clear method is believed. */
function readRecreation(
  rows: readonly DetailRow[],
  findings: KeyFinding[],
): Pick<ChainKeys, 'bitmapRecreated' | 'recreateMethod'> {
  const seen = rows.find((row) => row.name === CHAIN_KEYS.bitmapRecreated && row.value !== '')?.value ?? null;
  const bitmapRecreated = readOne(rows, CHAIN_KEYS.bitmapRecreated, findings) ?? seen;
  const text = readOne(rows, CHAIN_KEYS.recreateMethod, findings);
  const method = RECREATE_METHODS.find((known) => known === text);
  return { bitmapRecreated, recreateMethod: bitmapRecreated === null ? null : (method ?? 'unknown') };
}

function typeOfRow(type: string | undefined): ChainKeys['type'] {
  if (type === 'FULL') return 'full';
  return type === 'INCREMENTAL' ? 'incremental' : null;
}

/** Only a backup that belongs to a chain can miss a key: a legacy full has none at all. */
function missing(keys: ChainKeys): KeyFinding[] {
  if (keys.chainId === null && keys.position === null && keys.bitmapName === null) return [];
  const needed: [string, unknown][] = [
    [CHAIN_KEYS.chainId, keys.chainId],
    [CHAIN_KEYS.chainPosition, keys.position],
    [CHAIN_KEYS.bitmapName, keys.bitmapName],
    [CHAIN_KEYS.parentBackupId, keys.type === 'incremental' ? keys.parentBackupId : 'a full has none'],
  ];
  return needed
    .filter(([, value]) => value === null)
    .map(([key]) => ({ code: 'missing', key, detail: 'there is no usable value' }));
}

function strangers(rows: readonly DetailRow[]): KeyFinding[] {
  const names = new Set(rows.map((row) => row.name).filter((name) => name.startsWith('nas.') && !KNOWN.has(name)));
  return [...names].map((key) => ({ code: 'unknown-key', key, detail: 'no version known to us writes it' }));
}

function mismatch(keys: ChainKeys, backup: { readonly status?: string; readonly type?: string }): KeyFinding[] {
  const findings: KeyFinding[] = [];
  const typeOfBackup = typeOfRow(backup.type);
  if (typeOfBackup !== null && keys.type !== null && typeOfBackup !== keys.type) {
    findings.push({
      code: 'type-mismatch',
      key: CHAIN_KEYS.type,
      detail: `the key says ${keys.type}, the backup says ${backup.type}`,
    });
  }
  if (backup.status === 'Hidden')
    findings.push({ code: 'hidden', key: 'status', detail: 'it was deleted, and stays for the links above it' });
  return findings;
}
