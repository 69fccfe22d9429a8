import {
  bitmap,
  bookedDisk,
  disk,
  full,
  inspect,
  NEW_CHAIN,
  parent,
  PARENT_BITMAP,
  planOf,
  stock,
  T0,
  type Changes,
} from '../../../test/unit/chain/situation';
import { parseOutput } from '../agent/parse-output';
import type { Dialect, InspectFacts } from '../agent/facts';
import type { BackupPlan } from './backup-plan';
import type { BookedDisk } from './booked-backup';
import { settleBackup } from './settle-backup';
import type { BackedUp, Looks, Settlement } from './settlement';

const NEW = `backup-${T0 + 7200}`;
const JOB = 'Job type:         Completed   \nFile total:       23.000 GiB\n\n';
const SIZE = '24696061952\n';
const CREATED = `BITMAP_CREATED=${NEW}\n`;
const RECREATED = `BITMAP_RECREATED=${PARENT_BITMAP}\n`;
const STOPPED = '24696061900\n';
const REFUSED = `Failed to recreate parent bitmap ${PARENT_BITMAP} for i-2-7-VM\n`;

/** One disk, so that the seed can be asked for an incremental too. */
const seen = (...bitmaps: ReturnType<typeof bitmap>[]): InspectFacts => inspect({ disks: [disk('vda', { bitmaps })] });
const BOTH = seen(bitmap(), bitmap(NEW, { dirtyBytes: 0 }));
const NOTHING = seen();

/** As every backup of a stock script is: nothing supports it. */
const OF_STOCK = { assurance: 'unproven', files: 'unknown' } as const;
const booked = (...disks: BookedDisk[]) => ({ backups: [parent({ ...OF_STOCK, disks }), full({ ...OF_STOCK, disks })] });
const twoDisks: Changes = {
  books: booked(bookedDisk('vda', 0), bookedDisk('vdb', 1)),
  policy: { acceptUnprovenParent: true },
};
const oneDisk: Changes = { ...twoDisks, books: booked(bookedDisk('vda', 0)), facts: { disks: [disk('vda')] } };
const saw = (over: Parameters<typeof disk>[1]): Changes['facts'] => ({ disks: [disk('vda', over)], checkpoints: [] });

/** What a stock script of that dialect said of an incremental (of a full where it knows none), and what comes of it. */
function settle(dialect: Dialect, exitCode: number | null, stdout: string, stderr = '', looks: Partial<Looks> = {}): Settlement {
  return settled(planOf({ ...oneDisk, script: stock(dialect) }), dialect, exitCode, stdout, stderr, looks);
}

function settled(
  plan: BackupPlan,
  dialect: Dialect,
  exitCode: number | null,
  stdout: string,
  stderr: string,
  looks: Partial<Looks>,
): Settlement {
  const asked = plan.bitmapNew === null ? {} : { bitmapRequested: plan.bitmapNew };
  const parsed = parseOutput({ dialect, vmState: null, stdout, stderr, exitCode, disks: 1, ...asked });
  return settleBackup(plan, parsed, parsed.facts, { before: null, after: null, ...looks });
}

/** In few words: what is booked, what it is worth, what it may be the parent of, and what is asked for next. */
function inWords(settlement: Settlement): string {
  if (settlement.outcome === 'unknown') return 'unknown';
  if (settlement.outcome === 'failed') {
    return [
      settlement.status,
      settlement.code,
      ...(settlement.retry === null ? [] : [`again as full: ${settlement.retry.because}`]),
    ].join(', ');
  }
  const { type, assurance, activeCheckpoint, reason, recreation, needsCleanup } = settlement;
  return [
    `${type} ${reason} ${assurance}`,
    activeCheckpoint.change === 'set' ? 'parent of the next' : 'no parent',
    ...(recreation === null ? [] : [`recreated ${recreation.method}`]),
    ...(needsCleanup ? ['to be cleaned up'] : []),
  ].join(', ');
}

describe('what becomes of a run of a stock script', () => {
  describe.each<[Dialect, [string, number | null, string, string, string, Partial<Looks>?][]]>([
    [
      'legacy',
      [
        ['success', 0, JOB + SIZE, '', 'FULL script-unsupported unproven, no parent'],
        ['success, stopped', 0, `\n${STOPPED}`, '', 'FULL script-unsupported unproven, no parent'],
        ['exit 2 is nothing special', 2, '', '', 'Error, silent-failure'],
        ['umount busy after all is done', 32, JOB + SIZE, '', 'Error, cleanup-failed'],
      ],
    ],
    [
      'seed',
      [
        ['success', 0, JOB + SIZE + CREATED, '', 'INCREMENTAL regular unproven, parent of the next'],
        [
          'success, and the bitmap is seen',
          0,
          JOB + SIZE + CREATED,
          '',
          'INCREMENTAL regular unproven, parent of the next',
          { after: BOTH },
        ],
        [
          'success, and the bitmap is not there',
          0,
          JOB + SIZE + CREATED,
          '',
          'INCREMENTAL regular unproven, no parent',
          { after: seen(bitmap()) },
        ],
        [
          'THE HOLE, nobody looked',
          0,
          RECREATED + JOB + SIZE + CREATED,
          '',
          'INCREMENTAL regular unproven, no parent, recreated unknown',
        ],
        [
          'THE HOLE, the bitmap was not there',
          0,
          RECREATED + JOB + SIZE + CREATED,
          '',
          'INCREMENTAL regular broken, no parent, recreated unknown',
          { before: NOTHING, after: BOTH },
        ],
        [
          'THE HOLE, the bitmap was inconsistent',
          0,
          RECREATED + JOB + SIZE + CREATED,
          '',
          'INCREMENTAL regular broken, no parent, recreated unknown',
          { before: seen(bitmap(PARENT_BITMAP, { inconsistent: true })) },
        ],
        [
          'THE HOLE, the bitmap holds less than before',
          0,
          RECREATED + JOB + SIZE + CREATED,
          '',
          'INCREMENTAL regular broken, no parent, recreated unknown',
          { before: seen(bitmap()), after: seen(bitmap(PARENT_BITMAP, { dirtyBytes: 0 }), bitmap(NEW)) },
        ],
        [
          'recreated, and nothing that was seen contradicts it',
          0,
          RECREATED + JOB + SIZE + CREATED,
          '',
          'INCREMENTAL regular unproven, no parent, recreated unknown',
          { before: seen(bitmap()), after: BOTH },
        ],
        ['the bitmap outlived a restart', 1, REFUSED, '', 'Failed, recreate-failed, again as full: bitmap-unconfirmed'],
        [
          'stopped',
          0,
          `\n${STOPPED}`,
          'INCREMENTAL_FALLBACK=full (VM stopped — incremental requires running VM)\n',
          'FULL bitmap-unconfirmed unproven, no parent',
        ],
        [
          'parent gone from the NAS',
          1,
          'Parent backup file does not exist on NAS: x\n',
          '',
          'Failed, parent-missing, again as full: parent-file-missing',
        ],
        [
          'umount busy after all is done',
          32,
          JOB + SIZE + CREATED,
          '',
          'INCREMENTAL regular unproven, parent of the next, to be cleaned up',
        ],
        ['mount failed', 32, 'mount.nfs: access denied by server while mounting nas\n', '', 'Failed, mount-failed'],
        ['mount failed without a word', 32, '', '', 'Failed, mount-failed'],
        ['libvirt or QEMU too old', 2, '', '', 'Failed, version-too-old'],
        [
          'cleanup failed',
          20,
          'Virsh backup job failed\nVirsh backup job failed\nBackup cleanup failed\n',
          '',
          'Error, job-failed',
        ],
        ['21 is declared and never used', 21, '', '', 'Failed, incremental-unsupported, again as full: bitmap-unconfirmed'],
        ['the VM went away', 1, '', '', 'Error, silent-failure'],
        ['killed', 143, '', '', 'Error, script-killed'],
        ['nobody waited any longer', -1, '', '', 'unknown'],
        ['nobody saw the end', null, JOB + SIZE + CREATED, '', 'unknown'],
      ],
    ],
    [
      'mid',
      [
        ['success', 0, JOB + SIZE + CREATED, '', 'INCREMENTAL regular unproven, parent of the next'],
        ['THE HOLE', 0, RECREATED + JOB + SIZE + CREATED, '', 'INCREMENTAL regular unproven, no parent, recreated unknown'],
        [
          'THE HOLE, the bitmap was dropped',
          0,
          RECREATED + JOB + SIZE + CREATED,
          '',
          'INCREMENTAL regular broken, no parent, recreated unknown',
          { before: seen(bitmap()), after: seen(bitmap(PARENT_BITMAP, { dirtyBytes: 0 }), bitmap(NEW)) },
        ],
        ['cannot recreate', 1, REFUSED, '', 'Failed, recreate-failed, again as full: bitmap-unconfirmed'],
        ['21: to be run as a full', 21, '', '', 'Failed, incremental-unsupported, again as full: bitmap-unconfirmed'],
        ['22: good, without a bitmap', 22, JOB + SIZE + CREATED, '', 'INCREMENTAL regular unproven, no parent'],
        ['22 without a size', 22, JOB, '', 'Failed, size-missing'],
        [
          'stopped, and nobody looked',
          0,
          `INCREMENTAL_FALLBACK=full (VM stopped)\n${CREATED}${STOPPED}`,
          '',
          'FULL bitmap-unconfirmed unproven, no parent',
        ],
        [
          'stopped, and the bitmap is seen',
          0,
          `INCREMENTAL_FALLBACK=full (VM stopped)\n${CREATED}${STOPPED}`,
          '',
          'FULL bitmap-unconfirmed unproven, parent of the next',
          { after: BOTH },
        ],
        [
          'stopped, and the bitmap is not there',
          0,
          `INCREMENTAL_FALLBACK=full (VM stopped)\n${CREATED}${STOPPED}`,
          '',
          'FULL bitmap-unconfirmed unproven, no parent',
          { after: NOTHING },
        ],
        [
          'umount busy after all is done',
          32,
          JOB + SIZE + CREATED,
          '',
          'INCREMENTAL regular unproven, parent of the next, to be cleaned up',
        ],
        ['backup-begin refused: details are empty', 1, '', '', 'Error, silent-failure'],
      ],
    ],
    [
      'final',
      [
        ['success, and nobody looked', 0, JOB + SIZE, '', 'INCREMENTAL regular unproven, no parent'],
        [
          'success, and the bitmap is seen',
          0,
          JOB + SIZE,
          '',
          'INCREMENTAL regular unproven, parent of the next',
          { after: BOTH },
        ],
        [
          'success, and the bitmap is not recording',
          0,
          JOB + SIZE,
          '',
          'INCREMENTAL regular unproven, no parent',
          { after: seen(bitmap(NEW, { recording: false })) },
        ],
        [
          'fell back, and the bitmap is seen',
          0,
          `INCREMENTAL_FALLBACK=true\n${JOB}${SIZE}`,
          '',
          'FULL bitmap-unconfirmed unproven, parent of the next',
          { before: NOTHING, after: BOTH },
        ],
        [
          'stopped, and nobody looked',
          0,
          `INCREMENTAL_FALLBACK=true\n${STOPPED}`,
          '',
          'FULL bitmap-unconfirmed unproven, no parent',
        ],
        [
          'stopped, and the bitmap is seen',
          0,
          `INCREMENTAL_FALLBACK=true\n${STOPPED}`,
          '',
          'FULL bitmap-unconfirmed unproven, parent of the next',
          { after: BOTH },
        ],
        ['cleanup failed', 20, 'Backup cleanup failed\n', '', 'Error, cleanup-failed'],
        ['du failed', 0, `${JOB}0\n`, '', 'Failed, size-zero'],
        ['exit 1 without a word', 1, '', '', 'Error, silent-failure'],
      ],
    ],
  ])('%s', (dialect, rows) => {
    it.each(rows)('%s (exit %p)', (_what, exitCode, stdout, stderr, words, looks = {}) => {
      expect(inWords(settle(dialect, exitCode, stdout, stderr, looks))).toBe(words);
    });
  });

  it('keeps the event as the seed asks, closes the chain and takes the new bitmap away again', () => {
    const settlement = settle('seed', 0, RECREATED + JOB + SIZE + CREATED, '', { before: NOTHING }) as BackedUp;
    expect(Object.fromEntries(settlement.details.map(({ name, value }) => [name, value]))).toMatchObject({
      'nas.bitmap_recreated': PARENT_BITMAP,
      'ck.recreate_method': 'unknown',
      'nas.type': 'incremental',
    });
    expect(settlement.activeCheckpoint).toEqual({ change: 'cleared' });
    expect(settlement.retire).toContain(NEW);
    expect(settlement.findings.join(' ')).toMatch(/an empty one took its place/);
  });

  it('starts a new chain where the script fell back', () => {
    const settlement = settle('final', 0, `INCREMENTAL_FALLBACK=true\n${JOB}${SIZE}`) as BackedUp;
    expect(settlement).toMatchObject({ chainId: NEW_CHAIN, position: 0, parentUuid: null });
  });

  it('does not take a bitmap of another name for the one that was asked for', () => {
    const settlement = settle('seed', 0, `${JOB}${SIZE}BITMAP_CREATED=backup-7\n`, '', { after: BOTH }) as BackedUp;
    expect(settlement.activeCheckpoint).toEqual({ change: 'cleared' });
  });
});

describe('what a stock script is asked for', () => {
  it.each<[Dialect, string, Changes]>([
    ['legacy', 'legacy-full script-unsupported', oneDisk],
    ['seed', 'incremental regular', oneDisk],
    ['seed', 'full script-unsupported', twoDisks],
    ['mid', 'incremental regular', twoDisks],
    ['final', 'incremental regular', twoDisks],
    ['seed', 'full bitmap-unconfirmed', { ...oneDisk, facts: saw({}) }],
    ['mid', 'full bitmap-unconfirmed', { ...oneDisk, facts: saw({}) }],
    ['final', 'incremental redefined', { ...oneDisk, facts: saw({}) }],
    ['seed', 'full bitmap-missing', { ...oneDisk, facts: saw({ bitmaps: [] }) }],
    ['seed', 'incremental regular', { ...oneDisk, looked: false, facts: saw({ bitmaps: null, inode: null, virtualSize: null }) }],
    ['final', 'incremental regular', { ...oneDisk, looked: false, facts: saw({ bitmaps: null }) }],
  ])('%s: %s', (dialect, words, changes) => {
    const plan = planOf({ ...changes, script: stock(dialect) });
    expect(`${plan.kind} ${plan.reason}`).toBe(words);
  });

  it('says that nobody looked', () => {
    const plan = planOf({ ...oneDisk, script: stock('seed'), looked: false });
    expect(plan.evidence.map(({ detail }) => detail)).toEqual([
      `nobody could look at the host: by the books the bitmap ${PARENT_BITMAP} is there`,
    ]);
  });
});
