import fc from 'fast-check';
import { CHAIN_KEYS, readActiveCheckpoint, readChainKeys, RECREATE_METHODS, toDetails, type ChainKeys } from './chain-keys';

const FULL: ChainKeys = {
  parentBackupId: null,
  bitmapName: 'backup-1777300000',
  chainId: 'chain',
  position: 0,
  type: 'full',
  bitmapRecreated: null,
  recreateMethod: null,
  deletePending: false,
};
const row = (name: string, value: string) => ({ name, value });
const without = (name: string) => toDetails(FULL).filter((other) => other.name !== name);
const codes = (rows: { name: string; value: string }[], backup = {}) =>
  readChainKeys(rows, backup).findings.map(({ code, key }) => `${code} ${key}`);

describe('chain keys', () => {
  it('have exactly these names', () => {
    expect(Object.values(CHAIN_KEYS)).toEqual([
      'nas.parent_backup_id',
      'nas.bitmap_name',
      'nas.chain_id',
      'nas.chain_position',
      'nas.type',
      'nas.bitmap_recreated',
      'nas.delete_pending',
      'ck.recreate_method',
    ]);
  });

  it('come back as they were written', () => {
    const words = fc.string({ minLength: 1 });
    const keys = fc.record({
      parentBackupId: fc.option(words),
      bitmapName: fc.option(fc.nat().map((epoch) => `backup-${epoch}`)),
      chainId: fc.option(words),
      position: fc.option(fc.nat(999_999_999)),
      type: fc.option(fc.constantFrom('full' as const, 'incremental' as const)),
      recreation: fc.option(fc.record({ bitmapRecreated: words, recreateMethod: fc.constantFrom(...RECREATE_METHODS) })),
      deletePending: fc.boolean(),
    });
    fc.assert(
      fc.property(keys, ({ recreation, ...rest }) => {
        const written: ChainKeys = {
          ...rest,
          bitmapRecreated: recreation?.bitmapRecreated ?? null,
          recreateMethod: recreation?.recreateMethod ?? null,
        };
        const read = readChainKeys(toDetails(written));
        expect(read.keys).toEqual(written);
        expect(read.findings.filter(({ code }) => code !== 'missing')).toEqual([]);
      }),
    );
  });

  it('never throw, whatever lies in the table', () => {
    const names = fc.oneof(fc.constantFrom(...Object.values(CHAIN_KEYS)), fc.string());
    fc.assert(
      fc.property(
        fc.array(fc.record({ name: names, value: fc.string() })),
        fc.record({ status: fc.string(), type: fc.string() }),
        (rows, backup) => {
          const { keys } = readChainKeys(rows, backup);
          const told = rows.some(({ name, value }) => name === CHAIN_KEYS.bitmapRecreated && value !== '');
          // A recreation is never lost, however contradictory its rows are.
          expect(keys.bitmapRecreated !== null).toBe(told);
          expect(keys.recreateMethod !== null).toBe(told);
        },
      ),
    );
  });

  it('are silent about a whole full, and about a legacy full that has none', () => {
    expect(codes(toDetails(FULL), { status: 'BackedUp', type: 'FULL' })).toEqual([]);
    expect(readChainKeys([], { type: 'FULL' })).toEqual({
      keys: { ...FULL, bitmapName: null, chainId: null, position: null },
      findings: [],
    });
  });

  it('tell duplicates from contradictions', () => {
    const twice = readChainKeys([...toDetails(FULL), row(CHAIN_KEYS.chainId, 'chain')]);
    expect(twice.keys).toEqual(FULL);
    expect(twice.findings).toEqual([
      { code: 'duplicate', key: CHAIN_KEYS.chainId, detail: 'there are 2 rows with the same value' },
    ]);
    const torn = readChainKeys([...toDetails(FULL), row(CHAIN_KEYS.chainId, 'other')]);
    expect(torn.keys.chainId).toBeNull();
    expect(torn.findings).toEqual([
      { code: 'contradiction', key: CHAIN_KEYS.chainId, detail: 'the values are "chain", "other"' },
      { code: 'missing', key: CHAIN_KEYS.chainId, detail: 'there is no usable value' },
    ]);
  });

  it.each(['', ' 1', '1.5', '-1', '007', '0x1', '1e3', '1234567890', 'first'])('do not take %j for a position', (value) => {
    const { keys, findings } = readChainKeys([...without(CHAIN_KEYS.chainPosition), row(CHAIN_KEYS.chainPosition, value)]);
    expect(keys.position).toBeNull();
    expect(findings.map(({ code }) => code)).toEqual(value === '' ? ['missing'] : ['malformed', 'missing']);
  });

  it('say what a malformed value was', () => {
    expect(readChainKeys([...without(CHAIN_KEYS.bitmapName), row(CHAIN_KEYS.bitmapName, '--help')]).findings).toContainEqual({
      code: 'malformed',
      key: CHAIN_KEYS.bitmapName,
      detail: 'the value is "--help"',
    });
    expect(codes([...without(CHAIN_KEYS.type), row(CHAIN_KEYS.type, 'FULL')])).toEqual(['malformed nas.type']);
  });

  it('miss what a member of a chain must have', () => {
    expect(codes(without(CHAIN_KEYS.chainId))).toEqual(['missing nas.chain_id']);
    expect(codes(without(CHAIN_KEYS.chainPosition))).toEqual(['missing nas.chain_position']);
    expect(codes(without(CHAIN_KEYS.bitmapName))).toEqual(['missing nas.bitmap_name']);
    expect(codes(toDetails({ ...FULL, type: 'incremental', position: 1 }))).toEqual(['missing nas.parent_backup_id']);
    expect(codes([row(CHAIN_KEYS.chainPosition, '0')])).toEqual(['missing nas.chain_id', 'missing nas.bitmap_name']);
    expect(codes([row(CHAIN_KEYS.bitmapName, 'backup-1')])).toEqual(['missing nas.chain_id', 'missing nas.chain_position']);
  });

  it('name keys that nobody knows, once, and pass over other people’s details', () => {
    expect(
      codes([
        ...toDetails(FULL),
        row('nas.future', 'a'),
        row('nas.future', 'b'),
        row('vm.cpu', '2'),
        row('nas.active_checkpoint_id', 'x'),
      ]),
    ).toEqual(['unknown-key nas.future']);
  });

  it('take the type from the backup where the key was dropped, and say where the two differ', () => {
    expect(readChainKeys(without(CHAIN_KEYS.type), { type: 'FULL' }).keys.type).toBe('full');
    expect(readChainKeys(without(CHAIN_KEYS.type), { type: 'INCREMENTAL' }).keys.type).toBe('incremental');
    expect(readChainKeys(without(CHAIN_KEYS.type), { type: 'BACKUP' }).keys.type).toBeNull();
    expect(readChainKeys(toDetails(FULL), { type: 'INCREMENTAL' }).findings).toContainEqual({
      code: 'type-mismatch',
      key: CHAIN_KEYS.type,
      detail: 'the key says full, the backup says INCREMENTAL',
    });
  });

  it('notice a hidden backup', () => expect(codes(toDetails(FULL), { status: 'Hidden' })).toEqual(['hidden status']));

  it('believe a recreation in doubt, and no method in doubt', () => {
    const recreated = (...rows: [string, string][]) =>
      readChainKeys([...toDetails(FULL), ...rows.map(([name, value]) => row(name, value))]).keys;
    const { bitmapRecreated: name, recreateMethod: method } = CHAIN_KEYS;
    expect(recreated([name, 'backup-1'], [method, 'redefined'])).toMatchObject({
      bitmapRecreated: 'backup-1',
      recreateMethod: 'redefined',
    });
    expect(recreated([name, 'backup-1'])).toMatchObject({ bitmapRecreated: 'backup-1', recreateMethod: 'unknown' });
    expect(recreated([name, 'backup-1'], [method, 'magic'])).toMatchObject({ recreateMethod: 'unknown' });
    expect(recreated([name, 'backup-1'], [method, 'redefined'], [method, 'rescued'])).toMatchObject({
      recreateMethod: 'unknown',
    });
    expect(recreated([name, 'backup-1'], [name, 'backup-2'], [method, 'rescued'])).toMatchObject({
      bitmapRecreated: 'backup-1',
      recreateMethod: 'rescued',
    });
    expect(recreated([method, 'redefined'])).toMatchObject({ bitmapRecreated: null, recreateMethod: null });
  });

  it('read a pending deletion from any row that says so', () => {
    expect(
      readChainKeys([row(CHAIN_KEYS.deletePending, 'false'), row(CHAIN_KEYS.deletePending, 'true')]).keys.deletePending,
    ).toBe(true);
    expect(readChainKeys([row(CHAIN_KEYS.deletePending, 'false')]).keys.deletePending).toBe(false);
  });
});

describe('the active checkpoint', () => {
  const active = (...values: string[]) => readActiveCheckpoint(values.map((value) => row('nas.active_checkpoint_id', value)));

  it('is the one that the rows agree on', () => {
    expect(active('backup-1')).toEqual({ active: 'backup-1', findings: [] });
    expect(active('backup-1', 'backup-1')).toMatchObject({ active: 'backup-1', findings: [{ code: 'duplicate' }] });
    expect(active('backup-1', 'backup-2')).toMatchObject({ active: null, findings: [{ code: 'contradiction' }] });
    expect(active()).toEqual({ active: null, findings: [] });
    expect(active('')).toEqual({ active: null, findings: [] });
  });
});
