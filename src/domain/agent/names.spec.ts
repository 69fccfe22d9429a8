import { checkDiskSource, checkName, isName, type NameKind } from './names';

const GOOD: readonly (readonly [NameKind, readonly string[]])[] = [
  ['vm', ['i-2-1234-VM', 'a', '_x', 'v.m+1@host:2', 'x'.repeat(127)]],
  ['bitmap', ['backup-0', 'backup-1777300200', 'backup-123456789012']],
  ['checkpoint', ['backup-1777300200', 'snap.1']],
  ['path', ['i-2-1234-VM/2026.04.27.13.45.00', 'a', 'a/b/c.qcow2', 'a..b/c']],
  ['file', ['root.0f5e7d3c.qcow2', 'datadisk.x.qcow2']],
  ['job', ['3f2c9a52-6f0e-4a39-9c57-2f1d8c7e0b11', 'x'.repeat(64)]],
  ['mount', ['nfs', 'cifs', 'ceph', 'dir']],
  ['address', ['10.1.1.1:/export/backup', '//server/share with blank', 'a,b:6789:/', '/srv/nas', "it's"]],
  ['options', ['', 'vers=4.2,soft', 'username=a b']],
  ['target', ['vda', 'sdaa', 'nvme0']],
  ['disk', ['/var/lib/libvirt/images/0f5e', '/dev/drbd/by-res/cs-1/0', '/mnt/a b/c', '/a/..b']],
  ['rbd', ['pool/image', 'rbd:pool/image']],
];

const EVIL = ['..', '../x', '-x', '.x', 'a b', 'a\nb', 'a\0b', "a'b", 'a;b', 'a$b', 'a`b', 'é', ''];

const BAD: readonly (readonly [NameKind, readonly string[]])[] = [
  ['vm', [...EVIL, 'a/b', 'x'.repeat(128)]],
  ['bitmap', [...EVIL, 'backup-', 'backup-1x', 'Backup-1', 'xbackup-1', 'backup-1\n', 'backup-1234567890123']],
  ['checkpoint', [...EVIL, 'a/b']],
  ['path', [...EVIL, '/a', 'a/', 'a//b', 'a/../b', 'a/./b', 'a/-b', 'a/..', `${'x/'.repeat(512)}x`]],
  ['file', [...EVIL, 'a/b', 'x'.repeat(256)]],
  ['job', [...EVIL, 'a/b', '_a', 'a.b', 'x'.repeat(65)]],
  ['mount', [...EVIL, 'nfs4', 'NFS', 'nfs ', 'xnfs']],
  ['address', ['', '-o', 'a\nb', 'a\0b', '\ta', 'x'.repeat(1025)]],
  ['options', ['-o', 'a\nb', 'a\0', '\u007f', 'x'.repeat(1025)]],
  ['target', [...EVIL, 'VDA', '1vd', 'vd/a', 'v'.repeat(17)]],
  ['disk', ['', 'a', 'a/b', '/', '/a/', '/a,b', '/a/../b', '/..', '/a/..', '/a\nb', '/a\0', '-/a', `/${'x'.repeat(4096)}`]],
  ['rbd', [...EVIL, 'image', 'pool/image/x', 'rbd:pool', 'pool/image:id=x', 'p:q/i', '/pool/image', 'rbd:-p/i']],
];

describe('names', () => {
  it.each(GOOD)('takes every %s', (kind, texts) => {
    expect(texts.filter((text) => !isName(kind, text))).toEqual([]);
    expect(texts.map((text) => checkName(kind, text))).toEqual(texts);
  });

  it.each(BAD)('refuses what is no %s', (kind, texts) => {
    expect(texts.filter((text) => isName(kind, text))).toEqual([]);
    for (const text of texts) {
      expect(() => checkName(kind, text)).toThrow(
        expect.objectContaining({ family: 'user', kind: 'invalid', code: `name.${kind}` }) as Error,
      );
    }
  });

  it('says what is wrong and what it should look like', () => {
    expect(() => checkName('vm', 'a b')).toThrow('Not a valid name of a virtual machine: "a b".');
    expect(() => checkName('vm', 'a b')).toThrow(
      expect.objectContaining({ next: 'It looks like this: i-2-1234-VM; at most 127 characters.' }) as Error,
    );
    expect(() => checkName('vm', ` ${'x'.repeat(300)}`)).toThrow(`Not a valid name of a virtual machine: " ${'x'.repeat(199)}".`);
  });

  it('never shows mount options, which can hold a password', () => {
    expect(() => checkName('options', 'password=hunter2\n')).toThrow('Not a valid list of mount options.');
  });

  it('takes a path or an RBD image for the source of a disk', () => {
    expect(checkDiskSource('/a/b')).toBe('/a/b');
    expect(checkDiskSource('rbd:pool/image')).toBe('rbd:pool/image');
    expect(() => checkDiskSource('a,b')).toThrow(expect.objectContaining({ code: 'name.disk' }) as Error);
  });
});
