import { weakest, type Assurance } from './assurance';
import type { BookedBackup } from './booked-backup';
import { readChainKeys, type ChainKeys, type KeyFinding } from './chain-keys';

/** What is wrong with a chain or one of its links. */
export interface ChainFinding {
  readonly code:
    | 'gap'
    | 'duplicate-position'
    | 'orphan'
    | 'wrong-parent'
    | 'parent-not-named'
    | 'not-a-full'
    | 'file-missing'
    | 'file-damaged'
    | 'hidden'
    | 'keys';
  /** Uuid of the backup it is about; null when it is about the chain. */
  readonly backup: string | null;
  readonly detail: string;
}

/** One link of a chain, and the restore point that stands on it. */
export interface ChainLink {
  readonly backup: BookedBackup;
  readonly keys: ChainKeys;
  /** The links under it, nearest first, down to the full; null when the books do not lead there. */
  readonly ancestors: readonly BookedBackup[] | null;
  /** Every file up to the full is there and not known to be damaged. */
  readonly restorable: boolean;
  /** False for a hidden link: it carries others, and is no restore point of its own any more. */
  readonly offered: boolean;
  /** What supports this link alone. */
  readonly assurance: Assurance;
  /** What supports the restore point: the weakest link under it. */
  readonly pointAssurance: Assurance;
}

/** A chain as the books tell it, links by position, the full first. */
export interface Chain {
  readonly id: string;
  readonly links: readonly ChainLink[];
  readonly findings: readonly ChainFinding[];
}

type Read = { readonly backup: BookedBackup; readonly keys: ChainKeys; readonly findings: readonly KeyFinding[] };

/** Links have files on the NAS; of the other statuses nothing is left or nothing ever was. */
const LINK_STATUSES: ReadonlySet<string> = new Set(['BackedUp', 'Hidden', 'Restoring']);

/** All chains of a VM, in the order in which their ids appear; backups without a chain are in none. */
export function readChains(backups: readonly BookedBackup[]): Chain[] {
  const chains = new Map<string, Read[]>();
  for (const read of backups.filter(isLink).map(readLink)) {
    const id = read.keys.chainId;
    if (id !== null) chains.set(id, [...(chains.get(id) ?? []), read]);
  }
  return [...chains].map(([id, reads]) => toChain(id, reads));
}

/** Builds one chain out of the VM's booked backups. Never throws: what does not fit is said in the findings. */
export function readChain(id: string, backups: readonly BookedBackup[]): Chain {
  return toChain(
    id,
    backups
      .filter(isLink)
      .map(readLink)
      .filter(({ keys }) => keys.chainId === id),
  );
}

/** Rows do not change, and a plan of many steps reads each again and again. */
const alreadyRead = new WeakMap<BookedBackup, Read>();

function readLink(backup: BookedBackup): Read {
  const read = alreadyRead.get(backup) ?? { backup, ...readChainKeys(backup.details, backup) };
  alreadyRead.set(backup, read);
  return read;
}

function toChain(id: string, links: readonly Read[]): Chain {
  const reads = [...links].sort(
    (a, b) => (a.keys.position ?? Infinity) - (b.keys.position ?? Infinity) || (a.backup.date ?? 0) - (b.backup.date ?? 0),
  );
  const walks = reads.map((read) => ({ read, walk: walkDown(read, reads) }));
  return {
    id,
    links: walks.map(({ read, walk }) => toLink(read, walk)),
    findings: [...positionFindings(reads), ...walks.flatMap(({ read, walk }) => linkFindings(read, walk))],
  };
}

/**
 * What supports one link. A delta over a bitmap that somebody recreated without saying how may have a hole, whatever
 * was booked at its birth; only a comparison with the disk can say more.
 */
export function linkAssurance(backup: BookedBackup, keys: ChainKeys): Assurance {
  const booked = backup.assurance ?? 'unproven';
  return isRecreatedBlindly(backup, keys) && booked === 'accounted' ? 'unproven' : booked;
}

/** An incremental over a bitmap that was recreated, nobody knows how: its chain is closed. */
export function isRecreatedBlindly(backup: BookedBackup, keys: ChainKeys): boolean {
  return backup.type === 'INCREMENTAL' && keys.bitmapRecreated !== null && keys.recreateMethod === 'unknown';
}

function isLink(backup: BookedBackup): boolean {
  return LINK_STATUSES.has(backup.status);
}

function positionFindings(reads: readonly Read[]): ChainFinding[] {
  const positions = reads.flatMap(({ keys }) => (keys.position === null ? [] : [keys.position]));
  const last = Math.max(-1, ...positions);
  const findings: ChainFinding[] = [];
  for (let position = 0; position <= last; position += 1) {
    const there = positions.filter((other) => other === position).length;
    if (there === 0) findings.push({ code: 'gap', backup: null, detail: `no link has position ${position}` });
    if (there > 1)
      findings.push({ code: 'duplicate-position', backup: null, detail: `${there} links have position ${position}` });
  }
  return findings;
}

function toLink({ backup, keys }: Read, walk: Walk): ChainLink {
  const supports = walk.links.map((link) => linkAssurance(link.backup, link.keys));
  return {
    backup,
    keys,
    ancestors: walk.end === null ? walk.links.slice(1).map((link) => link.backup) : null,
    restorable:
      walk.end === null && walk.links.every((link) => link.backup.files === 'present' || link.backup.files === 'unknown'),
    offered: backup.status !== 'Hidden',
    assurance: linkAssurance(backup, keys),
    // Where the books do not lead down to the full by name, the lineage does not hold, however good the links are.
    pointAssurance: weakest(walk.end === null && walk.named ? supports : [...supports, 'unproven']),
  };
}

/** The links from one down towards its full. */
interface Walk {
  readonly links: readonly Read[];
  /** Every step was named by a parent id. */
  readonly named: boolean;
  /** Where the way ended before a full, and why; null when it led there. */
  readonly end: { readonly at: Read; readonly code: ChainFinding['code']; readonly detail: string } | null;
}

/** Positions fall by one with each step, so the way ends. */
function walkDown(start: Read, reads: readonly Read[]): Walk {
  const links = [start];
  let named = true;
  for (let read = start; read.backup.type !== 'FULL';) {
    const end = (code: ChainFinding['code'], detail: string): Walk => ({ links, named, end: { at: read, code, detail } });
    const below = reads.filter((other) => other.keys.position !== null && other.keys.position + 1 === read.keys.position);
    const parentId = read.keys.parentBackupId;
    const parent = parentId === null && below.length === 1 ? below[0] : below.find((other) => other.backup.uuid === parentId);
    if (parent === undefined) {
      if (parentId === null) return end('orphan', 'it is incremental, names no parent, and there is not exactly one link below');
      const elsewhere = reads.some((other) => other.backup.uuid === parentId);
      return elsewhere
        ? end('wrong-parent', `its parent ${parentId} does not stand one position below`)
        : end('orphan', `its parent ${parentId} is not in the chain`);
    }
    named &&= parentId !== null;
    links.push(parent);
    read = parent;
  }
  const last = links.at(-1) ?? start;
  return {
    links,
    named,
    end:
      last.keys.position === 0
        ? null
        : { at: last, code: 'not-a-full', detail: 'it is a full that does not stand at position 0' },
  };
}

function linkFindings(read: Read, { end, links }: Walk): ChainFinding[] {
  const { backup, keys } = read;
  const about = (code: ChainFinding['code'], detail: string): ChainFinding => ({ code, backup: backup.uuid, detail });
  const findings = read.findings.map(({ code, key, detail }) =>
    about(code === 'hidden' ? 'hidden' : 'keys', code === 'hidden' ? detail : `${code} ${key}: ${detail}`),
  );
  // Only the link where the way ends says so; those above it would repeat it.
  if (end?.at === read) findings.push(about(end.code, end.detail));
  const parent = links[1];
  if (keys.parentBackupId === null && parent !== undefined)
    findings.push(about('parent-not-named', `taken to be ${parent.backup.uuid}, the only link below`));
  if (backup.files === 'missing' || backup.files === 'damaged')
    findings.push(about(`file-${backup.files}`, `its files on the NAS are ${backup.files}`));
  return findings;
}
