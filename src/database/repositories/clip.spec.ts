import fc from 'fast-check';
import { clip } from './clip';

describe('clip', () => {
  it('leaves alone what fits', () => {
    expect(clip('abc', 3)).toBe('abc');
    expect(clip('', 0)).toBe('');
  });

  it('keeps how it began and how it ended, and says how much is missing', () => {
    expect(clip('0123456789', 4)).toBe('01\n... 6 characters left out ...\n89');
  });

  it('does not leave half a character', () => {
    expect(clip('🐘🐘🐘', 2)).toBe('\ufffd\n... 4 characters left out ...\n\ufffd');
  });

  it('never grows beyond what is kept and its own remark', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.nat(50),
        (text, keep) => clip(text, keep).length <= Math.max(keep, 0) + 45 || text.length <= keep,
      ),
    );
  });
});
