import type { DiskFacts, Facts, Transfer } from '../agent/facts';
import { ASSURANCE_SENTENCES, type Assurance } from './assurance';
import type { BackupPlan } from './backup-plan';
import { BANDWIDTH_SOURCES } from './choose-bandwidth';
import { TRANSFER_SOURCES } from './choose-transfer';
import { sentenceOf, type Reason } from './reasons';
import type { Recreation } from './settlement';

/** What the books hold of one backup for its explanation. */
export interface ExplainInput {
  readonly type: 'FULL' | 'INCREMENTAL';
  /** Null when it was not recorded by us. */
  readonly reason: Reason | null;
  /** Bytes. */
  readonly size: number | null;
  /** What was planned before the host had its say. */
  readonly plan: BackupPlan | null;
  readonly recreation: Recreation | null;
  readonly facts: Facts | null;
  readonly assurance: Assurance | null;
  /** What keeps the assurance from being better. */
  readonly findings: readonly string[];
}

/** The questions about a backup, answered in sentences. */
export interface Explanation {
  /** Why full or incremental. */
  readonly why: string[];
  /** Why this size, as far as known. */
  readonly size: string[];
  /** What it did to the guest. */
  readonly guest: string[];
  /** How we know. */
  readonly evidence: string[];
}

const RECREATIONS: Readonly<Record<Recreation['method'], string>> = {
  redefined:
    'It had survived in the image and was registered with libvirt again: it tracked every write, and the delta is exact.',
  rescued:
    'It was lost on some disk; there the delta was found by comparing the disk with the chain, so it is larger than usual and exact.',
  unknown:
    'The script did not say how. An empty bitmap under the old name leaves a hole, so this delta is not trusted and its chain is closed.',
};

const WAYS: Readonly<Record<Transfer, string>> = {
  push: 'QEMU wrote the NAS itself: before a write of the guest to a place not yet copied, the old data went there, at the speed of the NAS.',
  pull: 'The NAS was out of its way: what it overwrote meanwhile went to scratch files on the disk of the host.',
  offline: 'The VM was stopped: there was no guest to disturb.',
};

/** Says why a backup was full or incremental, why it was this large, what it did to the guest, and how that is known; and what is not known. */
export function explainBackup(input: ExplainInput): Explanation {
  return { why: explainWhy(input), size: explainSize(input), guest: explainGuest(input), evidence: explainEvidence(input) };
}

function explainWhy({ type, reason, plan, recreation, facts }: ExplainInput): string[] {
  const told =
    recreation === null ? [] : [`Before it the bitmap ${recreation.bitmap} was recreated. ${RECREATIONS[recreation.method]}`];
  if (reason === null) return ['The reason is not recorded: this backup was not decided here.', ...told];
  const why = [`${type === 'FULL' ? 'Full' : 'Incremental'} (${reason}): ${sentenceOf(reason)}`];
  if (plan?.kind === 'incremental' && type === 'FULL') {
    return [
      ...why,
      'An incremental was planned; the host script found that it could not be true and took a full in its place.',
      ...(facts?.done.rescueRefused ? [`A rescue was asked for and could not be: ${facts.done.rescueRefused}.`] : []),
      ...told,
    ];
  }
  const details =
    plan?.evidence.map(({ target, detail }) => (target === null ? sentence(detail) : `${target}: ${detail}.`)) ?? [];
  return [...why, ...details, ...told];
}

function explainSize({ type, size, facts }: ExplainInput): string[] {
  const total = size === null ? 'The size is not recorded.' : `It takes ${size} bytes on the NAS.`;
  if (facts === null) return [total, 'The host script reported no facts, so nobody measured what it is made of.'];
  const job = facts.job?.processed ?? null;
  return [
    total,
    ...(type === 'FULL' ? ['A full holds all that the disks hold.'] : []),
    ...(type === 'INCREMENTAL' && facts.disks.some(({ method }) => method !== 'rescued')
      ? ['An incremental holds what its bitmap called dirty, in whole clusters.']
      : []),
    ...explainRescue(facts),
    ...facts.disks.map((disk) => `${disk.target}: ${diskSize(disk)}.`),
    ...(job === null ? [] : [`The backup job moved ${job} bytes.`]),
  ];
}

/** What differed is what an empty bitmap in the place of the lost one would not have known of. */
function explainRescue({ disks }: Facts): string[] {
  const rescued = disks.filter(({ method }) => method === 'rescued');
  if (rescued.length === 0) return [];
  const differed = rescued.reduce<number | null>(
    (sum, { ownData, ownZero }) => (sum === null || ownData === null || ownZero === null ? null : sum + ownData + ownZero),
    0,
  );
  return [
    'A rescue reads a whole disk and stores all that differs from its chain, be it written, reverted or spoiled on the NAS: that may be more than the writes since the parent.',
    differed === null
      ? 'How much differed was not measured.'
      : `An empty bitmap in the place of the lost one would have lost ${differed} bytes.`,
  ];
}

function diskSize({ fileSize, ownData, ownZero, dirtyBefore, compared, writtenBytes }: DiskFacts): string {
  const parts = [
    fileSize === null ? 'the file was not measured' : `the file has ${fileSize} bytes`,
    ownData === null || ownZero === null ? null : `it holds ${ownData} bytes of data and ${ownZero} of zeroes`,
    compared === null ? null : `all its ${compared} bytes were compared with the chain, and what it holds is what differed`,
    dirtyBefore === null ? null : `the bitmap called ${dirtyBefore} bytes dirty just before`,
    writtenBytes === null ? null : `the guest had written ${writtenBytes} bytes since QEMU started`,
  ];
  return parts.filter((part) => part !== null).join('; ');
}

function explainGuest({ plan, facts }: ExplainInput): string[] {
  if (facts === null) return ['The host script reported no facts, so nobody measured what the backup did to the guest.'];
  const { transfer } = facts.done;
  const way = transfer === null ? [] : [WAYS[transfer], ...explainChoice(plan, facts)];
  way.push(...explainLimit(plan, facts));
  if (facts.guest === null) return way;
  const { frozenMs, thawed, pausedMs, slowestWriteMs, resumed } = facts.guest;
  return [
    ...way,
    frozenMs === null ? 'Its file systems were not frozen.' : `Its file systems were frozen for ${frozenMs} ms.`,
    ...(thawed === false ? ['They could not be thawed: look into the guest.'] : []),
    pausedSentence(pausedMs, resumed),
    ...(slowestWriteMs == null ? [] : [`Its slowest write took ${slowestWriteMs} ms or more, by QEMU's count.`]),
  ];
}

/** A stopped VM leaves no choice, and a plan of an older version does not say who made it. */
function explainChoice(plan: BackupPlan | null, { done: { transfer, transferReason } }: Facts): string[] {
  if (plan?.transferFrom === undefined || transfer === 'offline') return [];
  return [
    `The data was to go by ${plan.transfer}: ${TRANSFER_SOURCES[plan.transferFrom]}.`,
    ...(transferReason === null ? [] : [`The host took ${transfer}: ${transferReason}.`]),
  ];
}

/** What the host kept to counts; a plan of an older version knows no limit. */
function explainLimit(plan: BackupPlan | null, { done: { bandwidth } }: Facts): string[] {
  const asked = plan?.bandwidth ?? null;
  const who = plan?.bandwidthFrom == null ? '' : `: ${BANDWIDTH_SOURCES[plan.bandwidthFrom]}`;
  if (bandwidth != null) return [`All disks together moved at most ${bandwidth} MiB a second${who}.`];
  return asked === null ? [] : [`At most ${asked} MiB a second were to move${who}. The host does not say that it kept to it.`];
}

function pausedSentence(ms: number | null, resumed: boolean | null): string {
  if (resumed === false) return 'An I/O error paused it, and it did not go on: mend its storage, then virsh resume.';
  return ms === null ? 'No I/O error paused it.' : `An I/O error paused it for ${ms} ms, then it went on.`;
}

function explainEvidence({ facts, assurance, findings }: ExplainInput): string[] {
  const worth = assurance ?? 'unproven';
  const verdict = [`Assurance ${worth}: ${ASSURANCE_SENTENCES[worth]}`, ...findings.map((finding) => sentence(finding))];
  if (facts === null) return [...verdict, 'There are no measured facts of this run.'];
  const { host, script, vm, job } = facts;
  return [
    ...verdict,
    `Reported by script ${script ?? 'of unknown version'} on host ${host.name ?? 'unknown'} (libvirt ${host.libvirt ?? 'unknown'}, QEMU ${host.qemu ?? 'unknown'}).`,
    vm.qemuStarted === null
      ? `The VM was ${vm.state ?? 'in an unknown state'}.`
      : `The VM was ${vm.state ?? 'in an unknown state'}; its QEMU had started at ${vm.qemuStarted}.`,
    ...(job === null ? [] : [`libvirt's job: ${job.result}${job.error === null ? '' : ` (${job.error})`}.`]),
    ...facts.disks.map(
      ({ target, path, inode, file, backing, check }) =>
        `${target}: ${path ?? 'unknown path'} (inode ${inode ?? 'unknown'}) lies in ${file ?? 'no file'}, which stands on ${backing ?? 'nothing'}; qemu-img check: ${check ?? 'not done'}.`,
    ),
  ];
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
