import {
  answer,
  bitmap,
  CHAIN,
  disk,
  FULL_BITMAP,
  GIB,
  incrementalPlan,
  NEW_CHAIN,
  PARENT_BITMAP,
  planOf,
  ran,
  ranDisk,
  T0,
  VM,
  type Changes,
  type FactsChanges,
} from '../../../test/unit/chain/situation';
import type { DiskFacts } from '../agent/facts';
import type { BackupPlan } from './backup-plan';
import { INCREMENTAL_REASONS, sentenceOf } from './reasons';
import { settleBackup } from './settle-backup';
import type { Answer, BackedUp, FailedBackup } from './settlement';

const NEW_BITMAP = `backup-${T0 + 7200}`;
const FULL_WISH: Changes = { request: { mode: 'full' } };
const RAW: Changes = { facts: { disks: [disk('vda', { format: 'raw' }), disk('vdb', { format: 'raw' })] } };
const CLUSTER = 65_536;
const LOST: Changes = {
  policy: { onLostBitmap: 'rescue' },
  facts: { disks: ['vda', 'vdb'].map((name) => disk(name, { bitmaps: [] })) },
};
const RESCUED = { method: 'rescued', dirtyBefore: null, parentBitmap: null, compared: GIB } as const;

/** Rows of a table that need a plan take it when they run: while the table is built, nothing is decided yet. */
type Told = FactsChanges | ((plan: BackupPlan) => FactsChanges);
const settle = (plan: BackupPlan, facts: Told = {}, said: Partial<Answer> = {}) =>
  settleBackup(plan, answer(said), ran(plan, typeof facts === 'function' ? facts(plan) : facts));
const backedUp = (plan: BackupPlan, facts: Told = {}, said: Partial<Answer> = {}): BackedUp => {
  const settlement = settle(plan, facts, said);
  if (settlement.outcome !== 'backed-up') throw new Error(settlement.sentence);
  return settlement;
};
const failed = (plan: BackupPlan, facts: Told = {}, said: Partial<Answer> = {}): FailedBackup => {
  const settlement = settle(plan, facts, said);
  if (settlement.outcome !== 'failed') throw new Error(`not failed but ${settlement.outcome}`);
  return settlement;
};
const disks = (plan: BackupPlan, over: Partial<DiskFacts>) => ({ disks: [ranDisk(plan, 0), ranDisk(plan, 1, over)] });
const fullDisks = (plan: BackupPlan) =>
  plan.disks.map((_, index) => ranDisk(plan, index, { backing: null, method: 'full', dirtyBefore: null, parentBitmap: null }));
const fellBack = (plan: BackupPlan, over: FactsChanges = {}) => ({
  disks: fullDisks(plan),
  ...over,
  done: { mode: 'full' as const, ...over.done },
});
const values = ({ details }: BackedUp) => Object.fromEntries(details.map(({ name, value }) => [name, value]));

describe('settleBackup', () => {
  describe('a run as planned', () => {
    it('books an incremental', () => {
      const settlement = backedUp(incrementalPlan());
      expect(settlement).toStrictEqual({
        outcome: 'backed-up',
        status: 'BackedUp',
        type: 'INCREMENTAL',
        externalId: `${VM}/2026.04.27.16.26.40`,
        size: 400_000,
        protectedSize: 2 * GIB,
        details: [
          { name: 'nas.parent_backup_id', value: 'parent' },
          { name: 'nas.bitmap_name', value: NEW_BITMAP },
          { name: 'nas.chain_id', value: CHAIN },
          { name: 'nas.chain_position', value: '2' },
          { name: 'nas.type', value: 'incremental' },
        ],
        chainId: CHAIN,
        position: 2,
        parentUuid: 'parent',
        reason: 'regular',
        sentence: INCREMENTAL_REASONS.regular,
        recreation: null,
        assurance: 'accounted',
        disks: ['vda', 'vdb'].map((target, deviceId) => ({
          target,
          deviceId,
          path: `/mnt/pool/${target}-image`,
          inode: 101 + deviceId,
          format: 'qcow2',
          virtualSize: GIB,
          file: `${deviceId === 0 ? 'root' : 'datadisk'}.${target}-image.qcow2`,
        })),
        needsCleanup: false,
        activeCheckpoint: { change: 'set', to: NEW_BITMAP },
        retire: [PARENT_BITMAP],
        findings: [],
      });
    });

    it('books a full as the start of a chain', () => {
      const plan = planOf(FULL_WISH);
      const settlement = backedUp(plan);
      expect(settlement).toMatchObject({
        type: 'FULL',
        chainId: NEW_CHAIN,
        position: 0,
        parentUuid: null,
        reason: 'requested',
        assurance: 'accounted',
        retire: [PARENT_BITMAP],
      });
      expect(values(settlement)).toEqual({
        'nas.bitmap_name': NEW_BITMAP,
        'nas.chain_id': NEW_CHAIN,
        'nas.chain_position': '0',
        'nas.type': 'full',
      });
      expect(settlement.activeCheckpoint).toEqual({ change: 'set', to: NEW_BITMAP });
    });

    it('books a stopped VM’s full with the bitmap that was seeded', () => {
      const plan = planOf({ facts: { vm: { state: 'shut off' } } });
      const settlement = backedUp(plan, { job: null, done: { transfer: 'offline' } });
      expect(settlement).toMatchObject({
        reason: 'vm-stopped',
        assurance: 'accounted',
        activeCheckpoint: { change: 'set', to: NEW_BITMAP },
      });
    });

    it('books a legacy full without chain and bitmap', () => {
      const plan = planOf(RAW);
      const settlement = backedUp(plan, {}, { bitmapCreated: null });
      expect(settlement).toMatchObject({
        type: 'FULL',
        details: [],
        chainId: null,
        position: null,
        reason: 'image-unsupported',
        assurance: 'accounted',
        activeCheckpoint: { change: 'cleared' },
        retire: [PARENT_BITMAP],
      });
    });

    it('keeps a legacy full one, even if the script calls it a full', () => {
      expect(backedUp(planOf(RAW), { done: { mode: 'full', bitmapNew: NEW_BITMAP } })).toMatchObject({
        chainId: null,
        reason: 'image-unsupported',
        activeCheckpoint: { change: 'cleared' },
      });
    });

    it('tells a cleanup that failed from data that is good', () => {
      expect(backedUp(incrementalPlan(), {}, { needsCleanup: true }).needsCleanup).toBe(true);
      expect(backedUp(incrementalPlan(), { cleanup: { ok: false, left: ['/tmp/csbackup.x'] } })).toMatchObject({
        needsCleanup: true,
        assurance: 'accounted',
      });
    });

    it('does not know the protected size when one disk’s size is unknown', () => {
      const plan = planOf({ ...FULL_WISH, facts: { disks: [disk('vda', { virtualSize: null }), disk('vdb')] } });
      expect(backedUp(plan).protectedSize).toBeNull();
    });

    it('takes from the inspection what the run did not say of a disk, but never its file', () => {
      const plan = planOf(FULL_WISH);
      const [, vdb] = backedUp(plan, disks(plan, { path: null, inode: null, virtualSize: null })).disks;
      expect(vdb).toEqual({
        target: 'vdb',
        deviceId: 1,
        path: '/mnt/pool/vdb-image',
        inode: 102,
        format: 'qcow2',
        virtualSize: GIB,
        file: 'datadisk.vdb-image.qcow2',
      });
      const said = backedUp(plan, disks(plan, { path: '/x', inode: 9, virtualSize: 512, file: 'other.qcow2' })).disks[1];
      expect(said).toMatchObject({ path: '/x', inode: 9, virtualSize: 512, file: 'other.qcow2' });
    });
  });

  describe('a fallback of the script', () => {
    it('starts a new chain, with the reason of the script', () => {
      const plan = incrementalPlan();
      const settlement = backedUp(plan, fellBack(plan, { done: { reason: 'bitmap-inconsistent' } }), {
        incrementalFallback: true,
      });
      expect(settlement).toMatchObject({
        type: 'FULL',
        chainId: NEW_CHAIN,
        position: 0,
        parentUuid: null,
        reason: 'bitmap-inconsistent',
        sentence: sentenceOf('bitmap-inconsistent'),
        assurance: 'accounted',
        retire: [PARENT_BITMAP],
      });
      expect(values(settlement)).toEqual({
        'nas.bitmap_name': NEW_BITMAP,
        'nas.chain_id': NEW_CHAIN,
        'nas.chain_position': '0',
        'nas.type': 'full',
      });
    });

    it.each([
      ['no reason', null, 'running', 'bitmap-unconfirmed'],
      ['a reason that nobody knows', 'moon-phase', 'running', 'bitmap-unconfirmed'],
      ['a reason of an incremental', 'regular', 'running', 'bitmap-unconfirmed'],
      ['no reason, stopped', null, 'shut off', 'vm-stopped'],
    ] as const)('has a reason of the list after %s', (_what, reason, state, expected) => {
      const plan = incrementalPlan();
      expect(backedUp(plan, fellBack(plan, { done: { reason }, vm: { state } })).reason).toBe(expected);
    });

    it('is read from the marker where a stock script gives no facts', () => {
      const settlement = settleBackup(incrementalPlan(), answer({ incrementalFallback: true }), null);
      expect(settlement).toMatchObject({
        type: 'FULL',
        chainId: NEW_CHAIN,
        position: 0,
        reason: 'bitmap-unconfirmed',
        assurance: 'unproven',
        activeCheckpoint: { change: 'set', to: NEW_BITMAP },
      });
    });

    it('changes nothing of a full', () => {
      expect(settleBackup(planOf(FULL_WISH), answer({ incrementalFallback: true }), null)).toMatchObject({
        type: 'FULL',
        reason: 'requested',
      });
      expect(settleBackup(planOf(RAW), answer({ incrementalFallback: true }), null)).toMatchObject({
        type: 'FULL',
        chainId: null,
      });
    });

    it('may leave the chain altogether', () => {
      const plan = planOf(FULL_WISH);
      const settlement = backedUp(
        plan,
        { done: { mode: 'legacy-full', reason: 'image-unsupported', bitmapNew: null } },
        { bitmapCreated: null },
      );
      expect(settlement).toMatchObject({
        chainId: null,
        position: null,
        details: [],
        reason: 'image-unsupported',
        activeCheckpoint: { change: 'cleared' },
        retire: [PARENT_BITMAP, NEW_BITMAP],
      });
    });
  });

  describe('bitmaps', () => {
    it.each<[string, Partial<Answer>, FactsChanges]>([
      ['neither answer nor facts confirm', { bitmapCreated: null }, { done: { bitmapNew: null } }],
      ['the answer does not confirm', { bitmapCreated: null }, {}],
      ['the facts do not confirm', {}, { done: { bitmapNew: null } }],
      ['the facts call otherwise', {}, { done: { bitmapNew: 'backup-1' } }],
      ['the answer calls otherwise', { bitmapCreated: 'backup-1' }, {}],
    ])('are never stored when %s them', (_what, said, facts) => {
      const settlement = backedUp(incrementalPlan(), facts, said);
      expect(values(settlement)).not.toHaveProperty(['nas.bitmap_name']);
      expect(settlement).toMatchObject({
        activeCheckpoint: { change: 'cleared' },
        retire: [PARENT_BITMAP, NEW_BITMAP],
        chainId: CHAIN,
        position: 2,
      });
    });

    it('of a stock script’s stopped full are none, whatever was requested', () => {
      const plan = planOf({ facts: { vm: { state: 'shut off' } } });
      const settlement = settleBackup(plan, answer({ bitmapCreated: null }), null);
      expect(settlement).toMatchObject({
        outcome: 'backed-up',
        type: 'FULL',
        chainId: NEW_CHAIN,
        position: 0,
        activeCheckpoint: { change: 'cleared' },
        retire: [PARENT_BITMAP, NEW_BITMAP],
      });
      expect(values(settlement as BackedUp)).toEqual({
        'nas.chain_id': NEW_CHAIN,
        'nas.chain_position': '0',
        'nas.type': 'full',
      });
    });

    it('are retired when superseded, each once, and never the new one', () => {
      const shown = [bitmap(), bitmap(FULL_BITMAP)];
      const plan = incrementalPlan({ facts: { disks: [disk('vda', { bitmaps: shown }), disk('vdb')] } });
      expect(backedUp(plan).retire).toEqual([PARENT_BITMAP, FULL_BITMAP]);
      expect(backedUp({ ...plan, superseded: [...plan.superseded, NEW_BITMAP] }).retire).toEqual([PARENT_BITMAP, FULL_BITMAP]);
    });
  });

  describe('recreation', () => {
    const redefine: Changes = { facts: { checkpoints: [] } };

    it('is booked with its method', () => {
      const settlement = backedUp(
        incrementalPlan(redefine),
        { done: { recreateMethod: 'redefined' } },
        { bitmapRecreated: PARENT_BITMAP },
      );
      expect(settlement).toMatchObject({
        reason: 'redefined',
        recreation: { bitmap: PARENT_BITMAP, method: 'redefined' },
        assurance: 'accounted',
        activeCheckpoint: { change: 'set', to: NEW_BITMAP },
      });
      expect(values(settlement)).toMatchObject({ 'nas.bitmap_recreated': PARENT_BITMAP, 'ck.recreate_method': 'redefined' });
    });

    it('is known from the facts in a dialect without markers', () => {
      expect(backedUp(incrementalPlan(redefine), { done: { recreateMethod: 'redefined' } })).toMatchObject({
        reason: 'redefined',
        recreation: { bitmap: PARENT_BITMAP, method: 'redefined' },
      });
    });

    it('is not booked when it was planned and proved needless', () => {
      const settlement = backedUp(incrementalPlan(redefine));
      expect(settlement).toMatchObject({ reason: 'regular', recreation: null });
    });

    it('keeps the planned reason where a stock script says nothing', () => {
      expect(settleBackup(incrementalPlan(redefine), answer(), null)).toMatchObject({
        reason: 'redefined',
        recreation: null,
        assurance: 'unproven',
      });
    });

    it('by a rescue is accounted for when the comparison ran to its end', () => {
      const plan = incrementalPlan(LOST);
      const run = (over: Partial<DiskFacts>) =>
        backedUp(
          plan,
          {
            disks: [0, 1].map((index) => ranDisk(plan, index, { ...RESCUED, ...over })),
            job: { processed: 0 },
            done: { recreateMethod: 'rescued' },
          },
          { bitmapRecreated: PARENT_BITMAP },
        );
      expect(run({})).toMatchObject({ reason: 'rescued', assurance: 'accounted', parentUuid: 'parent', position: 2 });
      expect(values(run({}))).toMatchObject({ 'nas.bitmap_recreated': PARENT_BITMAP, 'ck.recreate_method': 'rescued' });
      for (const compared of [null, GIB - 65_536]) {
        expect(run({ compared })).toMatchObject({ reason: 'rescued', assurance: 'unproven' });
      }
    });

    it('by a bitmap that was lost at the inspection is no incremental', () => {
      const plan = incrementalPlan(LOST);
      const settlement = settleBackup(plan, answer(), ran(plan));
      expect(settlement).toMatchObject({ outcome: 'failed', code: 'delta-contradicted' });
    });

    it('by a rescue that could not be is a full with the reason and the chain of one', () => {
      const plan = incrementalPlan(LOST);
      const settlement = backedUp(
        plan,
        {
          ...fellBack(plan, { done: { reason: 'bitmap-missing', rescueRefused: 'no scratch' } }),
        },
        { incrementalFallback: true },
      );
      expect(settlement).toMatchObject({ type: 'FULL', reason: 'bitmap-missing', recreation: null, chainId: NEW_CHAIN });
    });

    it('of one disk of two leaves the other to its bitmap', () => {
      const plan = incrementalPlan();
      const mixed = (over: Partial<DiskFacts>) => ({
        done: { recreateMethod: 'rescued' as const },
        disks: [ranDisk(plan, 0, RESCUED), ranDisk(plan, 1, over)],
      });
      expect(backedUp(plan, mixed({}), { bitmapRecreated: PARENT_BITMAP }).assurance).toBe('accounted');
      expect(backedUp(plan, mixed({ dirtyBefore: null }), { bitmapRecreated: PARENT_BITMAP }).assurance).toBe('unproven');
    });

    it('by a stock script, which cannot say how, closes the chain', () => {
      const settlement = settleBackup(incrementalPlan(), answer({ bitmapRecreated: PARENT_BITMAP }), null);
      expect(settlement).toMatchObject({
        outcome: 'backed-up',
        type: 'INCREMENTAL',
        reason: 'regular',
        assurance: 'unproven',
        recreation: { bitmap: PARENT_BITMAP, method: 'unknown' },
        activeCheckpoint: { change: 'cleared' },
        retire: [PARENT_BITMAP, NEW_BITMAP],
      });
      expect(values(settlement as BackedUp)).toMatchObject({
        'nas.bitmap_recreated': PARENT_BITMAP,
        'ck.recreate_method': 'unknown',
        'nas.bitmap_name': NEW_BITMAP,
      });
      expect(settlement.findings.join()).toContain('did not say how');
    });

    it('without a method closes the chain, whatever the bytes say: a blank bitmap agrees with itself', () => {
      expect(backedUp(incrementalPlan(), {}, { bitmapRecreated: PARENT_BITMAP })).toMatchObject({
        assurance: 'unproven',
        activeCheckpoint: { change: 'cleared' },
        reason: 'regular',
      });
    });

    it('of another bitmap than the parent’s is not believed', () => {
      const settlement = backedUp(incrementalPlan(), { done: { recreateMethod: 'redefined' } }, { bitmapRecreated: 'backup-1' });
      expect(settlement).toMatchObject({
        recreation: { bitmap: 'backup-1', method: 'unknown' },
        assurance: 'unproven',
        activeCheckpoint: { change: 'cleared' },
      });
    });

    it('before a full is told and does not matter', () => {
      const plan = incrementalPlan();
      const settlement = backedUp(plan, fellBack(plan), { bitmapRecreated: PARENT_BITMAP, incrementalFallback: true });
      expect(settlement).toMatchObject({
        type: 'FULL',
        assurance: 'accounted',
        recreation: { method: 'unknown' },
        activeCheckpoint: { change: 'set', to: NEW_BITMAP },
      });
    });

    it('that only the facts of a full tell of has the name that was asked for', () => {
      const full = planOf(FULL_WISH);
      expect(
        backedUp(full, {
          done: { recreateMethod: 'redefined' },
          asked: { mode: null, bitmapNew: null, bitmapParent: 'backup-7' },
        }).recreation,
      ).toEqual({ bitmap: 'backup-7', method: 'unknown' });
      expect(backedUp(full, { done: { recreateMethod: 'redefined' } }).recreation).toBeNull();
    });
  });

  describe('a failure', () => {
    it.each([
      ['Failed', false],
      ['Error', true],
    ] as const)('is %s when needsCleanup is %s', (status, needsCleanup) => {
      const settlement = failed(incrementalPlan(), {}, { result: false, needsCleanup, code: 'job-failed', exitCode: 1 });
      expect(settlement).toEqual({
        outcome: 'failed',
        status,
        code: 'job-failed',
        sentence: 'The host script failed with exit code 1.',
        retry: null,
        activeCheckpoint: { change: 'unchanged' },
        retire: [NEW_BITMAP],
        findings: [],
      });
    });

    it('has the code of the answer, else of the facts, else one of its own', () => {
      const error = { code: 'target-full', message: 'The NAS is full.' };
      expect(failed(incrementalPlan(), { error }, { result: false, code: 'job-failed' })).toMatchObject({
        code: 'job-failed',
        sentence: 'The NAS is full.',
      });
      expect(failed(incrementalPlan(), { error }, { result: false })).toMatchObject({ code: 'target-full' });
      expect(settleBackup(incrementalPlan(), answer({ result: false, exitCode: 32 }), null)).toMatchObject({
        code: 'backup-failed',
        sentence: 'The host script failed with exit code 32.',
      });
    });

    it('of a plan without bitmap leaves none to retire', () => {
      expect(failed(planOf(RAW), {}, { result: false }).retire).toEqual([]);
    });

    it.each([
      ['recreate-failed', 'bitmap-unconfirmed'],
      ['incremental-unsupported', 'bitmap-unconfirmed'],
      ['parent-missing', 'parent-file-missing'],
    ])('%s of an incremental is tried again as a full', (code, because) => {
      expect(
        failed(incrementalPlan({ request: { quiesce: true, transfer: 'pull' } }), {}, { result: false, code }).retry,
      ).toEqual({
        mode: 'full',
        because,
        quiesce: true,
        transfer: 'pull',
      });
      expect(failed(planOf(FULL_WISH), {}, { result: false, code }).retry).toBeNull();
    });

    it('leaves the way of the data to whoever says so at the next try, unless the call did', () => {
      const plan = incrementalPlan({ policy: { transfer: null, repositoryTransfer: 'pull' } });
      const retryOf = (one: typeof plan) => failed(one, {}, { result: false, code: 'parent-missing' }).retry;
      expect(retryOf(plan)).not.toHaveProperty('transfer');
      // A plan that was written down before there was more than one who could say.
      const { transferFrom: _transferFrom, ...old } = plan;
      expect(retryOf(old as typeof plan)).toHaveProperty('transfer', 'pull');
    });

    it('keeps the limit of the call at the next try, and asks again for one that was set', () => {
      const retryOf = (one: ReturnType<typeof incrementalPlan>) =>
        failed(one, {}, { result: false, code: 'parent-missing' }).retry;
      expect(retryOf(incrementalPlan({ request: { bandwidth: 8 } }))).toMatchObject({ mode: 'full', bandwidth: 8 });
      expect(retryOf(incrementalPlan({ policy: { bandwidth: 8 } }))).not.toHaveProperty('bandwidth');
    });

    it('with the marker of a fallback is tried again as a full', () => {
      expect(failed(incrementalPlan(), {}, { result: false, code: 'x', incrementalFallback: true }).retry).toEqual({
        mode: 'full',
        because: 'bitmap-unconfirmed',
        quiesce: false,
      });
    });

    it('after a bitmap was recreated blindly leaves nothing to build on', () => {
      expect(
        settleBackup(incrementalPlan(), answer({ result: false, bitmapRecreated: PARENT_BITMAP }), null).activeCheckpoint,
      ).toEqual({ change: 'cleared' });
      expect(
        failed(incrementalPlan(), { done: { recreateMethod: 'redefined' } }, { result: false, bitmapRecreated: PARENT_BITMAP })
          .activeCheckpoint,
      ).toEqual({ change: 'unchanged' });
    });

    it('of a script that repairs exactly does not, even if its facts are lost', () => {
      const plan = incrementalPlan({ facts: { checkpoints: [] } });
      expect(settleBackup(plan, answer({ result: false, bitmapRecreated: PARENT_BITMAP }), null).activeCheckpoint).toEqual({
        change: 'unchanged',
      });
    });
  });

  describe('an unknown outcome', () => {
    it.each<Partial<Answer>>([
      { exitCode: null, result: false },
      { exitCode: null, result: true },
      { exitCode: -1, result: false, code: 'outcome-unknown' },
    ])('is never a failure: %j', (said) => {
      expect(settleBackup(incrementalPlan(), answer(said), null)).toEqual({
        outcome: 'unknown',
        code: 'outcome-unknown',
        sentence: 'Nobody saw how the host script ended; the host has to be asked.',
        activeCheckpoint: { change: 'unchanged' },
        retire: [],
        findings: [],
      });
    });

    it('with a bitmap recreated blindly leaves nothing to build on', () => {
      expect(
        settleBackup(incrementalPlan(), answer({ exitCode: null, bitmapRecreated: PARENT_BITMAP }), null).activeCheckpoint,
      ).toEqual({ change: 'cleared' });
    });
  });

  describe('a success that is none', () => {
    let plan: BackupPlan;
    beforeEach(() => void (plan = incrementalPlan()));
    it.each<[string, Told, Partial<Answer>]>([
      ['size-unknown', {}, { size: null }],
      ['size-unknown', {}, { size: 0 }],
      ['size-contradicted', (plan) => disks(plan, { fileSize: 5_000_000 }), { size: 4_999_999 }],
      ['target-full', { error: { code: 'target-full', message: 'full' } }, {}],
      ['wrong-vm', { vm: { name: 'i-2-8-VM' } }, {}],
      ['nothing-done', { done: { mode: 'none' } }, {}],
      ['job-not-completed', { job: { result: 'unknown' } }, {}],
      ['job-not-completed', { job: { result: 'failed' }, done: { transfer: null } }, {}],
      ['job-not-completed', { job: null }, {}],
      ['disks-differ', (plan) => ({ disks: [ranDisk(plan, 0)] }), {}],
      ['disks-differ', { disks: [] }, {}],
      ['disks-differ', (plan) => ({ disks: [ranDisk(plan, 0), ranDisk(plan, 1), ranDisk(plan, 1, { target: 'vdc' })] }), {}],
      ['file-missing', (plan) => ({ disks: [ranDisk(plan, 0), ranDisk(plan, 1, { file: ranDisk(plan, 0).file })] }), {}],
      ['file-missing', (plan) => disks(plan, { file: null }), {}],
      ['file-missing', (plan) => disks(plan, { file: '../../x' }), {}],
      ['wrong-backing', (plan) => disks(plan, { backing: null }), {}],
      ['wrong-backing', (plan) => disks(plan, { backing: ranDisk(plan, 0).backing }), {}],
      ['wrong-backing', (plan) => disks(plan, { backing: `/mnt/pool/vdb-image` }), {}],
      ['wrong-backing', (plan) => disks(plan, { backing: '' }), {}],
      ['check-failed', (plan) => disks(plan, { check: 'errors' }), {}],
      ['check-failed', (plan) => disks(plan, { check: 'skipped' }), {}],
      ['check-failed', (plan) => disks(plan, { check: null }), {}],
    ])('is an error: %s', (code, facts, said) => {
      const settlement = failed(plan, facts, said);
      expect(settlement).toMatchObject({
        status: 'Error',
        code,
        retry: null,
        activeCheckpoint: { change: 'unchanged' },
        retire: [NEW_BITMAP],
      });
      expect(settlement.sentence.length).toBeGreaterThan(3);
    });

    it('keeps the parent of a killed script only where that is ours', () => {
      const killed = answer({ result: false, exitCode: 137, code: 'script-killed' });
      const change = (ours: boolean) => settleBackup(plan, killed, null, { before: null, after: null }, ours);
      expect(change(true)).toMatchObject({ status: 'Error', code: 'script-killed', activeCheckpoint: { change: 'unchanged' } });
      expect(change(false)).toMatchObject({ status: 'Error', code: 'script-killed', activeCheckpoint: { change: 'cleared' } });
    });

    it('is an error where the facts that the script tells of every run are missing', () => {
      const looks = { before: null, after: null };
      expect(settleBackup(plan, answer(), null, looks, true)).toMatchObject({
        ...{ outcome: 'failed', status: 'Error', code: 'facts-missing', retire: [NEW_BITMAP] },
      });
      expect(settleBackup(plan, answer(), ran(plan), looks, true).outcome).toBe('backed-up');
      expect(settleBackup(plan, answer(), null, looks, false)).toMatchObject({ outcome: 'backed-up', assurance: 'unproven' });
    });

    it('says what the file stands on and what it must stand on', () => {
      expect(failed(plan, disks(plan, { backing: '../a/b' })).sentence).toBe(
        `The file of disk vdb stands on ../a/b, and must stand on ${plan.disks[1]?.parentFile}.`,
      );
      expect(failed(planOf(FULL_WISH), disks(planOf(FULL_WISH), { backing: 'x' })).sentence).toBe(
        'The file of disk vdb stands on x, and must stand on nothing.',
      );
    });

    it.each<[string, Told]>([
      ['The backup job is not known to have completed: nothing reported.', { job: null }],
      ['The backup job is not known to have completed: failed.', { job: { result: 'failed' } }],
      ['The file of disk vdb is not known to be sound: check not reported.', (plan) => disks(plan, { check: null })],
      ['The file of disk vdb is not known to be sound: check errors.', (plan) => disks(plan, { check: 'errors' })],
    ])('says what is wrong: %s', (sentence, facts) => {
      expect(failed(plan, facts).sentence).toBe(sentence);
    });

    it('says which disks differ', () => {
      expect(failed(plan, { disks: [] }).sentence).toBe('The plan is for vda, vdb, the host backed up nothing.');
    });

    it('is a backing file of a full, even one that leads nowhere', () => {
      for (const backing of ['../a/b', '/abs', ''])
        expect(failed(planOf(FULL_WISH), disks(planOf(FULL_WISH), { backing })).code).toBe('wrong-backing');
    });

    it('is an incremental where a full was planned', () => {
      expect(failed(planOf(FULL_WISH), { done: { mode: 'incremental' } })).toMatchObject({
        code: 'mode-contradicts-plan',
        sentence: 'The plan was full, and the host made an incremental.',
      });
      expect(failed(planOf(RAW), { done: { mode: 'incremental' } }).code).toBe('mode-contradicts-plan');
    });

    it('is not a job that a pull or a stopped VM does not have', () => {
      expect(backedUp(plan, { job: { result: 'cancelled' }, done: { transfer: 'pull' } }).status).toBe('BackedUp');
      expect(backedUp(planOf(FULL_WISH), { job: null, done: { transfer: 'offline' } }).status).toBe('BackedUp');
    });

    it('is not one whose facts do not name the VM', () => expect(backedUp(plan, { vm: { name: null } }).status).toBe('BackedUp'));

    it('resolves a backing file with detours', () => {
      const { backing } = ranDisk(plan, 1);
      expect(backedUp(plan, disks(plan, { backing: `./x/..//${backing}` })).status).toBe('BackedUp');
    });

    it('takes disks in any order', () => {
      expect(backedUp(plan, { disks: [ranDisk(plan, 1), ranDisk(plan, 0)] }).assurance).toBe('accounted');
      expect(settleBackup({ ...plan, disks: [...plan.disks].reverse() }, answer(), ran(plan)).outcome).toBe('backed-up');
    });
  });

  it('gives a legacy full no bitmap, whatever the host says', () => {
    const plan = incrementalPlan();
    const settlement = backedUp(plan, { disks: fullDisks(plan), done: { mode: 'legacy-full' } });
    expect(settlement).toMatchObject({ details: [], activeCheckpoint: { change: 'cleared' } });
    expect(settlement.retire).toContain(NEW_BITMAP);
  });

  describe('a delta that cannot be true', () => {
    it('says all that contradicts it', () =>
      expect(failed(plan, disks(plan, { inode: 9, dirtyBefore: 5 * CLUSTER })).sentence).toBe(
        `The delta cannot be true: disk vdb was another one in the run than at the inspection; the delta of disk vdb holds ${4 * CLUSTER} bytes, and the bitmap called ${5 * CLUSTER} dirty.`,
      ));

    let plan: BackupPlan;
    beforeEach(() => void (plan = incrementalPlan()));
    it.each<[string, Partial<DiskFacts>]>([
      ['holds 262144 bytes', { dirtyBefore: 5 * CLUSTER }],
      ['fell from', { dirtyBefore: CLUSTER, ownData: 0 }],
      ['another one', { virtualSize: 2 * GIB }],
      ['another one', { inode: 9 }],
      ['another one', { path: '/x', inode: null }],
      ['not healthy', { parentBitmap: { recording: false, inconsistent: null, persistent: true, granularity: CLUSTER } }],
      ['not healthy', { parentBitmap: { recording: true, inconsistent: true, persistent: true, granularity: CLUSTER } }],
      ['not healthy', { parentBitmap: { recording: true, inconsistent: false, persistent: false, granularity: CLUSTER } }],
      [
        'changed its granularity',
        { parentBitmap: { recording: true, inconsistent: false, persistent: true, granularity: 4096 } },
      ],
    ])('%s: is an error, and a full is taken at once', (text, over) => {
      const settlement = failed(plan, disks(plan, over));
      expect(settlement).toMatchObject({
        status: 'Error',
        code: 'delta-contradicted',
        retry: { mode: 'full', because: 'lineage-mismatch', quiesce: false },
        activeCheckpoint: { change: 'cleared' },
        retire: [NEW_BITMAP],
      });
      expect(settlement.sentence).toContain(text);
      expect(settlement.sentence).toContain('vdb');
    });
  });

  describe('assurance at birth', () => {
    let plan: BackupPlan;
    beforeEach(() => void (plan = incrementalPlan()));
    it.each<[string, Told, Partial<Answer>, string[]]>([
      ['the exit code is not 0', {}, { exitCode: 32 }, ['the host script ended with exit code 32']],
      [
        'the size of a disk is unknown',
        (plan) => disks(plan, { virtualSize: null }),
        {},
        [
          `disk vdb had ${GIB} bytes at the inspection and an unknown number of bytes in the run`,
          'the bitmap and the delta of disk vdb were not measured',
          'the bytes of the job were not measured',
        ],
      ],
      [
        'a path is unknown',
        (plan) => disks(plan, { path: null }),
        {},
        ['disk vdb is not known to be the same file at the inspection and in the run'],
      ],
      [
        'an inode is unknown',
        (plan) => disks(plan, { inode: null }),
        {},
        ['disk vdb is not known to be the same file at the inspection and in the run'],
      ],
      [
        'the dirty count is unknown',
        (plan) => disks(plan, { dirtyBefore: null }),
        {},
        ['the bitmap and the delta of disk vdb were not measured'],
      ],
      [
        'the data of the delta is unknown',
        (plan) => disks(plan, { ownData: null }),
        {},
        ['the bitmap and the delta of disk vdb were not measured', 'the bytes of the job were not measured'],
      ],
      [
        'the zeroes of the delta are unknown',
        (plan) => disks(plan, { ownZero: null }),
        {},
        ['the bitmap and the delta of disk vdb were not measured', 'the bytes of the job were not measured'],
      ],
      [
        'the bitmap was not seen',
        (plan) => disks(plan, { parentBitmap: null }),
        {},
        ['the bitmap and the delta of disk vdb were not measured'],
      ],
      [
        'the granularity is unknown',
        (plan) => disks(plan, { parentBitmap: { recording: true, inconsistent: false, persistent: true, granularity: null } }),
        {},
        ['the bitmap and the delta of disk vdb were not measured'],
      ],
      [
        'the bitmap may not have been recording',
        (plan) => disks(plan, { parentBitmap: { recording: null, inconsistent: false, persistent: true, granularity: CLUSTER } }),
        {},
        ["the parent's bitmap on disk vdb is not known to have been healthy"],
      ],
      [
        'the bitmap may have been inconsistent',
        (plan) => disks(plan, { parentBitmap: { recording: true, inconsistent: null, persistent: true, granularity: CLUSTER } }),
        {},
        ["the parent's bitmap on disk vdb is not known to have been healthy"],
      ],
      [
        'the bitmap may not have been persistent',
        (plan) => disks(plan, { parentBitmap: { recording: true, inconsistent: false, persistent: null, granularity: CLUSTER } }),
        {},
        ["the parent's bitmap on disk vdb is not known to have been healthy"],
      ],
      [
        'the job moved more',
        { job: { processed: 9 * CLUSTER } },
        {},
        [`the job moved ${9 * CLUSTER} bytes, and the deltas hold ${8 * CLUSTER}`],
      ],
      [
        'the job moved less',
        { job: { processed: 7 * CLUSTER } },
        {},
        [`the job moved ${7 * CLUSTER} bytes, and the deltas hold ${8 * CLUSTER}`],
      ],
      ['the job was not measured', { job: { processed: null } }, {}, ['the bytes of the job were not measured']],
    ])('is unproven when %s', (_what, facts, said, findings) => {
      const settlement = backedUp(plan, facts, said);
      expect(settlement.assurance).toBe('unproven');
      expect(settlement.findings).toStrictEqual(findings);
      expect(settlement.activeCheckpoint).toEqual({ change: 'set', to: NEW_BITMAP });
    });

    it('is accounted for where nothing was written: libvirt tells no bytes of a job that had none to copy', () => {
      const idle = {
        ...plan,
        disks: plan.disks.map((one) => ({ ...one, bitmap: one.bitmap && { ...one.bitmap, dirtyBytes: 0 } })),
      };
      const nothing = { ownData: 0, ownZero: 0, dirtyBefore: 0 };
      const assuredOf = (over: typeof nothing): string =>
        backedUp(idle, {
          disks: idle.disks.map((_, index) => ranDisk(idle, index, over)),
          job: { processed: null, total: null },
        }).assurance;
      expect(assuredOf(nothing)).toBe('accounted');
      expect(assuredOf({ ...nothing, ownData: CLUSTER })).toBe('unproven');
    });

    it('counts neither the bytes nor the job of a disk that was compared', () => {
      const rescued = disks(plan, RESCUED);
      expect(backedUp(plan, { ...rescued, job: { processed: 5 } }).findings).toStrictEqual([]);
    });

    it('asks for the bytes of the job even where there was none', () =>
      expect(backedUp(plan, { job: null, done: { transfer: 'pull' } }).findings).toStrictEqual([
        'the bytes of the job were not measured',
      ]));

    it('holds nothing against a run that the inspection could not see', () => {
      const blind = { ...plan, disks: plan.disks.map((one) => ({ ...one, path: null, inode: null, bitmap: null })) };
      expect(settleBackup(blind, answer(), ran(plan))).toMatchObject({ assurance: 'accounted' });
    });

    it('is unproven where no size was ever known', () => {
      const full = planOf({ ...FULL_WISH, facts: { disks: [disk('vda', { virtualSize: null }), disk('vdb')] } });
      expect(backedUp(full).findings).toStrictEqual([
        'disk vda had an unknown number of bytes at the inspection and an unknown number of bytes in the run',
      ]);
    });

    it('of a full needs exit and sizes alone', () => {
      const wish = planOf(FULL_WISH);
      expect(backedUp(wish, disks(wish, { inode: null, ownData: null, path: '/x' })).assurance).toBe('accounted');
      expect(backedUp(wish, { job: { processed: 5 } }).assurance).toBe('accounted');
      expect(backedUp(wish, {}, { exitCode: 1 }).assurance).toBe('unproven');
      expect(backedUp(wish, disks(wish, { virtualSize: 5 })).assurance).toBe('unproven');
    });

    it('is accounted when the guest went on writing before the job, and when the delta holds more than was dirty', () => {
      expect(backedUp(plan, disks(plan, { dirtyBefore: 2 * CLUSTER })).assurance).toBe('accounted');
      expect(backedUp(plan, disks(plan, { dirtyBefore: 131_072 })).assurance).toBe('accounted');
    });

    it('does not need the counts of the inspection', () => {
      const blind = incrementalPlan({
        facts: {
          disks: [disk('vda'), disk('vdb', { bitmaps: [bitmap(PARENT_BITMAP, { granularity: null, dirtyBytes: null })] })],
        },
      });
      expect(backedUp(blind).assurance).toBe('accounted');
    });

    it('without facts is unproven, and the books keep what the inspection saw and the names that scripts give', () => {
      const settlement = settleBackup(plan, answer(), null);
      expect(settlement).toMatchObject({ assurance: 'unproven', findings: ['the host script reported no facts'] });
      expect((settlement as BackedUp).disks[1]).toEqual({
        target: 'vdb',
        deviceId: 1,
        path: '/mnt/pool/vdb-image',
        inode: 102,
        format: 'qcow2',
        virtualSize: GIB,
        file: 'datadisk.vdb-image.qcow2',
      });
    });

    // Measured: the bitmap counts a whole granule for the tail of a disk, the job a whole cluster, the delta ends with the disk.
    describe('at the end of a disk that is no multiple of a cluster', () => {
      const size = GIB + 512;
      const tailed = incrementalPlan({
        facts: { disks: [disk('vda'), disk('vdb', { virtualSize: size })] },
        books: { resizes: [{ target: 'vdb', from: GIB, to: size }] },
      });
      const tail = (over: Partial<DiskFacts>, processed: number) =>
        settle(tailed, {
          ...disks(tailed, { ownData: CLUSTER + 512, ownZero: 0, dirtyBefore: 2 * CLUSTER, ...over }),
          job: { processed },
        });

      it('allows for what lies beyond the end', () => {
        expect(tail({}, 6 * CLUSTER)).toMatchObject({ assurance: 'accounted' });
        expect(tail({}, 5 * CLUSTER + 512)).toMatchObject({ assurance: 'accounted' });
        expect(tail({ clusterSize: null }, 6 * CLUSTER)).toMatchObject({ assurance: 'accounted' });
        expect(tail({ clusterSize: 4096 }, 6 * CLUSTER)).toMatchObject({ assurance: 'accounted' });
      });

      it('and for no byte more', () => {
        expect(tail({}, 6 * CLUSTER + 1)).toMatchObject({ assurance: 'unproven' });
        expect(tail({ ownData: CLUSTER + 511 }, 6 * CLUSTER)).toMatchObject({ code: 'delta-contradicted' });
        expect(tail({ clusterSize: 2 * CLUSTER }, 6 * CLUSTER + 1)).toMatchObject({ assurance: 'accounted' });
      });
    });
  });

  it('is a function of its input alone', () => {
    const plan = incrementalPlan();
    const facts = ran(plan);
    expect(settleBackup(plan, answer(), facts)).toEqual(settleBackup(structuredClone(plan), answer(), structuredClone(facts)));
  });
});
