import { diskFileName, nextEpoch, resolveBacking } from './backup-names';

describe('resolveBacking', () => {
  it.each([
    ['vm/b', '../a/root.x.qcow2', 'vm/a/root.x.qcow2'],
    ['vm/b', 'x', 'vm/b/x'],
    ['vm/b', './x/.././/y', 'vm/b/y'],
    ['vm/b', '../../x', 'x'],
    ['vm/b', '../../../x', null],
    ['vm/b', '/etc/x', null],
    ['vm/b', '', null],
  ])('of %s and %s is %s', (directory, backing, expected) => expect(resolveBacking(directory, backing)).toBe(expected));
});

describe('diskFileName', () => {
  it.each([
    [0, '/mnt/pool/abc', 'root.abc.qcow2'],
    [1, '/mnt/pool/abc', 'datadisk.abc.qcow2'],
    [0, 'abc', 'root.abc.qcow2'],
    [0, '/mnt/pool/', null],
    [0, '/mnt/pool/a b', null],
    [0, null, null],
  ])('of disk %s at %s is %s', (deviceId, path, expected) => expect(diskFileName(deviceId, path)).toBe(expected));
});

describe('nextEpoch', () => {
  it('is now, or later than the last one, and never taken', () => {
    const taken = new Set([10, 11, 13]);
    expect(nextEpoch(9, null, (epoch) => taken.has(epoch))).toBe(9);
    expect(nextEpoch(10, null, (epoch) => taken.has(epoch))).toBe(12);
    expect(nextEpoch(5, 12, (epoch) => taken.has(epoch))).toBe(14);
    expect(nextEpoch(0, null, () => false)).toBe(0);
  });
});
