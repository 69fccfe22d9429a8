import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { posix } from 'node:path';
import { buildChecksum, buildDelete, buildStats, type RestoreWay } from '../../src/domain/agent/build-argv';
import { type Checksums, readChecksum } from '../../src/domain/agent/read-checksum';
import { foundNothing, readDelete } from '../../src/domain/agent/read-delete';
import { readRestore, type RestoreFacts } from '../../src/domain/agent/read-restore';
import type { Manifest } from '../../src/domain/chain/write-manifest';
import type { HostAccess } from '../../src/hosts/host-access';
import type { HostClient } from '../../src/hosts/host-client';
import type { LabDisk, LabHost } from '../../src/hosts/fake/lab-host';
import { loadScript } from '../../src/hosts/script-file';
import { ChainOf, type Point } from './chain-of';
import { follow } from './follow';

/** A host client with a lab around its host. */
export interface Subject {
  readonly lab: LabHost;
  readonly client: HostClient;
  /** What the client warned of. */
  readonly warnings: readonly string[];
  readonly host: HostAccess;
  /** A login on the same host that may become root. */
  readonly admin: HostAccess;
  /** A path that nothing has been installed at yet, in a folder of root's. */
  readonly freshPath: string;
  /** Whether the host's sudo would take this line. */
  acceptsSudoers(line: string): Promise<boolean>;
  /** Loses the connection while that is on its way. */
  cutDuring(work: () => Promise<unknown>): Promise<void>;
  close(): Promise<void>;
}

const MIB = 1024 * 1024;
const KIB = 1024;

/**
 * What every host client must do, whatever is behind it. Left out because only SSH can do it: host keys, channels, black
 * holes, signals (ssh-shell.spec.ts); because only the fake can be asked for it: faults in the middle of a job
 * (fake-faults.spec.ts).
 */
export function defineHostClientContract(name: string, open: () => Promise<Subject>): void {
  describe(`host client: ${name}`, () => {
    let subject: Subject;
    let chain: ChainOf;
    const vm = `i-2-${process.pid % 100000}-${name.replace(/\W/g, '')}-VM`;
    const nas = 'contract';

    beforeAll(async () => {
      subject = await open();
      await subject.lab.vmCreate(vm, [
        { target: 'vda', size: 64 * MIB },
        { target: 'vdb', size: 32 * MIB },
      ]);
      await subject.lab.nas(nas);
      await subject.lab.vmStart(vm);
      chain = new ChainOf(subject.lab, subject.client, subject.host, vm, nas);
    });
    afterAll(async () => {
      await subject?.close();
    });

    const write = (target: string, pattern: number, offset: number, length: number): Promise<void> =>
      subject.lab.write(vm, target, pattern, offset, length);

    describe('looking', () => {
      test('probe tells the versions and the checksum of the script that lies there', async () => {
        const { version, sha256 } = await loadScript();
        expect(await subject.client.probe(subject.host)).toEqual({
          script: version,
          sha256,
          libvirt: expect.stringMatching(/^\d+\.\d+\.\d+$/),
          qemu: expect.stringMatching(/^\d+\.\d+/),
          hostName: expect.any(String),
          bootId: expect.stringMatching(/^[0-9a-f-]{36}$/),
          shellMs: expect.any(Number),
        });
      });

      test('inspect of a running VM: its disks, since when it runs, the room on the repository', async () => {
        const repository = { type: 'dir', address: await subject.lab.nas(nas), options: null };
        const facts = await subject.client.inspect(subject.host, { vm, repository });
        expect(facts.vm).toMatchObject({ name: vm, state: 'running', qemuStarted: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/) });
        expect(facts.job).toEqual({ active: false, operation: null });
        expect(facts.disks.map(({ target, path, virtualSize }) => ({ target, path, size: virtualSize }))).toEqual(
          await subject.lab.vmDisks(vm),
        );
        expect(facts.disks.every(({ format, inode }) => format === 'qcow2' && inode !== null)).toBe(true);
        expect(facts.space?.free).toBeGreaterThan(0);
      });

      test('check: the host’s clock, sshd’s limit, and a repository that keeps what is written', async () => {
        const alone = await subject.client.check(subject.host, null);
        expect(Math.abs(Date.parse(alone.time) - Date.now())).toBeLessThan(60_000);
        expect([alone.space, alone.repository]).toEqual([null, null]);
        expect(alone.maxSessions).toBeGreaterThan(0);
        expect(alone.apparmor?.state).toMatch(/^(disabled|unused|confining)$/);
        expect(alone.apparmor?.files.some(({ path }) => path === 'abstractions/libvirt-qemu')).toBe(
          alone.apparmor?.state !== 'disabled',
        );
        const repository = { type: 'dir', address: await subject.lab.nas(nas), options: null };
        const { space, repository: tried, problems } = await subject.client.check(subject.host, repository);
        expect([space !== null, problems]).toEqual([true, []]);
        expect(tried).toMatchObject({
          data: true,
          rename: true,
          sync: true,
          directories: true,
          sparse: true,
          gone: true,
          writes: 16,
        });
        expect(tried?.worstUs ?? 0).toBeGreaterThanOrEqual(tried?.medianUs ?? Infinity);
        expect(tried?.largestFile ?? 0).toBeGreaterThanOrEqual(2 * 1024 ** 4);
        const small = { ...repository, address: await subject.lab.nasSmall(`${nas}-small`, 1) };
        const full = await subject.client.check(subject.host, small);
        expect(full.problems.map(({ code }) => code)).toEqual(['nas-full']);
        expect(full.repository).toMatchObject({ data: false, gone: true });
        await expect(subject.client.check(subject.host, { ...repository, address: '/none/at/all' })).rejects.toMatchObject({
          facts: { script: 'mount-failed' },
        });
      });

      test('inspect of a VM that nobody knows is an answer, not an error', async () => {
        const facts = await subject.client.inspect(subject.host, { vm: 'i-9-9-NONE' });
        expect([facts.vm.state, facts.disks]).toEqual(['absent', []]);
      });

      test('a job that was never started is absent', async () => {
        const status = await subject.client.status(subject.host, { jobId: randomUUID() });
        expect(status).toMatchObject({ state: 'absent', exit: null, started: null });
      });

      test('a job that is aborted before its start arrives never begins', async () => {
        const order = await chain.order('full');
        const { jobId } = order;
        const stopped = { state: 'done', exit: 1, started: null, aborted: true };
        const aborted = await subject.client.abort(subject.host, jobId);
        expect(aborted).toMatchObject({ ...stopped, abort: { how: 'none', left: [] } });
        const late = await subject.client.start(subject.host, order);
        expect(late).toMatchObject({ ...stopped, created: false });
        expect(await follow(subject.client, subject.host, jobId)).toMatchObject({
          ...{ state: 'done', exit: 1, stdout: 'Stopped before it began\n' },
        });
        expect(await subject.client.abort(subject.host, jobId)).toMatchObject({ ...stopped, abort: { left: [] } });
        expect(await subject.lab.bitmaps(vm, 'vda')).toEqual([]);
      });

      test('names that could mean something else are refused before anything is sent', async () => {
        for (const bad of ['../etc', '-v', 'a b', 'a;id', '$(id)', '']) {
          await expect(subject.client.inspect(subject.host, { vm: bad })).rejects.toMatchObject({ code: 'name.vm' });
        }
      });
    });

    let full: Point;
    let last: Point;

    describe('a chain', () => {
      test('a full: done, parsed, identical', async () => {
        await write('vda', 0x11, MIB, 2 * MIB);
        await write('vdb', 0x12, 3 * MIB, 64 * KIB);
        full = await chain.take('full');
        expect(full.job).toMatchObject({ state: 'done', exit: 0 });
        expect(full.answer).toMatchObject({
          result: true,
          bitmapCreated: full.bitmap,
          bitmapRecreated: null,
          incrementalFallback: false,
        });
        expect(full.answer.warnings).toEqual([]);
        expect(full.answer.facts?.done).toMatchObject({ mode: 'full', transfer: 'push', reason: null });
        expect(await chain.identical(full)).toEqual([true, true]);
      });

      test('a run tells its progress in bytes, and when it began and ended', async () => {
        const { progress, started, ended } = await subject.client.status(subject.host, { jobId: full.jobId });
        expect(progress).toEqual({ processed: 96 * MIB, total: 96 * MIB });
        expect(Date.parse(ended ?? '')).toBeGreaterThan(Date.parse(started ?? ''));
      });

      test('an incremental: identical, and its bytes agree three times over', async () => {
        await write('vda', 0x21, 2 * MIB + 512, 512 * KIB);
        await subject.lab.zero(vm, 'vdb', 8 * MIB, 2 * MIB);
        last = await chain.take('incremental', full);
        const { facts } = last.answer;
        expect(facts?.done).toMatchObject({ mode: 'incremental', recreateMethod: null, bitmapNew: last.bitmap });
        const dirty = facts?.disks.map(({ dirtyBefore }) => dirtyBefore);
        expect(dirty).toEqual([576 * KIB, 2 * MIB]);
        expect(facts?.disks.map(({ ownData, ownZero }) => (ownData ?? 0) + (ownZero ?? 0))).toEqual(dirty);
        expect(facts?.job?.processed).toBe(2 * MIB + 576 * KIB);
        expect(await chain.identical(last)).toEqual([true, true]);
      });

      test('retire drops the parent’s bitmap, twice if asked', async () => {
        await chain.retire(full.bitmap);
        await chain.retire(full.bitmap);
        expect(await subject.lab.bitmaps(vm, 'vda')).toEqual([last.bitmap]);
      });

      test('after a clean restart the bitmap is registered again, exactly', async () => {
        await write('vda', 0x41, 30 * MIB, 64 * KIB);
        await subject.lab.vmStop(vm);
        await subject.lab.vmStart(vm);
        await write('vda', 0x42, 31 * MIB, 64 * KIB);
        const parent = last;
        last = await chain.take('incremental', parent);
        expect(last.answer).toMatchObject({ result: true, bitmapRecreated: parent.bitmap, bitmapCreated: last.bitmap });
        expect(last.answer.facts?.done).toMatchObject({ reason: 'redefined', recreateMethod: 'redefined' });
        expect(await chain.identical(last)).toEqual([true, true]);
      });

      test('refused: a directory that is there already stays as it is, and stderr is kept', async () => {
        await write('vda', 0x51, 2 * MIB, 64 * KIB);
        const refused = await chain.take('incremental', last, last.path);
        expect(refused.job).toMatchObject({ state: 'done', exit: 1, stderr: expect.stringContaining('already') });
        expect(refused.answer).toMatchObject({ result: false, bitmapCreated: null });
        expect(refused.answer.facts?.error?.code).toBe('target-exists');
        expect(await chain.identical(last)).toEqual([true, true]);
      });

      test('started twice at once, a job runs once', async () => {
        chain.fence = 7;
        await write('vdb', 0x61, 4 * MIB, 64 * KIB);
        const order = await chain.order('incremental', last);
        await subject.lab.moment(vm, order.bitmap);
        const answers = await Promise.all([1, 2, 3].map(() => subject.client.start(subject.host, order)));
        expect(answers.filter(({ created }) => created)).toHaveLength(1);
        const job = await follow(subject.client, subject.host, order.jobId);
        expect(job.exit).toBe(0);
        const again = await subject.client.start(subject.host, order);
        expect(again).toMatchObject({ created: false, state: 'done', exit: 0 });
        last = chain.ended(order, job);
        // ... and what was refused before has lost nothing: this one goes on from the same parent.
        expect(await chain.identical(last)).toEqual([true, true]);
      });

      test('fence: an epoch that is over can start and retire nothing', async () => {
        chain.fence = 6;
        await expect(chain.take('incremental', last)).rejects.toMatchObject({
          code: 'host.script-failed',
          facts: { script: 'fence-stale' },
        });
        await expect(chain.retire(last.bitmap)).rejects.toMatchObject({ facts: { script: 'fence-stale' } });
        expect(await subject.lab.bitmaps(vm, 'vda')).toContain(last.bitmap);
        chain.fence = 7;
      });

      test('fallback: a bitmap that is not there, and nothing to compare with: an honest full with its reason, and why no rescue', async () => {
        chain.onLostBitmap = 'rescue';
        last = await chain.take('incremental', { ...last, bitmap: 'backup-4711', path: `${vm}/2026.01.01.00.00.00` });
        chain.onLostBitmap = 'full';
        expect(last.answer).toMatchObject({ result: true, incrementalFallback: true, bitmapCreated: last.bitmap });
        expect(last.answer.facts?.done).toMatchObject({ mode: 'full', reason: 'bitmap-missing' });
        expect(last.answer.facts?.done.rescueRefused).toBe('vda: parent-file-missing');
        expect(await chain.identical(last)).toEqual([true, true]);
      });

      test('rescue: the disk that is named is compared, the other goes by its bitmap', async () => {
        await write('vda', 0x72, 5 * MIB, MIB);
        await write('vda', 0x11, MIB, 64 * KIB);
        await subject.lab.zero(vm, 'vdb', 3 * MIB, 64 * KIB);
        const before = last.bitmap;
        [chain.onLostBitmap, chain.rescued] = ['rescue', ['vda']];
        last = await chain.take('incremental', last);
        [chain.onLostBitmap, chain.rescued] = ['full', []];
        expect(last.answer).toMatchObject({ result: true, incrementalFallback: false, bitmapRecreated: before });
        expect(last.answer.facts?.done).toMatchObject({ mode: 'incremental', transfer: 'pull', recreateMethod: 'rescued' });
        expect(last.answer.facts?.disks).toMatchObject([
          { method: 'rescued', compared: 64 * MIB, ownData: MIB, ownZero: 0 },
          { method: 'incremental', compared: null, ownData: 0, ownZero: 64 * KIB },
        ]);
        expect(await chain.identical(last)).toEqual([true, true]);
      });

      test('abort: the run takes everything back', async () => {
        await write('vda', 0x81, 40 * MIB, 8 * MIB);
        const order = await chain.order('incremental', last);
        expect(await subject.client.start(subject.host, order)).toMatchObject({ state: 'running' });
        const aborted = await subject.client.abort(subject.host, order.jobId);
        expect(aborted).toMatchObject({ state: 'done', aborted: true, abort: { left: [] } });
        expect(aborted.exit).not.toBe(0);
        // As the engine does: a run that had to be killed could not take its own checkpoint back.
        await chain.retire(order.bitmap);
        expect(
          await subject.lab.leaks(
            (await subject.client.inspect(subject.host, { vm })).checkpoints.filter((n) => n !== order.bitmap),
          ),
        ).toEqual([]);
        expect(await subject.lab.bitmaps(vm, 'vda')).not.toContain(order.bitmap);
      });

      test('a connection that is lost loses nothing: the job is found again by its id, and goes on from the parent', async () => {
        await write('vda', 0x71, 6 * MIB, MIB);
        const order = await chain.order('incremental', last);
        await subject.lab.moment(vm, order.bitmap);
        await subject.client.start(subject.host, order);
        await subject.cutDuring(() => subject.client.status(subject.host, { jobId: order.jobId }));
        last = chain.ended(order, await follow(subject.client, subject.host, order.jobId));
        expect(last.job).toMatchObject({ state: 'done', exit: 0 });
        expect(await chain.identical(last)).toEqual([true, true]);
      });

      test('a limit is kept by a pull and told in the facts; a push that cannot keep it changes nothing', async () => {
        await write('vda', 0x81, 3 * MIB, MIB);
        [chain.transfer, chain.bandwidth] = ['auto', 50];
        last = await chain.take('incremental', last);
        expect(last.answer.facts?.done).toMatchObject({ mode: 'incremental', transfer: 'pull', bandwidth: 50 });
        expect(last.answer.facts?.done.transferReason).toBe('only a pull keeps a limit');
        expect(await chain.identical(last)).toEqual([true, true]);
        chain.transfer = 'push';
        const refused = await chain.take('incremental', last);
        expect(refused.answer).toMatchObject({ result: false, code: 'push-unlimited', facts: { done: { bandwidth: null } } });
        expect(await subject.lab.bitmaps(vm, 'vda')).not.toContain(refused.bitmap);
        // Nobody who asks with the script alone says anything of the way.
        const order = await chain.order('incremental', last);
        await subject.lab.moment(vm, order.bitmap);
        const argv = order.argv.filter((word, at) => word !== '--transfer' && order.argv[at - 1] !== '--transfer');
        await subject.client.start(subject.host, { ...order, argv });
        last = chain.ended(order, await follow(subject.client, subject.host, order.jobId));
        expect(last.answer.facts?.done).toMatchObject({ transfer: 'pull', bandwidth: 50 });
        expect(await chain.identical(last)).toEqual([true, true]);
        chain.bandwidth = null;
      });

      test('stopped: a full with seeded bitmaps; after the start the next incremental holds every write since', async () => {
        await subject.lab.vmStop(vm);
        chain.stopped = true;
        const diskPaths = (await chain.disks()).map(({ path }) => path);
        const facts = await subject.client.inspect(subject.host, { vm, diskPaths });
        expect([facts.vm.state, facts.vm.qemuStarted]).toEqual(['shut off', null]);
        expect(facts.disks[0]?.bitmaps?.map(({ name, recording }) => [name, recording])).toContainEqual([last.bitmap, true]);
        last = await chain.take('incremental', last);
        expect(last.answer).toMatchObject({ result: true, incrementalFallback: true, bitmapCreated: last.bitmap });
        expect(last.answer.facts?.done).toMatchObject({ mode: 'full', transfer: 'offline', reason: 'vm-stopped' });
        await subject.lab.vmStart(vm);
        chain.stopped = false;
        await write('vdb', 0x91, MIB, 64 * KIB);
        last = await chain.take('incremental', last);
        expect(last.answer.facts?.done.reason).toBe('redefined');
        expect(await chain.identical(last)).toEqual([true, true]);
      });

      test('after a crash: no incremental over what QEMU could not save', async () => {
        await write('vda', 0xa1, 50 * MIB, 64 * KIB);
        await subject.lab.vmCrash(vm);
        await subject.lab.vmStart(vm);
        await write('vda', 0xa2, 51 * MIB, 64 * KIB);
        last = await chain.take('incremental', last);
        expect(last.answer.facts?.done).toMatchObject({ mode: 'full', bitmapNew: last.bitmap });
        expect(['bitmap-missing', 'bitmap-inconsistent']).toContain(last.answer.facts?.done.reason);
        expect(await chain.identical(last)).toEqual([true, true]);
      });
    });

    const manifestOf = (point: Point, size: number | null): Manifest => ({
      v: 1,
      backup: randomUUID(),
      vm: { id: null, name: vm },
      type: 'FULL',
      reason: 'requested',
      chain: null,
      bitmap: point.bitmap,
      recreation: null,
      assuranceAtBirth: 'accounted',
      times: { began: null, ended: null },
      ...{ host: null, script: null, service: 'the contract' },
      disks: (point.answer.facts?.disks ?? []).map(({ target, file, fileSize }, deviceId) => ({
        ...{ target, deviceId, virtualSize: null, backing: null, source: null },
        file: file ?? '',
        size: size ?? fileSize,
      })),
    });

    describe('what a backup says of itself', () => {
      const request = async (path: string, manifest: Manifest) => ({
        repository: { type: 'dir', address: await subject.lab.nas(nas), options: null },
        path,
        manifest,
      });

      test('describe writes a manifest beside the files of a finished backup, twice if asked', async () => {
        const wanted = await request(last.path, manifestOf(last, null));
        const first = await subject.client.describe(subject.host, wanted);
        expect(first).toEqual({ path: last.path, domainXml: 'domain-config.xml', written: expect.any(String), v: 1 });
        const again = await subject.client.describe(subject.host, wanted);
        expect(Date.parse(again.written)).toBeGreaterThan(Date.parse(first.written));
        expect(await chain.identical(last)).toEqual([true, true]);
      });

      test('what is not there, or not as it says, is described by nobody', async () => {
        const good = manifestOf(last, null);
        const attempts: [string, string, Manifest][] = [
          ['path-missing', `${vm}/none`, good],
          ['file-differs', last.path, manifestOf(last, 1)],
          ['file-missing', last.path, { ...good, disks: good.disks.map((disk) => ({ ...disk, file: 'none.qcow2' })) }],
        ];
        for (const [code, path, manifest] of attempts) {
          await expect(subject.client.describe(subject.host, await request(path, manifest))).rejects.toMatchObject({
            facts: { script: code },
          });
        }
      });
    });

    describe('checksums', () => {
      const checksum = async (path: string, verify: boolean): Promise<{ exit: number | null; said: string; sums: Checksums }> => {
        const repository = { type: 'dir', address: await subject.lab.nas(nas), options: null };
        const jobId = randomUUID();
        await subject.client.start(subject.host, {
          jobId,
          fence: 0,
          ...buildChecksum({ repository, path, verify, mib: 1000 }),
        });
        const { exit, stdout } = await follow(subject.client, subject.host, jobId);
        const reading = readChecksum(stdout);
        return { exit, said: stdout, sums: (reading.ok ? reading.value : {}) as Checksums };
      };
      const fileOf = (index: number): string => last.answer.facts?.disks[index]?.file ?? '';

      test('nothing to compare with, then taken once and not again', async () => {
        const early = await checksum(last.path, true);
        expect([early.exit, early.said]).toEqual([1, expect.stringContaining('"not-hashed"')]);
        const taken = await checksum(last.path, false);
        expect(taken).toMatchObject({ exit: 0, sums: { path: last.path, new: true, differs: null } });
        expect(taken.sums.files[fileOf(0)]).toEqual({
          size: last.answer.facts?.disks[0]?.fileSize,
          sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        });
        expect(Object.keys(taken.sums.files).sort()).toEqual(
          expect.arrayContaining([fileOf(0), fileOf(1), 'domain-config.xml'].sort()),
        );
        expect(Object.keys(taken.sums.files)).not.toContain('manifest.json');
        const again = await checksum(last.path, false);
        expect(again.sums).toEqual({ ...taken.sums, new: false, bytes: 0 });
      });

      test('a comparison names the file that differs, and no other', async () => {
        expect((await checksum(last.path, true)).sums.differs).toEqual([]);
        const file = subject.lab.nasFile(nas, `${last.path}/${fileOf(1)}`);
        await subject.lab.flip(file);
        expect(await checksum(last.path, true)).toMatchObject({
          exit: 0,
          sums: { differs: [fileOf(1)], there: expect.arrayContaining([fileOf(0), fileOf(1), 'checksums.json']) },
        });
        await subject.lab.flip(file);
        expect((await checksum(last.path, true)).sums.differs).toEqual([]);
        expect(await chain.identical(last)).toEqual([true, true]);
      });

      test('a backup that is not there', async () => {
        const { exit, said } = await checksum(`${vm}/none`, false);
        expect([exit, said]).toEqual([1, expect.stringContaining('"path-missing"')]);
      });
    });

    describe('copies of the books', () => {
      async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
        for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
      }
      const request = async (second: string, bytes: Buffer, sha256 = createHash('sha256').update(bytes).digest('hex')) => ({
        repository: { type: 'dir', address: await subject.lab.nas(nas), options: null },
        name: `books-2026.01.01.00.00.${second}.jsonl.gz`,
        pieces: inPieces(bytes),
        sha256,
        last: 2,
      });
      const there = (second: string): Promise<Buffer> =>
        subject.lab.read(subject.lab.nasFile(nas, `chainkeeper-books/books-2026.01.01.00.00.${second}.jsonl.gz`));

      test('come to the NAS byte for byte, in pieces, and the oldest go', async () => {
        const copies = ['01', '02', '03'].map((second) => ({ second, bytes: randomBytes(250_000) }));
        let kept;
        for (const { second, bytes } of copies) kept = await subject.client.keep(subject.host, await request(second, bytes));
        expect(kept).toMatchObject({
          kept: ['02', '03'].map((second) => `books-2026.01.01.00.00.${second}.jsonl.gz`),
          removed: ['books-2026.01.01.00.00.01.jsonl.gz'],
        });
        for (const { second, bytes } of copies.slice(1)) expect((await there(second)).equals(bytes)).toBe(true);
        await expect(there('01')).rejects.toThrow(/no such file/);
      });

      test('what did not arrive whole is not kept', async () => {
        const half = await request('04', randomBytes(1000), 'a'.repeat(64));
        await expect(subject.client.keep(subject.host, half)).rejects.toMatchObject({ facts: { script: 'input-differs' } });
        const empty = await request('04', Buffer.alloc(0));
        await expect(subject.client.keep(subject.host, empty)).rejects.toMatchObject({ facts: { script: 'input-missing' } });
        await expect(there('04')).rejects.toThrow(/no such file/);
      });
    });

    describe('release', () => {
      test('all our bitmaps go, and the next backup is a full', async () => {
        const request = { vm, fence: chain.fence, diskPaths: (await chain.disks()).map(({ path }) => path) };
        const dry = await subject.client.release(subject.host, { ...request, dryRun: true });
        expect(dry).toMatchObject({ vm, state: 'running', dryRun: true });
        expect(dry.bitmaps).toContainEqual({ name: last.bitmap, disks: ['vda', 'vdb'], checkpoint: true });
        expect(await subject.lab.bitmaps(vm, 'vda')).toContain(last.bitmap);
        await expect(subject.client.release(subject.host, { ...request, fence: 1 })).rejects.toMatchObject({
          facts: { script: 'fence-stale' },
        });
        const done = await subject.client.release(subject.host, request);
        expect(done).toEqual({ ...dry, dryRun: false });
        expect(await subject.lab.bitmaps(vm, 'vda')).toEqual([]);
        expect(await subject.client.release(subject.host, request)).toMatchObject({ bitmaps: [] });
        last = await chain.take('incremental', last);
        expect(last.answer.facts?.done).toMatchObject({ mode: 'full', reason: 'bitmap-missing', bitmapNew: last.bitmap });
        expect(await chain.identical(last)).toEqual([true, true]);
      });
    });

    describe('restore', () => {
      const restore = async (
        point: Point,
        to: (disk: LabDisk) => string | null,
        way?: RestoreWay,
      ): Promise<{ exit: number | null; facts: RestoreFacts; jobId: string }> => {
        const order = await chain.restore(point, to, way);
        await subject.client.start(subject.host, order);
        const job = await follow(subject.client, subject.host, order.jobId);
        const reading = readRestore(job.stdout);
        if (!reading.ok) throw new Error(`${reading.path}: ${reading.message}\n${job.stdout}\n${job.stderr}`);
        expect(reading.warnings).toEqual([]);
        return { exit: job.exit, facts: reading.value, jobId: order.jobId };
      };
      const beside =
        (suffix: string) =>
        ({ path, target }: LabDisk): string =>
          posix.join(posix.dirname(path), `${target}.${suffix}`);
      const only =
        (wanted: string, to: (disk: LabDisk) => string) =>
        (disk: LabDisk): string | null =>
          disk.target === wanted ? to(disk) : null;
      const same = async (point: Point, to: (disk: LabDisk) => string): Promise<boolean[]> =>
        Promise.all((await chain.disks()).map((disk) => subject.lab.same(vm, point.bitmap, disk.target, to(disk))));
      let before: Point;

      test('as new disks, while the VM runs: followed as a job, told disk by disk, identical', async () => {
        before = last;
        await write('vda', 0xb1, 3 * MIB, 64 * KIB);
        await write('vdb', 0xb2, 3 * MIB, 64 * KIB);
        last = await chain.take('incremental', before);
        const { exit, facts, jobId } = await restore(last, beside('new'));
        expect([exit, facts.error, facts.cleanup]).toEqual([0, null, { ok: true, left: [] }]);
        expect(facts).toMatchObject({ v: 1, vm, swapped: false, domain: null, attached: null });
        const size = { vda: 64 * MIB, vdb: 32 * MIB };
        expect(facts.disks).toMatchObject(
          (['vda', 'vdb'] as const).map((target) => ({
            target,
            virtualSize: size[target],
            links: 2,
            hashed: 0,
            identical: true,
            swapped: false,
          })),
        );
        expect(facts.timings).toMatchObject({
          convert: expect.any(Number),
          compare: expect.any(Number),
          total: expect.any(Number),
        });
        expect(await same(last, beside('new'))).toEqual([true, true]);
        const { progress } = await subject.client.status(subject.host, { jobId });
        expect(progress).toEqual({ processed: 96 * MIB, total: 96 * MIB });
      });

      test('refused, each with its code: what is there, what is not, what runs, what the books say otherwise', async () => {
        const name = await chain.disks().then(([disk]) => disk?.path ?? '');
        const code = async (...request: Parameters<typeof restore>): Promise<unknown> => {
          const { exit, facts } = await restore(...request);
          expect([exit, facts.swapped]).toEqual([1, false]);
          return facts.error?.code;
        };
        expect(await code(last, beside('new'))).toBe('target-exists');
        expect(
          await code(
            last,
            only('vda', () => '/none/at/all'),
          ),
        ).toBe('target-missing');
        expect(await code(last, ({ path }) => path, { kind: 'in-place' })).toBe('vm-running');
        expect(await code({ ...last, path: `${vm}/2026.01.01.00.00.00` }, beside('x'))).toBe('chain-missing');
        expect(await code(last, beside('x'), { kind: 'new-domain', name: vm, networks: false })).toBe('name-taken');
        expect(await code(last, only('vda', beside('x')), { kind: 'attached', vm: 'i-9-9-NONE' })).toBe('vm-not-found');
        expect(await code(last, beside('x'), { kind: 'attached', vm })).toBe('bad-option');
        expect(await code(last, () => `${name}.x`)).toBe('bad-option');
        const { argv, ...order } = await chain.restore(last, only('vda', beside('x')));
        const other = argv.map((word) => word.replace(`"virtualSize":${64 * MIB}`, '"virtualSize":512'));
        await subject.client.start(subject.host, { ...order, argv: other });
        const job = await follow(subject.client, subject.host, order.jobId);
        expect(readRestore(job.stdout)).toMatchObject({ value: { error: { code: 'size-mismatch' } } });
        await expect(
          subject.client.start(subject.host, { ...(await chain.restore(last, beside('x'))), fence: 1 }),
        ).rejects.toMatchObject({ facts: { script: 'fence-stale' } });
      });

      test('an altered file ends it, unless what is there is wanted all the same', async () => {
        const file = last.answer.facts?.disks[0]?.file ?? '';
        const repository = { type: 'dir', address: await subject.lab.nas(nas), options: null };
        const hash = {
          jobId: randomUUID(),
          fence: 0,
          ...buildChecksum({ repository, path: last.path, verify: false, mib: 1000 }),
        };
        await subject.client.start(subject.host, hash);
        await follow(subject.client, subject.host, hash.jobId);
        await subject.lab.flip(subject.lab.nasFile(nas, `${last.path}/${file}`));
        const refused = await restore(last, beside('altered'));
        expect([refused.exit, refused.facts.error?.code, refused.facts.damaged]).toEqual([1, 'checksum-mismatch', []]);
        expect(refused.facts.spoilt).toEqual([{ path: `${last.path}/${file}`, state: 'damaged' }]);
        const { argv, ...order } = await chain.restore(last, beside('altered'));
        await subject.client.start(subject.host, { ...order, argv: [...argv, '--salvage'] });
        const { exit, stdout } = await follow(subject.client, subject.host, order.jobId);
        expect(exit).toBe(0);
        expect(readRestore(stdout)).toMatchObject({
          value: {
            damaged: [expect.stringContaining(`${file} of ${last.path} is not what it was`)],
            disks: [
              { links: 2, hashed: expect.any(Number), unread: null, identical: true },
              { links: 2, identical: true },
            ],
          },
        });
        expect(await same(last, beside('altered'))).toEqual([false, true]);
        await subject.lab.flip(subject.lab.nasFile(nas, `${last.path}/${file}`));
        expect(await chain.identical(last)).toEqual([true, true]);
      });

      test('in place: the stopped VM has the older disks, then the newer ones again; its next backup is a full', async () => {
        await subject.lab.vmStop(vm);
        const volumes = ({ path }: LabDisk): string => path;
        const older = await restore(before, volumes, { kind: 'in-place' });
        expect([older.exit, older.facts.swapped]).toEqual([0, true]);
        expect(await same(before, volumes)).toEqual([true, true]);
        expect(await same(last, volumes)).toEqual([false, false]);
        const newer = await restore(last, volumes, { kind: 'in-place' });
        expect(newer.facts.disks.map(({ swapped }) => swapped)).toEqual([true, true]);
        expect(await same(last, volumes)).toEqual([true, true]);
        expect(await subject.lab.bitmaps(vm, 'vda')).toEqual([]);
        await subject.lab.vmStart(vm);
        last = await chain.take('incremental', last);
        expect(last.answer.facts?.done).toMatchObject({ mode: 'full', reason: 'bitmap-missing' });
        expect(await chain.identical(last)).toEqual([true, true]);
      });

      test('as a new domain, which is there and does not run', async () => {
        const name = `${vm}-new`;
        const { exit, facts } = await restore(last, beside('domain'), { kind: 'new-domain', name, networks: false });
        const seen = await subject.client.inspect(subject.host, { vm: name });
        await subject.lab.domainRemove(name);
        expect([exit, facts.domain?.name]).toEqual([0, name]);
        expect(facts.domain?.uuid).toMatch(/^[0-9a-f-]{36}$/);
        expect(seen.vm.state).toBe('shut off');
        expect(await same(last, beside('domain'))).toEqual([true, true]);
      });

      test('attached to another VM under the next free name', async () => {
        const other = `${vm}-other`;
        await subject.lab.vmCreate(other, [{ target: 'vda', size: MIB }]);
        await subject.lab.vmStart(other);
        const { exit, facts } = await restore(last, only('vda', beside('attached')), { kind: 'attached', vm: other });
        const { disks } = await subject.client.inspect(subject.host, { vm: other });
        await subject.lab.vmRemove(other);
        expect([exit, facts.attached]).toEqual([0, { vm: other, target: 'vdb' }]);
        const [disk] = await chain.disks();
        expect(disks.map(({ target, path }) => [target, path])[1]).toEqual(['vdb', disk && beside('attached')(disk)]);
      });

      test('abort: it takes everything back and says so, also when asked again', async () => {
        const order = await chain.restore(last, beside('aborted'));
        await subject.client.start(subject.host, order);
        const aborted = await subject.client.abort(subject.host, order.jobId);
        expect(aborted).toMatchObject({ state: 'done', aborted: true, abort: { restore: 'rolled-back', left: [] } });
        expect((await subject.client.abort(subject.host, order.jobId)).abort).toMatchObject({ restore: 'rolled-back' });
        const again = await restore(last, beside('aborted'));
        expect([again.exit, again.facts.error]).toEqual([0, null]);
      });
    });

    describe('sweep', () => {
      test('nothing of ours was left behind, and what lives is not touched', async () => {
        const { dryRun, items } = await subject.client.sweep(subject.host, { dryRun: true });
        expect(dryRun).toBe(true);
        // Others at work on this machine may have mounts that look like ours.
        expect(items.filter(({ code }) => code !== 'stranger')).toEqual([]);
      });
    });

    describe('short operations', () => {
      const script = { kind: 'ours', dialect: 'seed' } as const;
      const repository = async (): Promise<{ type: string; address: string; options: null }> => ({
        type: 'dir',
        address: await subject.lab.nas(nas),
        options: null,
      });

      test('stats tells the size of the NAS, delete removes one backup and no other', async () => {
        const { exit, stdout } = await subject.client.run(subject.host, buildStats(script, await repository()));
        expect([exit, stdout]).toEqual([0, expect.stringMatching(/^\/\S+\n\d+ \d+\n$/)]);
        // Described, it is no longer the run's to take back.
        await subject.client.describe(subject.host, {
          repository: await repository(),
          ...full,
          manifest: manifestOf(full, null),
        });
        expect(await chain.discard(full)).toBe(1);
        expect(await chain.identical(full)).toEqual([true, true]);
        const removed = await subject.client.run(subject.host, buildDelete(script, await repository(), full.path));
        expect([removed.exit, removed.stdout]).toEqual([0, expect.stringContaining('removed')]);
        const again = await subject.client.run(subject.host, buildDelete(script, await repository(), full.path));
        expect([again.exit, ...[removed, again].map(({ stdout: said }) => foundNothing(said))]).toEqual([0, false, true]);
        await expect(chain.identical(full)).rejects.toThrow(/no such file/);
        expect(await chain.identical(last)).toEqual([true, true]);
      });

      test('delete removes what a manifest names and says what else stays; again does no harm, and without it all goes', async () => {
        const point = await chain.take('full');
        const { path } = point;
        const file = (name: string): string => subject.lab.nasFile(nas, `${path}/${name}`);
        const remove = async () => {
          const { exit, stdout, stderr } = await subject.client.run(subject.host, buildDelete(script, await repository(), path));
          return { exit, stderr, left: readDelete(stdout), lines: stdout.split('\n').length - 1 };
        };
        await subject.client.describe(subject.host, { repository: await repository(), path, manifest: manifestOf(point, null) });
        const manifest = (await subject.lab.read(file('manifest.json'))).toString();
        await subject.lab.put(file('manifest.json'), manifest.replace(/"file":"/, '"file":"../'));
        expect(await remove()).toMatchObject({ exit: 1, stderr: expect.stringContaining('so nothing was removed'), left: [] });
        expect(await chain.identical(point)).toEqual([true, true]);
        await subject.lab.put(file('manifest.json'), manifest);
        await subject.lab.put(file('notes'), 'mine');
        await subject.lab.put(file('sub/root.qcow2'), 'mine, too');
        const first = await remove();
        expect(first).toMatchObject({ exit: 0, stderr: expect.stringContaining('warning: left in'), left: ['notes', 'sub'] });
        await expect(chain.identical(point)).rejects.toThrow(/no such file/);
        expect(await remove()).toEqual({ ...first, lines: 1 });
        expect((await subject.lab.read(file('sub/root.qcow2'))).toString()).toBe('mine, too');
        expect((await subject.lab.read(file('manifest.json'))).toString()).toBe(manifest);
        for (const name of ['notes', 'sub']) await subject.lab.takeAway(file(name));
        // The manifest, and the directory.
        expect(await remove()).toEqual({ exit: 0, stderr: '', left: [], lines: 2 });
        await expect(subject.lab.read(file('manifest.json'))).rejects.toThrow(/no such file/);
        await chain.retire(point.bitmap);
      });

      test('secrets go along and are nowhere afterwards: not in an answer, not in an error', async () => {
        const password = 'pa55word-of-the-contract';
        const { argv } = buildStats(script, await repository());
        const { exit, stdout, stderr } = await subject.client.run(subject.host, {
          argv,
          secrets: { credentials: { username: 'u', password } },
        });
        expect([exit, stdout + stderr]).toEqual([1, expect.stringContaining('takes no credentials')]);
        expect(stdout + stderr).not.toContain(password);
      });

      test('a script that sudo does not allow is not run', async () => {
        const elsewhere = { ...subject.host, scriptPath: '/usr/local/lib/chainkeeper-none/nasbackup.sh' };
        await expect(subject.client.inspect(elsewhere, { vm })).rejects.toMatchObject({
          code: 'host.sudo-refused',
          facts: { stderr: expect.stringContaining('sudo:') },
        });
      });
    });

    describe('install', () => {
      const fresh = (access: HostAccess): HostAccess => ({ ...access, scriptPath: subject.freshPath });

      test('what lies there already is left alone', async () => {
        const { sha256 } = await loadScript();
        const found = await subject.client.install(subject.host, {});
        expect(found).toMatchObject({ before: sha256, changed: false, permitted: true, byHand: [] });
        expect(found.sudoersLine).toBe(`${subject.host.user} ALL=(root) NOPASSWD: ${subject.host.scriptPath}`);
        expect(await subject.acceptsSudoers(found.sudoersLine)).toBe(true);
        expect(await subject.acceptsSudoers(`${found.sudoersLine}, not a path`)).toBe(false);
      });

      test('who may not become root is told what to do by hand, and nothing changes', async () => {
        const error = await subject.client.install(fresh(subject.host), {}).catch((thrown: unknown) => thrown);
        const line = `${subject.host.user} ALL=(root) NOPASSWD: ${subject.freshPath}`;
        expect(error).toMatchObject({ code: 'host.install-not-permitted', kind: 'refused', next: expect.stringContaining(line) });
        expect(await subject.client.install(fresh(subject.host), { dryRun: true })).toMatchObject({ before: null });
      });

      test('a dry run says what would be done, the install does it, a second one finds it done', async () => {
        const { sha256, version } = await loadScript();
        const dry = await subject.client.install(fresh(subject.admin), { dryRun: true });
        expect(dry).toMatchObject({ path: subject.freshPath, dryRun: true, changed: true, before: null, sha256, version });
        const done = await subject.client.install(fresh(subject.admin), {});
        expect(done).toMatchObject({ dryRun: false, changed: true, before: null, sha256 });
        const again = await subject.client.install(fresh(subject.admin), {});
        expect(again).toMatchObject({ changed: false, before: sha256 });
        // The host's own user has no line for this path yet: he is told the line and how to bring it in.
        expect(await subject.client.install(fresh(subject.host), {})).toMatchObject({
          permitted: false,
          byHand: expect.arrayContaining(['visudo -c']),
        });
      });
    });

    describe('at the end', () => {
      test('nothing is left but the backups and the last bitmap', async () => {
        const { checkpoints } = await subject.client.inspect(subject.host, { vm });
        expect(await subject.lab.leaks(checkpoints)).toEqual([]);
      });

      test('the host said nothing that the readers do not know', () => {
        expect([...new Set(subject.warnings)]).toEqual([]);
      });
    });
  });
}
