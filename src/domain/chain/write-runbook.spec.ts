import { execFileSync } from 'node:child_process';
import { type RunbookPoint, type RunbookRepository, writeRunbook } from './write-runbook';

const POINT: RunbookPoint = {
  uuid: 'c0ffee',
  vm: 'i-2-7-VM',
  date: '2026-04-27T13:45:00.000Z',
  externalId: 'i-2-7-VM/2026.04.27.13.45.00',
  assurance: 'accounted',
  ancestors: ['i-2-7-VM/2026.04.26.13.45.00'],
  disks: [{ target: 'vda', file: 'root.a.qcow2', virtualSize: 1024 }],
};
const NFS = { type: 'nfs', address: 'nas.example:/backups', options: 'vers=4.2,soft' };
const lines = (point: RunbookPoint, repository: RunbookRepository, to: string, newName: string | null = null): string[] =>
  writeRunbook(point, repository, to, newName);
const text = (...asked: Parameters<typeof lines>): string => lines(...asked).join('\n');

describe('writeRunbook', () => {
  it('mounts read-only, with the options that anybody may see', () => {
    expect(text(POINT, NFS, '/r')).toContain(`mount -t 'nfs' -o 'ro,vers=4.2,soft' -- 'nas.example:/backups' "$mnt"`);
    expect(text(POINT, { type: 'dir', address: '/nas', options: null }, '/r')).toContain(`mount -o 'bind,ro' -- '/nas' "$mnt"`);
  });

  it('writes no secret down, and says where one belongs', () => {
    const cifs = text(POINT, { type: 'cifs', address: '//nas/b', options: 'vers=3.0,username=u,password=pa55' }, '/r');
    expect(cifs).toContain(`-o 'ro,nobrl,vers=3.0,credentials=/root/nas.credentials'`);
    expect(cifs).toContain('Write the lines username=');
    expect(cifs).not.toContain('pa55');
    const ceph = text(POINT, { type: 'ceph', address: 'mon:/b', options: 'name=admin,secret=pa55' }, '/r');
    expect([ceph.includes('pa55'), ceph.includes('has a secret among its mount options')]).toEqual([false, true]);
    expect(text(POINT, NFS, '/r')).not.toContain('secret');
  });

  it('says what the point is worth and what it stands on', () => {
    expect(text(POINT, NFS, '/r')).toContain('accounted. The lineage holds in the books, and the bytes agree.');
    expect(text(POINT, NFS, '/r')).toContain(`ls "$mnt"/'i-2-7-VM/2026.04.26.13.45.00'`);
    expect(text({ ...POINT, ancestors: [] }, NFS, '/r')).toContain('# It is a full');
  });

  it('takes every image where nobody knows the files', () => {
    expect(text({ ...POINT, disks: [] }, NFS, '/r')).toContain(`for file in "$mnt"/'i-2-7-VM/2026.04.27.13.45.00'/*.qcow2; do`);
  });

  it('makes a VM where somebody gives it a name, and none of disks that nobody knows', () => {
    expect(text(POINT, NFS, '/r')).not.toContain('virsh');
    expect(text(POINT, NFS, '/r', 'rescue')).toMatch(/^virsh start 'rescue'$/m);
    expect(text(POINT, NFS, '/r', 'rescue')).toContain("s|^      <source .*/a'.*|      <source file='/r/vda.qcow2'/>|");
    expect(text({ ...POINT, disks: [] }, NFS, '/r', 'rescue')).toMatch(/tells how to go on\.$/);
  });

  it.each([
    ['a quote', "/r/it's; touch /tmp/evil"],
    ['a substitution', '/r/$(touch /tmp/evil)'],
  ])('is a script whatever the names hold: %s', (_, to) => {
    for (const disks of [POINT.disks, []])
      for (const newName of [null, 'rescue'])
        execFileSync('/bin/sh', ['-n'], { input: text({ ...POINT, disks }, NFS, to, newName) });
    const line = lines(POINT, NFS, to).find((one) => one.startsWith('to='));
    expect(execFileSync('/bin/sh', ['-c', `${line}; printf %s "$to"`], { encoding: 'utf8' })).toBe(to);
  });
});
