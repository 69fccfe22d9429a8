import { type InspectFacts } from './facts';
import { readInspect } from './read-inspect';

const INSPECT: InspectFacts = {
  v: 1,
  script: '1.0.0',
  host: { name: 'kvm1', bootId: 'b', libvirt: '9.0.0', qemu: '7.2.22' },
  vm: { name: 'i-2-1234-VM', state: 'running', reason: 'booted', uuid: 'u', qemuStarted: '2026-04-27T13:45:00.123Z' },
  job: { active: false, operation: null },
  checkpoints: ['backup-1'],
  agent: null,
  space: { total: 100, free: 50 },
  disks: [
    {
      target: 'vda',
      device: 'disk',
      path: '/images/a',
      inode: 17,
      type: 'file',
      format: 'qcow2',
      compat: '1.1',
      virtualSize: 67108864,
      clusterSize: 65536,
      actualSize: 200704,
      errorPolicy: null,
      bitmaps: [
        {
          name: 'backup-1',
          recording: true,
          inconsistent: false,
          persistent: true,
          busy: false,
          granularity: 65536,
          dirtyBytes: 0,
          flags: ['auto'],
        },
      ],
      writtenBytes: 0,
    },
  ],
  problems: [{ code: 'mount-private', message: 'x' }],
};

const read = (value: unknown) => readInspect(JSON.stringify(value));

describe('readInspect', () => {
  it('reads a whole answer as it is', () => {
    expect(read(INSPECT)).toEqual({ ok: true, value: INSPECT, warnings: [] });
  });

  it('takes what is missing of a disk and a bitmap for unknown, and no list of bitmaps not for an empty one', () => {
    const disks = [{ target: 'vda', bitmaps: [{ name: 'b' }] }, { target: 'vdb' }, { target: 'vdc', bitmaps: [] }];
    const reading = read({ ...INSPECT, disks });
    expect(reading).toMatchObject({
      ok: true,
      value: {
        disks: [
          { path: null, inode: null, type: null, format: null, compat: null, virtualSize: null, writtenBytes: null },
          { bitmaps: null },
          { bitmaps: [] },
        ],
      },
      warnings: [],
    });
    expect(reading).toHaveProperty('value.disks.0.bitmaps.0', {
      name: 'b',
      recording: null,
      inconsistent: null,
      persistent: null,
      busy: null,
      granularity: null,
      dirtyBytes: null,
      flags: null,
    });
  });

  it.each([
    ['vm', '$.vm'],
    ['job', '$.job'],
    ['checkpoints', '$.checkpoints'],
    ['disks', '$.disks'],
  ])('refuses an answer without %s: a decision must not take that for none', (name, path) => {
    const copy: Record<string, unknown> = { ...INSPECT };
    delete copy[name];
    expect(read(copy)).toMatchObject({ ok: false, path });
  });

  it.each([
    [{ ...INSPECT, vm: { ...INSPECT.vm, state: 'dreaming' } }, '$.vm.state'],
    [{ ...INSPECT, vm: { ...INSPECT.vm, state: null } }, '$.vm.state'],
    [{ ...INSPECT, vm: { ...INSPECT.vm, name: null } }, '$.vm.name'],
    [{ ...INSPECT, job: { active: null } }, '$.job.active'],
    [{ ...INSPECT, disks: [{ target: 'vda', bitmaps: [{ recording: true }] }] }, '$.disks[0].bitmaps[0].name'],
    [{ ...INSPECT, disks: [{ path: '/a' }] }, '$.disks[0].target'],
  ])('refuses what it cannot decide on %#', (value, path) => {
    expect(read(value)).toMatchObject({ ok: false, path });
  });

  it('takes no word about problems, space and host for nothing known', () => {
    expect(read({ ...INSPECT, problems: undefined, space: undefined, host: undefined })).toMatchObject({
      ok: true,
      value: { problems: [], space: null, host: { name: null } },
      warnings: ['$.host: unknown', '$.problems: unknown'],
    });
  });
});
