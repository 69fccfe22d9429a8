import { setTimeout as sleep } from 'node:timers/promises';
import type { BackupWithEvidenceDto, CreateBackupDto } from '../../src/backups/dto/backup.dto';
import type { RecreationRow } from '../../src/domain/audit/recreation-report';
import type { Client } from '../../src/cli/client';
import type { LabHost } from '../../src/hosts/fake/lab-host';
import type { RunDto } from '../../src/runs/dto/run.dto';

/** One restore point of the story. */
export interface StoryPoint {
  readonly step: string;
  readonly backup: BackupWithEvidenceDto;
  readonly identical: boolean;
}

/** What the story runs on and whom it tells. */
export interface StoryStage {
  readonly client: Client;
  readonly lab: LabHost;
  readonly vm: string;
  readonly targets: readonly string[];
  /** Name of the lab's NAS directory. */
  readonly nas: string;
  readonly say: (text: string) => void;
}

/** What each step must lead to; a story that only ever agrees with itself proves nothing. */
export interface StoryStep {
  readonly title: string;
  /** What happens to the VM before the backup. */
  readonly before: (stage: StoryStage) => Promise<void>;
  readonly type: 'FULL' | 'INCREMENTAL';
  readonly reasons: readonly string[];
  readonly recreated: boolean;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** Writes to every disk at places that overlap from step to step, so that a lost write is seen. */
const writes =
  (seed: number) =>
  async ({ lab, vm, targets }: StoryStage): Promise<void> => {
    for (const [index, target] of targets.entries()) {
      await lab.write(vm, target, 0x10 + seed, seed * MIB, 2 * MIB);
      await lab.write(vm, target, 0x90 + seed, 24 * MIB + (seed + index) * 64 * KIB, 128 * KIB);
    }
  };

const inOrder =
  (...steps: ((stage: StoryStage) => Promise<void>)[]) =>
  async (stage: StoryStage): Promise<void> => {
    for (const step of steps) await step(stage);
  };

const stop = ({ lab, vm }: StoryStage): Promise<void> => lab.vmStop(vm);
const start = ({ lab, vm }: StoryStage): Promise<void> => lab.vmStart(vm);
const crash = ({ lab, vm }: StoryStage): Promise<void> => lab.vmCrash(vm);

/** The story: a full, incrementals, a restart, a stop, a crash. */
export const STORY: readonly StoryStep[] = [
  { title: 'The first backup', before: writes(1), type: 'FULL', reasons: ['no-parent'], recreated: false },
  { title: 'The guest writes', before: writes(2), type: 'INCREMENTAL', reasons: ['regular'], recreated: false },
  {
    title: 'The guest writes, restarts cleanly, writes again',
    before: inOrder(writes(3), stop, start, writes(4)),
    type: 'INCREMENTAL',
    reasons: ['redefined'],
    recreated: true,
  },
  {
    title: 'The guest writes, the VM is stopped and backed up stopped',
    before: inOrder(writes(5), stop),
    type: 'FULL',
    reasons: ['vm-stopped'],
    recreated: false,
  },
  {
    title: 'The VM starts again, the guest writes',
    before: inOrder(start, writes(6)),
    type: 'INCREMENTAL',
    reasons: ['redefined'],
    recreated: true,
  },
  {
    title: 'The guest writes, QEMU is killed (-9), the VM starts, the guest writes',
    before: inOrder(writes(7), crash, start, writes(8)),
    type: 'FULL',
    reasons: ['bitmap-inconsistent', 'bitmap-missing'],
    recreated: false,
  },
  { title: 'The guest writes', before: writes(9), type: 'INCREMENTAL', reasons: ['regular'], recreated: false },
];

const ENDED = new Set(['succeeded', 'failed', 'cancelled', 'skipped']);

/** Takes one backup over the API and waits for its run to end. @throws when the run did not succeed. */
export async function takeBackup(
  client: Client,
  vm: string,
  mode: 'auto' | 'full' = 'auto',
  asks: Pick<CreateBackupDto, 'transfer' | 'onLostBitmap'> = {},
): Promise<BackupWithEvidenceDto> {
  const { body: queued } = await client.send<RunDto>('POST', '/backups', { vm, mode, ...asks });
  const run = await waitForRun(client, queued.id);
  if (run.state !== 'succeeded' || run.backupId === null)
    throw new Error(`run ${run.id} ended ${run.state}: ${run.errorCode ?? ''} ${run.errorMessage ?? ''}`);
  return client.get<BackupWithEvidenceDto>(`/backups/${run.backupId}`);
}

/** Waits for a run to end. */
export async function waitForRun(client: Client, id: string, seconds = 300): Promise<RunDto> {
  for (let left = seconds * 20; left > 0; left -= 1) {
    const run = await client.get<RunDto>(`/runs/${id}`);
    if (ENDED.has(run.state)) return run;
    await sleep(50);
  }
  throw new Error(`run ${id} has not ended after ${seconds} s`);
}

/** Compares every disk of a point, flattened, with what it held at its moment. */
export async function isIdentical(stage: StoryStage, backup: BackupWithEvidenceDto, label: string): Promise<boolean> {
  if (backup.disks.length !== stage.targets.length) return false;
  for (const disk of backup.disks) {
    const file = stage.lab.nasFile(stage.nas, `${backup.externalId}/${disk.file}`);
    if (!(await stage.lab.same(stage.vm, label, disk.target, file))) return false;
  }
  return true;
}

/** Plays the story and answers every restore point, compared at the end, when all links have been taken. */
export async function playStory(stage: StoryStage): Promise<StoryPoint[]> {
  const taken: { step: StoryStep; backup: BackupWithEvidenceDto; label: string }[] = [];
  for (const [index, step] of STORY.entries()) {
    stage.say(`${index + 1}. ${step.title}`);
    await step.before(stage);
    const label = `point-${index + 1}`;
    await stage.lab.moment(stage.vm, label);
    const backup = await takeBackup(stage.client, stage.vm);
    stage.say(`   ${backup.type} because ${backup.reason ?? 'unknown'}, ${backup.size} bytes on the NAS`);
    taken.push({ step, backup, label });
  }
  stage.say('Every restore point is now flattened and compared with what the disks held at its moment.');
  const points: StoryPoint[] = [];
  for (const { step, backup, label } of taken)
    points.push({ step: step.title, backup, identical: await isIdentical(stage, backup, label) });
  return points;
}

/** The deviations of a played story from what it must lead to; empty when all is well. */
export function deviations(points: readonly StoryPoint[]): string[] {
  return STORY.flatMap((step, index) => {
    const point = points[index];
    if (!point) return [`${index + 1}. ${step.title}: no restore point`];
    const { backup, identical } = point;
    const found = `${backup.type} ${backup.reason}`;
    return [
      ...(identical ? [] : ['the bytes differ']),
      ...(backup.type === step.type && step.reasons.includes(backup.reason ?? '')
        ? []
        : [`expected ${step.type} ${step.reasons.join(' or ')}, found ${found}`]),
      ...((backup.chain.bitmapRecreated !== null) === step.recreated
        ? []
        : [`recreation event: ${backup.chain.bitmapRecreated ?? 'none'}`]),
      ...(backup.restorable && backup.assurance === 'accounted'
        ? []
        : [`restorable ${backup.restorable}, assurance ${backup.assurance}`]),
    ].map((text) => `${index + 1}. ${step.title}: ${text}`);
  });
}

/** The audit report of the story's VM, by backup. */
export async function auditOf(client: Client, vm: string): Promise<Map<string, RecreationRow>> {
  const { items } = await client.get<{ items: RecreationRow[] }>(`/audit/recreations?vm=${encodeURIComponent(vm)}`);
  return new Map(items.map((row) => [row.backupId, row]));
}
