import { errorPolicyWarnings } from '../agent/error-policy';
import type { InspectedDisk, LostBitmapWish } from '../agent/facts';
import { InvariantError } from '../errors';
import { backupPath, bitmapName, nextEpoch } from './backup-names';
import type { BackupPlan, Evidence, FullPlan, IncrementalPlan, LegacyFullPlan, PlannedDisk } from './backup-plan';
import type { Refusal } from './refusal';
import type { Books } from './booked-backup';
import { readChainKeys } from './chain-keys';
import { bitmapOn, checkHealth, checkHistory, checkRepair, needsRedefine } from './check-bitmaps';
import { checkDiskSet, checkIdentity, checkRestored, checkSizes } from './check-disks';
import { checkParent } from './check-parent';
import { checkCapability, checkWishes } from './check-policy';
import { checkBitmaps, checkParentPaths } from './check-script';
import { BANDWIDTH_SOURCES, chooseBandwidth, type ChosenBandwidth } from './choose-bandwidth';
import { chooseTransfer, saidTransfer, TRANSFER_SOURCES } from './choose-transfer';
import type { DecideInput } from './decide-input';
import { findParent, type Parent } from './find-parent';
import type { Obstacle } from './obstacle';
import { sentenceOf, type Reason } from './reasons';
import { refuseBackup } from './refuse-backup';

/*
 * In this order, because the first that finds something gives the reason: a disk that is another file explains
 * a missing bitmap better than the other way round.
 */
const PARENT_CHECKS = [checkParentPaths, checkParent, checkDiskSet];
/** What the books alone can answer. */
const BOOK_CHECKS = [...PARENT_CHECKS, checkRestored];
/** What speaks against comparing a disk with its chain, too. */
const CHAIN_CHECKS = [...PARENT_CHECKS, checkSizes];
/** What speaks against a disk's bitmap, and not against comparing the disk with its chain. */
const BITMAP_CHECKS = [checkRestored, checkIdentity, checkHealth, checkHistory];

/**
 * Decides what a backup is to be: an incremental only where nothing at all speaks against it, else a full, and why.
 * Pure: the same books and facts always give the same plan.
 */
export function decideBackup(input: DecideInput): BackupPlan | Refusal {
  const refusal = refuseBackup(input);
  if (refusal !== null) return refusal;
  const incapable = [...checkBitmaps(input), ...checkCapability(input)];
  if (hasAny(incapable)) return planLegacyFull(input, incapable);
  const wishes = checkWishes(input);
  if (hasAny(wishes)) return planFull(input, wishes);
  const parent = findParent(input.books);
  if ('fact' in parent) return planFull(input, [parent]);
  for (const check of input.looked ? CHAIN_CHECKS : BOOK_CHECKS) {
    const obstacles = check(input, parent);
    if (hasAny(obstacles)) return planFull(input, obstacles);
  }
  if (!input.looked) return planIncremental(input, parent, []);
  const lost = BITMAP_CHECKS.map((check) => check(input, parent)).filter((obstacles) => hasAny(obstacles));
  const [first] = lost;
  if (first !== undefined && !(wishOf(input) === 'rescue' && input.script.kind === 'ours')) return planFull(input, first);
  const unrepaired = checkRepair(input, parent);
  if (hasAny(unrepaired)) return planFull(input, unrepaired);
  return planIncremental(input, parent, lost.flat());
}

function wishOf({ request, policy }: DecideInput): LostBitmapWish {
  return request.onLostBitmap ?? policy.onLostBitmap;
}

type Some<T> = readonly [T, ...T[]];

function hasAny<T>(list: readonly T[]): list is Some<T> {
  return list.length > 0;
}

function planFull(input: DecideInput, obstacles: Some<Obstacle>): FullPlan {
  const reason = obstacles[0].fact;
  const { bitmapNew, ...common } = commonPlan(input, reason, obstacles);
  return {
    ...common,
    kind: 'full',
    reason,
    bitmapNew,
    chainId: input.newChainId,
    position: 0,
    parent: null,
    repair: 'none',
    disks: fullDisks(input),
  };
}

function planLegacyFull(input: DecideInput, obstacles: Some<Obstacle>): LegacyFullPlan {
  const reason = obstacles[0].fact;
  const common = commonPlan(input, reason, obstacles);
  return {
    ...common,
    kind: 'legacy-full',
    reason,
    bitmapNew: null,
    chainId: null,
    position: null,
    parent: null,
    repair: 'none',
    disks: fullDisks(input),
  };
}

/** @param lost what speaks against the bitmap of a disk, which is then compared with its chain instead */
function planIncremental(input: DecideInput, parent: Parent, lost: readonly Obstacle[]): IncrementalPlan {
  const rescued = new Set(lost.map(({ target }) => target));
  const redefine = input.looked && rescued.size === 0 && needsRedefine(input, parent);
  const reason = rescued.size > 0 ? 'rescued' : redefine ? 'redefined' : 'regular';
  const externalId = parent.backup.externalId;
  if (externalId === null)
    throw new InvariantError(
      'chain.parent-without-place',
      `Backup ${parent.backup.uuid} was accepted as a parent without a place.`,
    );
  const { bitmapNew, ...common } = commonPlan(input, reason, incrementalEvidence(input, parent, lost));
  return {
    ...common,
    kind: 'incremental',
    reason,
    bitmapNew,
    chainId: parent.chainId,
    position: parent.position + 1,
    parent: { uuid: parent.backup.uuid, externalId, bitmap: parent.bitmap },
    repair: rescued.size > 0 ? 'rescue' : redefine ? 'redefine' : 'none',
    fallbackChainId: input.newChainId,
    disks: input.facts.disks.map((disk, deviceId) => {
      const file = parent.backup.disks.find(({ target }) => target === disk.target)?.file;
      const { granularity = null, dirtyBytes = null } = bitmapOn(disk, parent.bitmap) ?? {};
      return {
        ...plannedDisk(disk, deviceId),
        ...(rescued.has(disk.target)
          ? { mode: 'rescued', bitmap: null }
          : { mode: 'incremental', bitmap: { granularity, dirtyBytes } }),
        parentFile: `${externalId}/${file}`,
      };
    }),
  };
}

function incrementalEvidence(input: DecideInput, parent: Parent, lost: readonly Obstacle[]): Evidence[] {
  const { bitmap } = parent;
  if (!input.looked) {
    const detail = `nobody could look at the host: by the books the bitmap ${bitmap} is there`;
    return [{ fact: 'regular', target: null, detail }];
  }
  const known = needsRedefine(input, parent)
    ? ({ fact: 'redefined', detail: `libvirt has no checkpoint ${bitmap} any more, the bitmap is there` } as const)
    : ({ fact: 'regular', detail: `libvirt knows the checkpoint ${bitmap}` } as const);
  const healthy = input.facts.disks.filter(({ target }) => lost.every((obstacle) => obstacle.target !== target));
  return [
    ...lost,
    ...(healthy.length > 0 ? [{ ...known, target: null }] : []),
    ...healthy.map((disk) => ({
      fact: known.fact,
      target: disk.target,
      detail: `bitmap ${bitmap} is healthy, with ${bitmapOn(disk, bitmap)?.dirtyBytes ?? 'an unknown number of'} dirty bytes`,
    })),
  ];
}

/** What every plan has, and the name of its bitmap: directory and bitmap come from one epoch. */
function commonPlan(input: DecideInput, reason: Reason, evidence: readonly Evidence[]) {
  const { facts, books, request, policy, repositoryId } = input;
  const { name, state } = facts.vm;
  if (state === 'absent') throw new InvariantError('chain.vm-absent', `A backup of the absent VM ${name} was planned.`);
  const epoch = unusedEpoch(input);
  const limit = limitOf(input);
  return {
    vm: name,
    vmState: state,
    sentence: sentenceOf(reason),
    bitmapNew: bitmapName(epoch),
    backupPath: backupPath(name, epoch),
    repositoryId,
    // A guest that is paused or stopped cannot answer a freeze.
    quiesce: request.quiesce && state === 'running',
    ...chooseTransfer(request, policy, limit.bandwidth !== null),
    ...limit,
    onLostBitmap: wishOf(input),
    superseded: [...seenNames(input)].filter((known) => isOurs(books, known)),
    warnings: [...errorPolicyWarnings(facts.disks), ...limitWarnings(input, limit)],
    evidence,
  };
}

/** What can be kept: a stock script knows no limit. */
const limitOf = ({ request, policy, script }: DecideInput): ChosenBandwidth =>
  script.kind === 'stock' ? { bandwidth: null, bandwidthFrom: null } : chooseBandwidth(request, policy);

/** What becomes of a limit, or of a push because of it, otherwise than somebody set it. */
function limitWarnings({ request, policy, script, facts }: DecideInput, { bandwidth }: ChosenBandwidth): string[] {
  const wished = chooseBandwidth(request, policy);
  if (script.kind === 'stock' && wished.bandwidthFrom !== null)
    return [
      `limit: ${wished.bandwidth} MiB a second are not kept (${BANDWIDTH_SOURCES[wished.bandwidthFrom]}): the script of the host is CloudStack's own, which knows no limit`,
    ];
  const { transfer, transferFrom } = saidTransfer(request, policy);
  if (bandwidth === null || transfer !== 'push' || transferFrom === 'default' || facts.vm.state === 'shut off') return [];
  return [
    `limit: it goes by pull although it was to go by push (${TRANSFER_SOURCES[transferFrom]}): a push cannot keep the limit of ${bandwidth} MiB a second`,
  ];
}

function unusedEpoch(input: DecideInput): number {
  const { facts, books, now } = input;
  const names = new Set([...seenNames(input), ...books.backups.map(({ externalId }) => externalId)]);
  return nextEpoch(
    now,
    books.lastUsedEpoch,
    (epoch) => names.has(bitmapName(epoch)) || names.has(backupPath(facts.vm.name, epoch)),
  );
}

/** Names of bitmaps and checkpoints that may be on the VM: what the host showed, and what the books call active. */
function seenNames({ facts, books }: DecideInput): Set<string> {
  const names = [...facts.checkpoints, ...facts.disks.flatMap(({ bitmaps }) => bitmaps?.map(({ name }) => name) ?? [])];
  return new Set(books.activeCheckpointId === null ? names : [...names, books.activeCheckpointId]);
}

/** The shape of a name is nobody's property: ours is what our books know. */
function isOurs({ backups, activeCheckpointId }: Books, name: string): boolean {
  return name === activeCheckpointId || backups.some(({ details }) => readChainKeys(details).keys.bitmapName === name);
}

function fullDisks({ facts }: DecideInput): PlannedDisk[] {
  return facts.disks.map((disk, deviceId) => ({ ...plannedDisk(disk, deviceId), mode: 'full', parentFile: null, bitmap: null }));
}

function plannedDisk({ target, path, inode, format, virtualSize }: InspectedDisk, deviceId: number) {
  return { target, deviceId, path, inode, format, virtualSize };
}
