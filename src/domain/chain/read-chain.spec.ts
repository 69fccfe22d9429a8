import { CHAIN, full, FULL_BITMAP, parent, PARENT_KEYS } from '../../../test/unit/chain/situation';
import { weakest } from './assurance';
import type { BookedBackup } from './booked-backup';
import { CHAIN_KEYS, toDetails, type ChainKeys } from './chain-keys';
import { readChain, readChains } from './read-chain';

const link = (
  uuid: string,
  position: number,
  under: string | null,
  over: Partial<BookedBackup> = {},
  keys: Partial<ChainKeys> = {},
): BookedBackup =>
  parent({
    uuid,
    details: toDetails({ ...PARENT_KEYS, bitmapName: `backup-${position}`, parentBackupId: under, position, ...keys }),
    ...over,
  });
const whole = [link('c', 3, 'b'), full(), link('b', 2, 'a'), link('a', 1, 'full')];
const read = (backups: readonly BookedBackup[]) => readChain(CHAIN, backups);
const codes = (backups: readonly BookedBackup[]) =>
  read(backups).findings.map(({ code, backup }) => (backup === null ? code : `${code} ${backup}`));
const points = (backups: readonly BookedBackup[]) =>
  Object.fromEntries(
    read(backups).links.map(({ backup, restorable, pointAssurance }) => [
      backup.uuid,
      `${restorable ? 'yes' : 'no'} ${pointAssurance}`,
    ]),
  );

describe('readChain', () => {
  it('puts the links in order, each with its way down to the full', () => {
    const chain = read(whole);
    expect(chain.id).toBe(CHAIN);
    expect(chain.findings).toEqual([]);
    expect(
      chain.links.map(({ backup, ancestors, keys }) => [backup.uuid, keys.position, ancestors?.map(({ uuid }) => uuid)]),
    ).toEqual([
      ['full', 0, []],
      ['a', 1, ['full']],
      ['b', 2, ['a', 'full']],
      ['c', 3, ['b', 'a', 'full']],
    ]);
    expect(chain.links.every(({ restorable, offered }) => restorable && offered)).toBe(true);
  });

  it('takes a point for no more than the weakest link under it', () => {
    expect(points([full({ assurance: 'proven' }), link('a', 1, 'full', { assurance: 'unproven' }), link('b', 2, 'a')])).toEqual({
      full: 'yes proven',
      a: 'yes unproven',
      b: 'yes unproven',
    });
    expect(
      points([
        full({ assurance: null }),
        link('a', 1, 'full', { assurance: 'broken' }),
        link('b', 2, 'a', { assurance: 'proven' }),
      ]),
    ).toEqual({
      full: 'yes unproven',
      a: 'yes broken',
      b: 'yes broken',
    });
  });

  it('does not believe what was booked of a delta over a bitmap recreated blindly, unless it was compared', () => {
    const blind = (assurance: BookedBackup['assurance']) =>
      link('a', 1, 'full', { assurance }, { bitmapRecreated: FULL_BITMAP, recreateMethod: 'unknown' });
    expect(points([full(), blind('accounted'), link('b', 2, 'a')])).toEqual({
      full: 'yes accounted',
      a: 'yes unproven',
      b: 'yes unproven',
    });
    expect(points([full(), blind('broken')])).toMatchObject({ a: 'yes broken' });
    expect(points([full(), blind('proven')])).toMatchObject({ a: 'yes accounted' });
    expect(
      points([full(), link('a', 1, 'full', {}, { bitmapRecreated: FULL_BITMAP, recreateMethod: 'redefined' })]),
    ).toMatchObject({ a: 'yes accounted' });
    const told = [...full().details, { name: CHAIN_KEYS.bitmapRecreated, value: FULL_BITMAP }];
    expect(points([full({ details: told })])).toEqual({ full: 'yes accounted' });
  });

  it.each(['missing', 'damaged'] as const)('restores nothing that stands on %s files', (files) => {
    const backups = [full(), link('a', 1, 'full', { files }), link('b', 2, 'a', { files: 'unknown' })];
    expect(points(backups)).toMatchObject({ full: 'yes accounted', a: 'no accounted', b: 'no accounted' });
    expect(codes(backups)).toEqual([`file-${files} a`]);
  });

  it('keeps a hidden link under the others and does not offer it', () => {
    const backups = [full({ status: 'Hidden' }), link('a', 1, 'full')];
    expect(read(backups).links.map(({ offered, restorable }) => [offered, restorable])).toEqual([
      [false, true],
      [true, true],
    ]);
    expect(codes(backups)).toEqual(['hidden full']);
  });

  it('takes a link that is being restored for one', () =>
    expect(points([full({ status: 'Restoring' }), link('a', 1, 'full')])).toMatchObject({ a: 'yes accounted' }));

  it.each(['Failed', 'Error', 'Removed', 'Expunged', 'BackingUp', 'Allocated', 'Queued'] as const)(
    'has no %s links, and misses them',
    (status) => {
      const backups = [full(), link('a', 1, 'full', { status }), link('b', 2, 'a')];
      expect(read(backups).links.map(({ backup }) => backup.uuid)).toEqual(['full', 'b']);
      expect(codes(backups)).toEqual(['gap', 'orphan b']);
      expect(read(backups).links[1]).toMatchObject({ ancestors: null, restorable: false, pointAssurance: 'unproven' });
    },
  );

  it('says where the way down ends, once', () => {
    const backups = [link('a', 1, 'full'), link('b', 2, 'a'), link('c', 3, 'b')];
    expect(codes(backups)).toEqual(['gap', 'orphan a']);
    expect(points(backups)).toEqual({ a: 'no unproven', b: 'no unproven', c: 'no unproven' });
    expect(read(backups).findings[1]?.detail).toBe('its parent full is not in the chain');
    expect(read(backups).findings[0]?.detail).toBe('no link has position 0');
  });

  it('takes the only link below for a parent that is not named, and does not trust it', () => {
    const backups = [full(), link('a', 1, null), link('b', 2, 'a')];
    expect(codes(backups)).toEqual(['keys a', 'parent-not-named a']);
    expect(points(backups)).toEqual({ full: 'yes accounted', a: 'yes unproven', b: 'yes unproven' });
    const two = [full(), full({ uuid: 'twin' }), link('a', 1, null)];
    expect(codes(two)).toEqual(['duplicate-position', 'keys a', 'orphan a']);
    expect(points(two)).toMatchObject({ a: 'no unproven' });
    expect(read(two).findings.find(({ code }) => code === 'orphan')?.detail).toContain('names no parent');
  });

  it('shows two links at one place, and follows the one that is named', () => {
    const backups = [full(), link('a', 1, 'full'), link('a2', 1, 'full', { files: 'missing' }), link('b', 2, 'a')];
    expect(codes(backups)).toEqual(['duplicate-position', 'file-missing a2']);
    expect(read(backups).findings[0]?.detail).toBe('2 links have position 1');
    expect(points(backups)).toMatchObject({ b: 'yes accounted', a2: 'no accounted' });
  });

  it('does not follow a parent at another place, nor in a circle', () => {
    const backups = [full(), link('a', 1, 'full'), link('b', 2, 'full')];
    expect(codes(backups)).toEqual(['wrong-parent b']);
    expect(points(backups)).toMatchObject({ b: 'no unproven' });
    expect(codes([link('a', 1, 'b'), link('b', 2, 'a')])).toEqual(['gap', 'wrong-parent a']);
    expect(codes([full(), link('a', 1, 'a')])).toEqual(['wrong-parent a']);
  });

  it('does not take a full at another place for the bottom', () => {
    const odd = full({ details: toDetails({ ...PARENT_KEYS, parentBackupId: null, type: 'full', position: 1 }) });
    expect(codes([odd, link('b', 2, 'full')])).toEqual(['gap', 'not-a-full full']);
    expect(points([odd])).toEqual({ full: 'no unproven' });
  });

  it('puts a link without a position last, and says what is wrong with its keys', () => {
    const lost = link('x', 1, 'full', {}, { position: null });
    expect(read([lost, full()]).links.map(({ backup }) => backup.uuid)).toEqual(['full', 'x']);
    expect(read([lost, full()]).findings).toContainEqual({
      code: 'keys',
      backup: 'x',
      detail: 'missing nas.chain_position: there is no usable value',
    });
  });

  it('orders twins by date', () => {
    const twins = [
      full(),
      link('late', 1, 'full', { date: 30 }),
      link('early', 1, 'full', { date: 20 }),
      link('undated', 1, 'full', { date: null }),
    ];
    expect(read(twins).links.map(({ backup }) => backup.uuid)).toEqual(['full', 'undated', 'early', 'late']);
  });

  it('of nothing is empty', () => expect(read([])).toEqual({ id: CHAIN, links: [], findings: [] }));
});

describe('readChains', () => {
  it('finds every chain, and leaves alone what is in none', () => {
    const other = full({
      uuid: 'new',
      details: toDetails({ ...PARENT_KEYS, parentBackupId: null, chainId: 'second', position: 0, type: 'full' }),
    });
    const gone = full({ uuid: 'old', status: 'Expunged', details: toDetails({ ...PARENT_KEYS, chainId: 'third' }) });
    expect(
      readChains([other, full({ uuid: 'legacy', details: [] }), gone, ...whole]).map(({ id, links }) => [id, links.length]),
    ).toEqual([
      ['second', 1],
      [CHAIN, 4],
    ]);
  });
});

describe('weakest', () => {
  it('of nothing is unproven', () => expect(weakest([])).toBe('unproven'));
  it('is the worst there is', () => expect(weakest(['proven', 'accounted', 'broken', 'unproven'])).toBe('broken'));
});
