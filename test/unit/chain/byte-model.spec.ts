import fc from 'fast-check';
import { THOROUGH } from '../../support/thorough';
import type { Mishap } from './model-script';
import { ModelWorld, type ModelPoint, type ModelRun } from './model-orchestrator';
import { ModelDisk } from './model-vm';

/**
 * The decision and the settling against a model of the bytes: a VM whose disks, bitmaps and checkpoints obey the rules
 * measured on QEMU, a NAS, books. Whatever happens to the VM, a point that the books vouch for holds what the disks held.
 */
const SIZE = 8;

interface Step {
  readonly name: string;
  readonly act: (world: ModelWorld) => void;
}

const disksOf = fc.constantFrom(1, 2);
const at = (world: ModelWorld, index: number): ModelDisk => world.vm.disks[index % world.vm.disks.length] as ModelDisk;
const resize = (world: ModelWorld, disk: ModelDisk, size: number): void => {
  world.resizes.push({ target: disk.target, from: disk.clusters.length * 65_536, to: size * 65_536 });
  disk.resize(size);
};
const activeOf = (world: ModelWorld, disk: ModelDisk) => disk.bitmaps.get(world.active ?? '');

/** What can happen to a VM with the disks that it has. Nobody tells the books, unless it is said here: they must notice. */
const moves: readonly fc.Arbitrary<Step>[] = [
  fc.record({ disk: fc.nat(1), cluster: fc.nat(11), value: fc.nat(9) }).map(({ disk, cluster, value }) => ({
    name: `write ${value} to cluster ${cluster} of disk ${disk}`,
    act: (world) => (world.vm.isUp ? at(world, disk).write(cluster, value) : undefined),
  })),
  fc.constantFrom<Step>(
    { name: 'stop', act: ({ vm }) => vm.stop() },
    { name: 'start', act: ({ vm }) => vm.start() },
    { name: 'pause', act: ({ vm }) => void (vm.state = vm.isUp ? 'paused' : vm.state) },
    { name: 'resume', act: ({ vm }) => void (vm.state = vm.isUp ? 'running' : vm.state) },
    { name: 'look', act: (world) => void world.look() },
    { name: 'libvirt loses its record, as in a migration', act: ({ vm }) => vm.checkpoints.clear() },
    { name: 'all bitmaps are lost, as in a storage migration', act: ({ vm }) => vm.dropBitmaps() },
    {
      name: 'somebody stops a bitmap',
      act: (world) => world.vm.disks.forEach((disk) => Object.assign(activeOf(world, disk) ?? {}, { recording: false })),
    },
    {
      name: 'revert that drops the bitmaps, and nobody knows',
      act: (world) => (at(world, 0).clusters.fill(1), world.vm.dropBitmaps()),
    },
  ),
  fc.nat(1).map((disk) => ({
    name: `disk ${disk} loses the bitmap`,
    act: (world) => void at(world, disk).bitmaps.delete(world.active ?? ''),
  })),
];

/** What makes the disks other disks. */
const changes: readonly fc.Arbitrary<Step>[] = [
  fc.nat(1).map((disk) => ({
    name: `disk ${disk} becomes another file with the same bitmap`,
    act: (world) => ((at(world, disk).inode = world.newInode()), at(world, disk).clusters.fill(3)),
  })),
  fc.record({ disk: fc.nat(1), size: fc.integer({ min: 4, max: 12 }) }).map(({ disk, size }) => ({
    name: `disk ${disk} gets ${size} clusters, on record`,
    act: (world) => resize(world, at(world, disk), size),
  })),
  fc.record({ disk: fc.nat(1), size: fc.integer({ min: 4, max: 12 }) }).map(({ disk, size }) => ({
    name: `disk ${disk} gets ${size} clusters, off record but seen`,
    act: (world) => (at(world, disk).resize(size), void world.look()),
  })),
  fc.constantFrom<Step>(
    {
      name: 'a disk is added',
      act: (world) =>
        void (
          world.vm.disks.every(({ target }) => target !== 'vdc') &&
          world.vm.disks.push(new ModelDisk('vdc', world.newInode(), [5, 5, 5]))
        ),
    },
    {
      name: 'the added disk goes',
      act: (world) => void (world.vm.disks = world.vm.disks.filter(({ target }) => target !== 'vdc')),
    },
    {
      name: 'somebody makes an empty bitmap of the same name, and the books had seen it full',
      act: (world) => {
        world.look();
        for (const disk of world.vm.disks) {
          const bitmap = activeOf(world, disk);
          if (bitmap !== undefined && bitmap.dirty.size > 0 && world.vm.isUp) {
            bitmap.dirty = new Set();
            bitmap.recording = true;
            bitmap.inconsistent = false;
          }
        }
        world.look();
      },
    },
  ),
];

const mishaps: readonly Mishap[] = [
  'refused',
  'job-failed',
  'exit-lost',
  'facts-lost',
  'umount-busy',
  'check-skipped',
  'delta-short',
  'bitmap-on-one-disk',
  'no-scratch',
  'comparison-unseen',
];
const usually = <T>(usual: T, odd: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: odd });
/** A restore holds the VM's lease, so it never comes between the look and the run. */
const restore: Step = {
  name: 'restore of the first content, bitmaps and all kept, and the books know',
  act: (world) => ((world.restoredAt = world.now + 5), at(world, 0).clusters.fill(0)),
};

const life = fc.constantFrom<Step>(
  { name: 'restart', act: ({ vm }) => (vm.stop(), vm.start()) },
  { name: 'crash', act: ({ vm }) => vm.crash() },
);
const write = { weight: 6, arbitrary: moves[0] as fc.Arbitrary<Step> };
const lives = { weight: 2, arbitrary: life };
const move = fc.oneof(write, lives, ...moves.slice(1));
const happening = fc.oneof(write, lives, ...moves.slice(1), ...changes);
const anyRun = (stock: boolean): fc.Arbitrary<ModelRun> =>
  usually<Mishap>('none', fc.constantFrom(...mishaps)).chain((mishap) =>
    fc.record({
      stock: fc.constant(stock),
      mode: usually<'auto' | 'full'>('auto', fc.constant('full')),
      onLostBitmap: fc.constantFrom('full', 'rescue'),
      between: usually<ModelRun['between']>(
        null,
        // Without facts nobody says which disks the script found, so of a disk that is swapped under it nobody can know.
        (stock || mishap === 'facts-lost' ? move : happening).map(({ act }) => act),
      ),
      mishap: fc.constant(mishap),
      retires: usually(true, fc.constant(false)),
    }),
  );
const history = (stock: boolean): fc.Arbitrary<{ disks: number; steps: (Step | ModelRun)[] }> =>
  fc.record({
    disks: disksOf,
    steps: fc.array(
      fc.oneof(
        { weight: 30, arbitrary: happening },
        { weight: 1, arbitrary: fc.constant(restore) },
        { weight: 20, arbitrary: anyRun(stock) },
      ),
      {
        minLength: 4,
        maxLength: 24,
      },
    ),
  });

const play = ({ disks, steps }: { disks: number; steps: readonly (Step | ModelRun)[] }): ModelWorld => {
  const world = new ModelWorld(disks, SIZE);
  for (const step of steps) {
    world.now += 1;
    if ('act' in step) step.act(world);
    else world.backup(step);
  }
  return world;
};
const wrong = (world: ModelWorld, points: readonly ModelPoint[]) =>
  points
    .filter((point) => !world.isIdentical(point))
    .map(({ settled, plan }) => `${settled.externalId} ${settled.reason} ${plan.repair} ${settled.assurance}`);
const tally = (met: Map<string, number>, { outcomes }: ModelWorld) =>
  outcomes.forEach((outcome) => met.set(outcome, (met.get(outcome) ?? 0) + 1));

const GOOD: ModelRun = { stock: false, mode: 'auto', onLostBitmap: 'full', between: null, mishap: 'none', retires: true };

/** What the histories must lead to, or they prove too little. */
const MUST_HAPPEN = [
  ...[
    'regular',
    'redefined',
    'rescued',
    'no-parent',
    'requested',
    'chain-length',
    'vm-stopped',
    'restored-since',
    'parent-unproven',
  ],
  ...['bitmap-missing', 'bitmap-inconsistent', 'bitmap-not-recording', 'bitmap-unconfirmed', 'lineage-mismatch'],
  ...['disk-set-changed', 'disk-shrunk', 'disk-resize-unknown', 'job-failed', 'delta-contradicted', 'check-failed'],
];

describe('the bytes', () => {
  it('of every point taken by our script are what the disks held, at the end of any history', () => {
    const met = new Map<string, number>();
    fc.assert(
      fc.property(history(false), (any) => {
        const world = play(any);
        tally(met, world);
        expect(wrong(world, world.points)).toEqual([]);
        const doubted = world.points.filter(({ settled }) => settled.assurance !== 'accounted');
        // Nothing is doubted without cause: facts lost, or a VM that changed between the look and the run.
        expect(doubted.every(({ settled }) => settled.findings.length > 0)).toBe(true);
      }),
      { numRuns: 4000 * THOROUGH },
    );
    // A model in which nothing ever happens would agree with anything.
    const rare = MUST_HAPPEN.filter((outcome) => (met.get(outcome) ?? 0) < 3);
    expect(rare).toEqual([]);
  });

  it('of a point taken by a stock script are true, or its chain is closed and nobody vouches for it', () => {
    let holes = 0;
    const met = new Map<string, number>();
    fc.assert(
      fc.property(history(true), (any) => {
        const world = play(any);
        tally(met, world);
        const blind = world.points.filter(({ settled }) => settled.recreation !== null);
        holes += wrong(world, blind).length;
        expect(world.points.every(({ settled }) => settled.assurance === 'unproven')).toBe(true);
        expect(
          wrong(
            world,
            world.points.filter((point) => !blind.includes(point)),
          ),
        ).toEqual([]);
      }),
      { numRuns: 3000 * THOROUGH },
    );
    expect(met.get('regular') ?? 0).toBeGreaterThan(50);
    // The seed's recreation does leave holes in this model: were it harmless here, the property would prove nothing.
    expect(holes).toBeGreaterThan(0);
  });

  it('are taken again from the parent after a failure, without a needless full', () => {
    for (const mishap of ['refused', 'job-failed', 'exit-lost'] as const) {
      const world = new ModelWorld(2, SIZE);
      world.backup(GOOD);
      at(world, 0).write(1, 7);
      world.backup({ ...GOOD, mishap });
      at(world, 1).write(2, 8);
      world.backup(GOOD);
      expect(world.outcomes).toEqual(['no-parent', mishap === 'exit-lost' ? 'regular' : 'job-failed', 'regular']);
      expect(wrong(world, world.points)).toEqual([]);
    }
  });

  it('go on without a full where bitmaps are lost and a rescue is wished for: crash, migration, revert, another file', () => {
    const world = new ModelWorld(2, SIZE);
    const rescue: ModelRun = { ...GOOD, onLostBitmap: 'rescue' };
    world.backup(rescue);
    at(world, 0).write(1, 7);
    at(world, 1).bitmaps.clear();
    at(world, 1).write(2, 7);
    world.backup(rescue);
    world.vm.crash();
    at(world, 0).write(1, 0);
    world.backup(rescue);
    world.vm.dropBitmaps();
    at(world, 1).clusters.fill(1);
    world.backup(rescue);
    at(world, 0).write(3, 9);
    world.backup(rescue);
    // The bitmap looks as healthy as ever, and is of another disk.
    at(world, 0).inode = world.newInode();
    at(world, 0).clusters.fill(3);
    world.backup(rescue);
    expect(world.outcomes).toEqual(['no-parent', 'rescued', 'rescued', 'rescued', 'regular', 'rescued']);
    expect(wrong(world, world.points)).toEqual([]);
    expect(world.points.every(({ settled }) => settled.assurance === 'accounted')).toBe(true);
  });

  it('go on without a full through restarts, a migration and a disk that grows on record', () => {
    const world = new ModelWorld(2, SIZE);
    world.backup(GOOD);
    at(world, 0).write(1, 7);
    world.vm.stop();
    world.vm.start();
    at(world, 0).write(2, 7);
    world.backup(GOOD);
    world.vm.checkpoints.clear();
    resize(world, at(world, 1), 12);
    at(world, 1).write(11, 9);
    world.backup(GOOD);
    expect(world.outcomes).toEqual(['no-parent', 'redefined', 'redefined']);
    expect(wrong(world, world.points)).toEqual([]);
  });

  it.each<Mishap>(['job-failed', 'exit-lost', 'none'])(
    'are not built on a bitmap that a stock script recreated blank, run: %s',
    (mishap) => {
      const world = new ModelWorld(1, SIZE);
      const stock = { ...GOOD, stock: true };
      world.backup(stock);
      // The look sees no dirty cluster, so no count can fall and give the blank bitmap away.
      const between = ({ vm }: ModelWorld) => (at(world, 0).write(1, 7), vm.dropBitmaps());
      world.backup({ ...stock, between, mishap });
      at(world, 0).write(2, 8);
      world.backup(stock);
      const { settled } = world.points.at(-1) as ModelPoint;
      expect(settled.type).toBe('FULL');
      expect(world.isIdentical(world.points.at(-1) as ModelPoint)).toBe(true);
    },
  );

  describe('that no inspection can see lost', () => {
    const lost = (act: (world: ModelWorld, disk: ModelDisk) => void): string[] => {
      const world = new ModelWorld(1, SIZE);
      const disk = at(world, 0);
      disk.write(7, 7);
      world.backup(GOOD);
      act(world, disk);
      world.backup(GOOD);
      return wrong(world, world.points).map((text) => text.split(' ')[1] ?? '');
    };

    // The limits of bookkeeping, kept here so that nobody believes more than is true: only a comparison finds these.
    it('are a shrink and growing back off record between two looks', () => {
      expect(lost((_world, disk) => (disk.resize(4), disk.resize(SIZE)))).toEqual(['regular']);
      expect(lost((world, disk) => (resize(world, disk, 4), resize(world, disk, SIZE)))).toEqual([]);
    });

    it('are a namesake of the bitmap, made before anybody saw the first one count', () => {
      const blank = (world: ModelWorld, disk: ModelDisk) => (disk.write(1, 9), activeOf(world, disk)?.dirty.clear());
      expect(lost(blank)).toEqual(['regular']);
      expect(lost((world, disk) => (disk.write(1, 9), world.look(), activeOf(world, disk)?.dirty.clear()))).toEqual([]);
    });
  });
});
