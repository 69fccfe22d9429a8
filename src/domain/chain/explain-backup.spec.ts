import { bitmap, disk, GIB, incrementalPlan, PARENT_BITMAP, planOf, ran, ranDisk } from '../../../test/unit/chain/situation';
import type { Facts } from '../agent/facts';
import { explainBackup, type ExplainInput } from './explain-backup';

const plan = incrementalPlan();
const input = (over: Partial<ExplainInput> = {}): ExplainInput => ({
  type: 'INCREMENTAL',
  reason: 'regular',
  size: 400_000,
  plan,
  recreation: null,
  facts: ran(plan),
  assurance: 'accounted',
  findings: [],
  ...over,
});

describe('explainBackup', () => {
  it('answers the questions about an incremental', () => {
    expect(explainBackup(input())).toEqual({
      why: [
        'Incremental (regular): The bitmap of the parent is ours by the books, and nothing that was seen speaks against it.',
        `Libvirt knows the checkpoint ${PARENT_BITMAP}.`,
        `vda: bitmap ${PARENT_BITMAP} is healthy, with 131072 dirty bytes.`,
        `vdb: bitmap ${PARENT_BITMAP} is healthy, with 131072 dirty bytes.`,
      ],
      size: [
        'It takes 400000 bytes on the NAS.',
        'An incremental holds what its bitmap called dirty, in whole clusters.',
        ...['vda', 'vdb'].map(
          (target) =>
            `${target}: the file has 200000 bytes; it holds 196608 bytes of data and 65536 of zeroes; the bitmap called 262144 bytes dirty just before; the guest had written 5000000 bytes since QEMU started.`,
        ),
        'The backup job moved 524288 bytes.',
      ],
      guest: [
        'QEMU wrote the NAS itself: before a write of the guest to a place not yet copied, the old data went there, at the speed of the NAS.',
        'The data was to go by push: the offering says so.',
      ],
      evidence: [
        'Assurance accounted: The lineage holds in the books, and the bytes agree.',
        'Reported by script 1.0.0 on host kvm-1 (libvirt 9.0.0, QEMU 7.2.22).',
        'The VM was running; its QEMU had started at 2026-04-27T10:00:00.000Z.',
        "libvirt's job: completed.",
        'vda: /mnt/pool/vda-image (inode 101) lies in root.vda-image.qcow2, which stands on ../2026.04.27.15.26.40/root.vda-image.qcow2; qemu-img check: ok.',
        'vdb: /mnt/pool/vdb-image (inode 102) lies in datadisk.vdb-image.qcow2, which stands on ../2026.04.27.15.26.40/datadisk.vdb-image.qcow2; qemu-img check: ok.',
      ],
    });
  });

  const quiet = { frozenMs: null, pausedMs: null, resumed: null, thawed: null };
  it.each([
    [{ frozenMs: 40, thawed: true }, ['Its file systems were frozen for 40 ms.', 'No I/O error paused it.']],
    [{ frozenMs: 9000, thawed: false }, ['They could not be thawed: look into the guest.']],
    [{ pausedMs: 250, resumed: true }, ['An I/O error paused it for 250 ms, then it went on.']],
    [{ slowestWriteMs: 5000 }, ["Its slowest write took 5000 ms or more, by QEMU's count."]],
    [{ resumed: false }, ['An I/O error paused it, and it did not go on: mend its storage, then virsh resume.']],
  ])('says what it did to the guest: %j', (guest, sentences) => {
    const facts = ran(plan, { guest: { ...quiet, ...guest } });
    expect(explainBackup(input({ facts })).guest).toEqual(expect.arrayContaining(sentences));
  });

  it('says of each way of the data what it means to the guest, and nothing of what nobody measured', () => {
    const done = (transfer: 'pull' | 'offline') => ({ ...ran(plan).done, transfer });
    expect(explainBackup(input({ facts: ran(plan, { done: done('pull'), guest: quiet }) })).guest).toEqual([
      expect.stringContaining('scratch files'),
      'The data was to go by push: the offering says so.',
      'Its file systems were not frozen.',
      'No I/O error paused it.',
    ]);
    expect(explainBackup(input({ facts: ran(plan, { done: done('offline'), guest: null }) })).guest).toEqual([
      'The VM was stopped: there was no guest to disturb.',
    ]);
    expect(explainBackup(input({ facts: null })).guest).toHaveLength(1);
  });

  it('says who chose the way, and why the host took another', () => {
    const wished = incrementalPlan({ policy: { transfer: null, repositoryTransfer: 'auto' } });
    const facts = ran(wished, { done: { transfer: 'push', transferReason: 'the scratch has too little room' } });
    expect(explainBackup(input({ plan: wished, facts })).guest.slice(1)).toEqual([
      'The data was to go by auto: the repository says so.',
      'The host took push: the scratch has too little room.',
    ]);
    // A plan that was written down before there was more than one who could say.
    const { transferFrom: _transferFrom, ...old } = wished;
    expect(explainBackup(input({ plan: old as typeof wished, facts })).guest).toHaveLength(1);
  });

  it('says the limit that the host kept to, or that it does not say so', () => {
    const limited = incrementalPlan({ policy: { transfer: null, repositoryBandwidth: 8 } });
    const guest = (done: Partial<Facts['done']>) =>
      explainBackup(input({ plan: limited, facts: ran(limited, { done: { ...ran(limited).done, transfer: 'pull', ...done } }) }))
        .guest;
    expect(guest({ bandwidth: 8 }).slice(1, 3)).toEqual([
      'The data was to go by pull: there is a limit, and a push cannot keep one.',
      'All disks together moved at most 8 MiB a second: the repository says so.',
    ]);
    expect(guest({})).toContain(
      'At most 8 MiB a second were to move: the repository says so. The host does not say that it kept to it.',
    );
    expect(explainBackup(input({})).guest.join()).not.toContain('MiB a second');
  });

  it('says what made a full necessary, disk by disk', () => {
    const full = planOf({ facts: { disks: [disk('vda'), disk('vdb', { bitmaps: [bitmap('backup-1')] })] } });
    const { why, size } = explainBackup(input({ type: 'FULL', reason: 'bitmap-missing', plan: full, facts: ran(full) }));
    expect(why).toEqual([
      'Full (bitmap-missing): The bitmap of the parent is gone from a disk.',
      `vdb: it has no bitmap ${PARENT_BITMAP}.`,
    ]);
    expect(size[1]).toBe('A full holds all that the disks hold.');
  });

  it('says so when the host script changed the plan', () => {
    expect(explainBackup(input({ type: 'FULL', reason: 'bitmap-inconsistent' })).why).toEqual([
      'Full (bitmap-inconsistent): The bitmap of the parent was not closed properly, as after a crash of QEMU.',
      'An incremental was planned; the host script found that it could not be true and took a full in its place.',
    ]);
  });

  it.each([
    ['redefined', 'the delta is exact'],
    ['rescued', 'larger than usual and exact'],
    ['unknown', 'this delta is not trusted'],
  ] as const)('tells what a recreation by %s is worth', (method, text) => {
    const { why } = explainBackup(input({ recreation: { bitmap: PARENT_BITMAP, method } }));
    expect(why.at(-1)).toContain(`Before it the bitmap ${PARENT_BITMAP} was recreated.`);
    expect(why.at(-1)).toContain(text);
  });

  it('says of a rescue what was compared, what differed, and what an empty bitmap would have lost', () => {
    const rescue = incrementalPlan({
      policy: { onLostBitmap: 'rescue' },
      facts: { disks: [disk('vda'), disk('vdb', { bitmaps: [] })] },
    });
    const over = { method: 'rescued', dirtyBefore: null, parentBitmap: null, compared: GIB, writtenBytes: null } as const;
    const { why, size } = explainBackup(
      input({ reason: 'rescued', plan: rescue, facts: ran(rescue, { disks: [ranDisk(rescue, 0), ranDisk(rescue, 1, over)] }) }),
    );
    expect(why).toEqual([
      'Incremental (rescued): The bitmap was lost; what differs was found by comparing the disk with the chain.',
      `vdb: it has no bitmap ${PARENT_BITMAP}.`,
      `Libvirt knows the checkpoint ${PARENT_BITMAP}.`,
      `vda: bitmap ${PARENT_BITMAP} is healthy, with 131072 dirty bytes.`,
    ]);
    expect(size.slice(2, 4)).toEqual([
      'A rescue reads a whole disk and stores all that differs from its chain, be it written, reverted or spoiled on the NAS: that may be more than the writes since the parent.',
      'An empty bitmap in the place of the lost one would have lost 262144 bytes.',
    ]);
    expect(size[5]).toBe(
      'vdb: the file has 200000 bytes; it holds 196608 bytes of data and 65536 of zeroes; all its 1073741824 bytes were compared with the chain, and what it holds is what differed.',
    );
    const unmeasured = ran(rescue, { disks: [0, 1].map((index) => ranDisk(rescue, index, { ...over, ownZero: null })) });
    expect(explainBackup(input({ reason: 'rescued', plan: rescue, facts: unmeasured })).size.slice(1, 3)).toEqual([
      expect.stringContaining('A rescue reads a whole disk'),
      'How much differed was not measured.',
    ]);
  });

  it('says why a rescue that was asked for could not be', () => {
    const facts = ran(plan, { done: { mode: 'full', rescueRefused: 'vda: parent-file-missing' } });
    expect(explainBackup(input({ type: 'FULL', reason: 'bitmap-missing', facts })).why).toContain(
      'A rescue was asked for and could not be: vda: parent-file-missing.',
    );
  });

  it('says plainly what is not known', () => {
    expect(
      explainBackup(
        input({
          reason: null,
          size: null,
          plan: null,
          facts: null,
          assurance: null,
          findings: ['the host script reported no facts'],
        }),
      ),
    ).toEqual({
      why: ['The reason is not recorded: this backup was not decided here.'],
      size: ['The size is not recorded.', 'The host script reported no facts, so nobody measured what it is made of.'],
      guest: ['The host script reported no facts, so nobody measured what the backup did to the guest.'],
      evidence: [
        'Assurance unproven: Nothing contradicts it, and too little supports it.',
        'The host script reported no facts.',
        'There are no measured facts of this run.',
      ],
    });
    expect(explainBackup(input({ plan: null })).why).toHaveLength(1);
    const blank = ran(plan, {
      script: null,
      host: { name: null, bootId: null, libvirt: null, qemu: null },
      vm: { state: null, qemuStarted: null },
      job: null,
      disks: [
        ranDisk(plan, 0, {
          path: null,
          inode: null,
          file: null,
          backing: null,
          check: null,
          fileSize: null,
          ownData: null,
          dirtyBefore: null,
          writtenBytes: null,
        }),
      ],
    });
    const { size, evidence } = explainBackup(input({ facts: blank }));
    expect(size.slice(2)).toEqual(['vda: the file was not measured.']);
    expect(evidence.slice(1)).toEqual([
      'Reported by script of unknown version on host unknown (libvirt unknown, QEMU unknown).',
      'The VM was in an unknown state.',
      'vda: unknown path (inode unknown) lies in no file, which stands on nothing; qemu-img check: not done.',
    ]);
    expect(
      explainBackup(input({ facts: ran(plan, { job: { result: 'failed', error: 'No space left', processed: null } }) })).evidence,
    ).toContain("libvirt's job: failed (No space left).");
    expect(explainBackup(input({ facts: ran(plan, { vm: { state: null } }) })).evidence[2]).toMatch(
      /^The VM was in an unknown state; its QEMU/,
    );
    expect(explainBackup(input({ facts: ran(plan, { vm: { state: 'shut off', qemuStarted: null } }) })).evidence[2]).toBe(
      'The VM was shut off.',
    );
  });
});
