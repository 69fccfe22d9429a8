import type { HostScript } from '../../../src/domain/agent/build-argv';
import type { BitmapFacts, Dialect, DiskFacts, Facts, InspectedDisk, InspectFacts } from '../../../src/domain/agent/facts';
import type { BackupPlan, IncrementalPlan } from '../../../src/domain/chain/backup-plan';
import type { BookedBackup, BookedDisk, Books } from '../../../src/domain/chain/booked-backup';
import { toDetails, type ChainKeys } from '../../../src/domain/chain/chain-keys';
import { decideBackup } from '../../../src/domain/chain/decide-backup';
import type { DecideInput } from '../../../src/domain/chain/decide-input';
import type { Answer } from '../../../src/domain/chain/settlement';

/** The happy case, in builders that a test changes in one place: a VM with two disks, a full and one incremental. */
export const OURS: HostScript = { kind: 'ours', dialect: 'seed' };
export const stock = (dialect: Dialect): HostScript => ({ kind: 'stock', dialect });
export const GIB = 1024 ** 3;
export const VM = 'i-2-7-VM';
export const T0 = 1_777_300_000;
export const CHAIN = '11111111-1111-4111-8111-111111111111';
export const NEW_CHAIN = '22222222-2222-4222-8222-222222222222';
export const NAS = 'nas-1';
export const FULL_BITMAP = `backup-${T0}`;
export const PARENT_BITMAP = `backup-${T0 + 3600}`;
export const PARENT_PATH = `${VM}/2026.04.27.15.26.40`;

export const bitmap = (name = PARENT_BITMAP, over: Partial<BitmapFacts> = {}): BitmapFacts => ({
  name,
  recording: true,
  inconsistent: false,
  persistent: true,
  busy: false,
  granularity: 65_536,
  dirtyBytes: 131_072,
  ...over,
});

const INODES: Record<string, number> = { vda: 101, vdb: 102, vdc: 103 };

export const disk = (target = 'vda', over: Partial<InspectedDisk> = {}): InspectedDisk => ({
  target,
  path: `/mnt/pool/${target}-image`,
  inode: INODES[target] ?? 999,
  type: 'file',
  format: 'qcow2',
  compat: '1.1',
  virtualSize: GIB,
  clusterSize: 65_536,
  errorPolicy: null,
  bitmaps: [bitmap()],
  writtenBytes: 1_000_000,
  ...over,
});

export const inspect = (over: Partial<Omit<InspectFacts, 'vm'>> & { vm?: Partial<InspectFacts['vm']> } = {}): InspectFacts => ({
  v: 1,
  script: '1.0.0',
  host: { name: 'kvm-1', bootId: 'boot-1', libvirt: '9.0.0', qemu: '7.2.22' },
  job: { active: false, operation: null },
  checkpoints: [PARENT_BITMAP],
  space: { total: 100 * GIB, free: 50 * GIB },
  disks: [disk('vda'), disk('vdb')],
  problems: [],
  ...over,
  vm: { name: VM, state: 'running', uuid: null, qemuStarted: '2026-04-27T10:00:00.000Z', ...over.vm },
});

export const bookedDisk = (target: string, deviceId: number, over: Partial<BookedDisk> = {}): BookedDisk => ({
  target,
  deviceId,
  path: `/mnt/pool/${target}-image`,
  inode: INODES[target] ?? 999,
  format: 'qcow2',
  virtualSize: GIB,
  file: `${deviceId === 0 ? 'root' : 'datadisk'}.${target}-image.qcow2`,
  ...over,
});

export const keys = (over: Partial<ChainKeys> = {}): ChainKeys => ({
  parentBackupId: null,
  bitmapName: FULL_BITMAP,
  chainId: CHAIN,
  position: 0,
  type: 'full',
  bitmapRecreated: null,
  recreateMethod: null,
  deletePending: false,
  ...over,
});

export const full = (over: Partial<BookedBackup> = {}): BookedBackup => ({
  uuid: 'full',
  status: 'BackedUp',
  type: 'FULL',
  externalId: `${VM}/2026.04.27.14.26.40`,
  date: T0 + 60,
  size: 500_000_000,
  repositoryId: NAS,
  details: toDetails(keys()),
  disks: [bookedDisk('vda', 0), bookedDisk('vdb', 1)],
  assurance: 'accounted',
  files: 'present',
  ...over,
});

export const PARENT_KEYS = keys({ parentBackupId: 'full', bitmapName: PARENT_BITMAP, position: 1, type: 'incremental' });

export const parent = (over: Partial<BookedBackup> = {}): BookedBackup => ({
  ...full(),
  uuid: 'parent',
  type: 'INCREMENTAL',
  externalId: PARENT_PATH,
  date: T0 + 3660,
  size: 300_000,
  details: toDetails(PARENT_KEYS),
  ...over,
});

export const books = (over: Partial<Books> = {}): Books => ({
  backups: [parent(), full()],
  activeCheckpointId: PARENT_BITMAP,
  lastUsedEpoch: T0 + 3600,
  restoredAt: null,
  resizes: [],
  inspections: [],
  ...over,
});

export interface Changes {
  readonly request?: Partial<DecideInput['request']>;
  readonly policy?: Partial<DecideInput['policy']>;
  readonly books?: Partial<Books>;
  readonly facts?: Parameters<typeof inspect>[0];
  readonly script?: HostScript;
  readonly looked?: boolean;
  readonly now?: number;
  readonly repositoryId?: string;
}

/** Without changes the decision is a regular incremental. */
export const situation = (changes: Changes = {}): DecideInput => ({
  request: { mode: 'auto', quiesce: false, ...changes.request },
  policy: {
    incrementalEnabled: true,
    fullEvery: 10,
    fullDueAt: null,
    onLostBitmap: 'full',
    acceptUnprovenParent: false,
    transfer: 'push',
    repositoryTransfer: null,
    bandwidth: null,
    repositoryBandwidth: null,
    ...changes.policy,
  },
  books: books(changes.books),
  facts: inspect(changes.facts),
  repositoryId: changes.repositoryId ?? NAS,
  script: changes.script ?? OURS,
  looked: changes.looked ?? true,
  now: changes.now ?? T0 + 7200,
  newChainId: NEW_CHAIN,
});

export const planOf = (changes: Changes = {}): BackupPlan => {
  const plan = decideBackup(situation(changes));
  if (plan.kind === 'refused') throw new Error(`refused: ${plan.code}`);
  return plan;
};

export const incrementalPlan = (changes: Changes = {}): IncrementalPlan => {
  const plan = planOf(changes);
  if (plan.kind !== 'incremental') throw new Error(`not an incremental: ${plan.reason}`);
  return plan;
};

export const answer = (over: Partial<Answer> = {}): Answer => ({
  result: true,
  size: 400_000,
  bitmapCreated: `backup-${T0 + 7200}`,
  bitmapClaimed: null,
  runPath: 'running',
  bitmapRecreated: null,
  incrementalFallback: false,
  needsCleanup: false,
  code: null,
  warnings: [],
  exitCode: 0,
  ...over,
});

/** The facts of a disk after a good run of this plan: three clusters of data, one of zeroes, as many dirty before. */
export const ranDisk = (plan: BackupPlan, index: number, over: Partial<DiskFacts> = {}): DiskFacts => {
  const planned = plan.disks[index];
  if (planned === undefined) throw new Error(`no disk ${index}`);
  const incremental = plan.kind === 'incremental';
  const file = `${index === 0 ? 'root' : 'datadisk'}.${planned.target}-image.qcow2`;
  const [, time, name] = (planned.parentFile ?? '').split('/');
  return {
    target: planned.target,
    path: planned.path,
    inode: planned.inode,
    format: 'qcow2',
    virtualSize: planned.virtualSize,
    method: incremental ? 'incremental' : 'full',
    file,
    backing: incremental ? `../${time}/${name}` : null,
    fileSize: 200_000,
    allocated: 200_000,
    clusterSize: 65_536,
    ownData: 3 * 65_536,
    ownZero: 65_536,
    dirtyBefore: incremental ? 4 * 65_536 : null,
    compared: null,
    parentBitmap: incremental ? { recording: true, inconsistent: false, persistent: true, granularity: 65_536 } : null,
    check: 'ok',
    writtenBytes: 5_000_000,
    ...over,
  };
};

export type FactsChanges = Partial<Omit<Facts, 'vm' | 'done' | 'job'>> & {
  vm?: Partial<Facts['vm']>;
  done?: Partial<Facts['done']>;
  job?: Partial<NonNullable<Facts['job']>> | null;
};

/** The facts of a good run of this plan. */
export const ran = (plan: BackupPlan, over: FactsChanges = {}): Facts => ({
  v: 1,
  script: '1.0.0',
  dialect: 'seed',
  host: { name: 'kvm-1', bootId: 'boot-1', libvirt: '9.0.0', qemu: '7.2.22' },
  asked: { mode: plan.kind, bitmapNew: plan.bitmapNew, bitmapParent: plan.parent?.bitmap ?? null },
  disks: plan.disks.map((_, index) => ranDisk(plan, index)),
  guest: null,
  space: null,
  cleanup: { ok: true, left: [] },
  timings: {},
  error: null,
  ...over,
  vm: { name: plan.vm, state: plan.vmState, qemuStarted: '2026-04-27T10:00:00.000Z', ...over.vm },
  done: {
    mode: plan.kind,
    transfer: 'push',
    transferReason: null,
    reason: null,
    recreateMethod: null,
    rescueRefused: null,
    bitmapNew: plan.bitmapNew,
    ...over.done,
  },
  job:
    over.job === null
      ? null
      : { result: 'completed', error: null, processed: 8 * 65_536, total: 8 * 65_536, ms: 20, ...over.job },
});
