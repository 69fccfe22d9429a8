import { readRestore, type RestoreFacts } from './read-restore';

const RESTORE: RestoreFacts = {
  v: 1,
  script: '1.0.0',
  host: { name: 'kvm1', bootId: 'b', libvirt: '9.0.0', qemu: '7.2.22' },
  vm: 'i-2-1234-VM',
  disks: [
    {
      target: 'vda',
      file: 'root.a.qcow2',
      to: '/images/a',
      format: 'qcow2',
      virtualSize: 67108864,
      allocated: 397312,
      links: 3,
      hashed: 2,
      unread: null,
      identical: true,
      convertMs: 40,
      compareMs: 20,
      swapped: true,
    },
  ],
  swapped: true,
  domain: null,
  attached: null,
  damaged: [],
  spoilt: [{ path: 'i-2-1234-VM/2026.11.24.22.00.00/root.a.qcow2', state: 'missing' }],
  cleanup: { ok: true, left: [] },
  timings: { mount: 5, prepare: 80, convert: 40, compare: 20, swap: 6, unmount: 4, total: 160 },
  error: null,
};

const line = (value: unknown): string => `RESTORE=${JSON.stringify(value)}\n`;

describe('readRestore', () => {
  it('finds the line wherever it stands, and reads it whole', () => {
    expect(readRestore(`something\n${line(RESTORE)}`)).toEqual({ ok: true, value: RESTORE, warnings: [] });
  });

  it('of a failure before anything was looked at nothing is guessed', () => {
    const unseen = { virtualSize: null, allocated: null, links: null, hashed: null, identical: null, convertMs: null };
    const disk = { ...RESTORE.disks[0], ...unseen, compareMs: null, swapped: false };
    const failed = { ...RESTORE, disks: [disk], swapped: false, error: { code: 'vm-running', message: 'It runs' } };
    expect(readRestore(`It runs\n${line(failed)}`)).toEqual({ ok: true, value: failed, warnings: [] });
  });

  it('a new domain and an attached disk are told', () => {
    const domain = { name: 'i-2-1234-VM-restored', uuid: '3f2c9a52-6f0e-4a39-9c57-2f1d8c7e0b11' };
    const attached = { vm: 'i-2-7-VM', target: 'vdb' };
    expect(readRestore(line({ ...RESTORE, domain, attached }))).toMatchObject({ value: { domain, attached } });
  });

  it('without the line there is no answer', () => {
    expect(readRestore('Not mounted\n')).toMatchObject({ ok: false, message: 'there is no line RESTORE=' });
  });

  it.each([
    ['swapped', { ...RESTORE, swapped: undefined }, '$.swapped'],
    ['a disk that is swapped or not', { ...RESTORE, disks: [{ ...RESTORE.disks[0], swapped: 'yes' }] }, '$.disks[0].swapped'],
    ['a domain without uuid', { ...RESTORE, domain: { name: 'a' } }, '$.domain.uuid'],
    ['bytes as a text', { ...RESTORE, disks: [{ ...RESTORE.disks[0], virtualSize: '1G' }] }, '$.disks[0].virtualSize'],
  ])('refuses the whole where it cannot tell %s', (_what, value, path) => {
    expect(readRestore(line(value))).toMatchObject({ ok: false, path });
  });

  it('a newer script is read with a warning', () => {
    expect(readRestore(line({ ...RESTORE, v: 2, more: 1 }))).toMatchObject({
      ok: true,
      warnings: ['$.more: unknown field', '$.v: unknown version 2, read as version 1'],
    });
  });
});
