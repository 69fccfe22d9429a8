import { foundNothing, readDelete } from './read-delete';

describe('readDelete', () => {
  it('tells what stayed in the directory of a backup', () => {
    expect(readDelete('removed \'/tmp/csbackup.x1y2/vm/1/root.qcow2\'\nLEFT=["notes","a \\"b\\""]\n')).toEqual([
      'notes',
      'a "b"',
    ]);
  });

  it('nothing stayed, and so it is with a stock script, which has no such line', () => {
    expect(readDelete('')).toEqual([]);
    expect(readDelete("removed '/tmp/csbackup.x1y2/vm/1/LEFT=[]'\nremoved directory '/tmp/csbackup.x1y2/vm/1'\n")).toEqual([]);
  });

  it('a line that was cut off still says that something stayed', () => {
    expect(readDelete('LEFT=["notes","su')).toEqual(['["notes","su']);
    expect(readDelete('LEFT=[1]')).toEqual(['[1]']);
  });
});

describe('foundNothing', () => {
  it('is true of a script that removed nothing and left nothing', () => {
    expect(['', '\n'].map(foundNothing)).toEqual([true, true]);
    expect(["removed directory '/tmp/csbackup.x1y2/vm/1'\n", 'LEFT=["notes"]\n'].map(foundNothing)).toEqual([false, false]);
  });
});
