import { readStats } from './read-stats';

describe('readStats', () => {
  it('reads the second line, in KiB', () => {
    expect(readStats('/tmp/csbackup.x1y2\n1048576 1024\n')).toEqual({ capacityBytes: 1024 ** 3, usedBytes: 1024 ** 2 });
    expect(readStats('/tmp/csbackup.x1y2\n0 0')).toEqual({ capacityBytes: 0, usedBytes: 0 });
  });

  it.each([
    '',
    '1048576 1024\n',
    '/mnt\n\n',
    '/mnt\n1 x\n',
    '/mnt\n-1 2\n',
    '/mnt\n1 2 3\n',
    '/mnt\n1 2\n3 4\n',
    '/mnt\n1234567890123 1\n',
  ])('takes nothing else for it: %j', (text) => expect(readStats(text)).toBeNull());
});
