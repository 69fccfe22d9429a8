import { DIALECTS, type Dialect } from './facts';
import { parseOutput, type ParsedRun, type RunOutput } from './parse-output';
import type { RunPath } from './read-size';

// As `virsh domjobinfo --completed` of libvirt 9.0 prints it, trailing blanks and empty last line included.
const job = (type = 'Completed'): string =>
  [
    `Job type:         ${type.padEnd(12)}`,
    'Operation:        Backup      ',
    'Time elapsed:     29235        ms',
    'File processed:   23.000 GiB',
    'File remaining:   0.000 B',
    'File total:       23.000 GiB',
    '',
    '',
  ].join('\n');

const SIZE = 24696061952;
const CREATED = 'BITMAP_CREATED=backup-1777300200\n';
const RECREATED = 'BITMAP_RECREATED=backup-1777297500\n';
const MOUNT_NOISE = 'mount.nfs: warning: mount version older than kernel\n';

const parse = (dialect: Dialect, vmState: RunOutput['vmState'], stdout: string, rest: Partial<RunOutput> = {}): ParsedRun =>
  parseOutput({ dialect, vmState, stdout, exitCode: 0, ...rest });

const SEED_RUNNING = `${job()}${SIZE}\n${CREATED}`;

const good = (stdout: string, parts: Partial<ParsedRun> = {}): ParsedRun => ({
  result: true,
  size: SIZE,
  bitmapCreated: null,
  bitmapRecreated: null,
  incrementalFallback: false,
  needsCleanup: false,
  details: stdout.trim(),
  code: null,
  exitCode: 0,
  warnings: [],
  facts: null,
  bitmapClaimed: null,
  runPath: expect.stringMatching(/^(running|stopped)$/) as RunPath,
  ...parts,
});

const bad = (stdout: string, code: string, parts: Partial<ParsedRun> = {}): ParsedRun =>
  good(stdout, {
    result: false,
    size: null,
    code,
    warnings: [expect.stringMatching(new RegExp(`^${code}: `)) as string],
    ...parts,
  });

describe('a running VM that was backed up', () => {
  const made = { bitmapCreated: 'backup-1777300200' };
  it.each<[string, Dialect, string, Partial<ParsedRun>]>([
    ['legacy', 'legacy', `${job()}${SIZE}\n`, {}],
    ['seed, full', 'seed', SEED_RUNNING, made],
    ['seed, bitmap recreated', 'seed', RECREATED + SEED_RUNNING, { ...made, bitmapRecreated: 'backup-1777297500' }],
    ['seed, legacy full', 'seed', `${job()}${SIZE}\n`, {}],
    ['seed, mount noise', 'seed', MOUNT_NOISE + SEED_RUNNING, made],
    ['mid', 'mid', SEED_RUNNING, made],
    ['mid, fallback', 'mid', `INCREMENTAL_FALLBACK=full (why)\n${SEED_RUNNING}`, { ...made, incrementalFallback: true }],
    ['final', 'final', `${job()}${SIZE}\n`, {}],
    ['final, fallback', 'final', `INCREMENTAL_FALLBACK=true\n${job()}${SIZE}\n`, { incrementalFallback: true }],
    ['final, fallback without a value', 'final', `INCREMENTAL_FALLBACK=\n${job()}${SIZE}\n`, { incrementalFallback: true }],
    ['without a last newline', 'seed', SEED_RUNNING.trimEnd(), made],
    ['CR LF', 'seed', SEED_RUNNING.replaceAll('\n', '\r\n'), made],
    [
      'markers anywhere',
      'seed',
      `${CREATED}Job type:  Completed\n${RECREATED}\n\n ${SIZE}\t\n`,
      { ...made, bitmapRecreated: 'backup-1777297500' },
    ],
    ['without a job block', 'legacy', `${SIZE}\n`, {}],
    ['other labels', 'final', `Job type: Completed\nTemporary disk space use: 0.000 B\n\n${SIZE}\n`, {}],
  ])('%s', (_, dialect, stdout, parts) => {
    expect(parse(dialect, 'running', stdout)).toEqual(good(stdout, parts));
  });

  it('tells by the job which way a script went that looks at the VM by itself', () => {
    expect(parse('seed', null, SEED_RUNNING, { disks: 2 })).toMatchObject({ size: SIZE, runPath: 'running' });
    expect(parse('seed', null, '\n100\n52\n', { disks: 2 })).toMatchObject({ size: 152, runPath: 'stopped' });
    expect(parse('seed', 'stopped', '\n100\n52\n')).toMatchObject({ size: 152, runPath: 'stopped' });
    expect(parse('seed', 'running', '\n100\n52\n')).toMatchObject({ size: 52, runPath: 'running' });
  });

  it('does not check the number of disks: the size is that of the directory', () => {
    expect(parse('seed', 'running', SEED_RUNNING, { disks: 3 }).size).toBe(SIZE);
  });
});

describe('a stopped VM that was backed up', () => {
  it.each<[string, Dialect, string, Partial<ParsedRun>]>([
    ['legacy', 'legacy', `\n24696061900\n52\n`, {}],
    ['seed: an empty row, then one size a file', 'seed', `\n24696061900\n52\n`, {}],
    ['seed, mount noise', 'seed', `${MOUNT_NOISE}\n24696061900\n52\n`, {}],
    ['a number with words before the first size', 'seed', `mount: 2 warnings\n17 things\n24696061900\n52\n`, {}],
    ['mid', 'mid', `BITMAP_CREATED=backup-1\n\n24696061900\n52\n`, { bitmapCreated: 'backup-1' }],
    [
      'mid, fallback',
      'mid',
      `INCREMENTAL_FALLBACK=full (VM stopped — incremental requires running VM)\nBITMAP_CREATED=backup-1\n\n24696061900\n52\n`,
      { bitmapCreated: 'backup-1', incrementalFallback: true },
    ],
    ['final', 'final', `24696061900\n52\n`, {}],
    ['final, fallback', 'final', `INCREMENTAL_FALLBACK=true\n24696061900\n52\n`, { incrementalFallback: true }],
    ['CR LF and a marker between', 'mid', `24696061900\r\nBITMAP_CREATED=backup-1\r\n\r\n52\r\n`, { bitmapCreated: 'backup-1' }],
  ])('%s', (_, dialect, stdout, parts) => {
    expect(parse(dialect, 'stopped', stdout)).toEqual(good(stdout, parts));
    expect(parse(dialect, 'stopped', stdout, { disks: 2 })).toEqual(good(stdout, parts));
  });

  it('reads the fallback of the seed from stderr, where it says it', () => {
    const stderr = 'INCREMENTAL_FALLBACK=full (VM stopped — incremental requires running VM)\n';
    expect(parse('seed', 'stopped', '\n5\n', { stderr })).toMatchObject({ result: true, size: 5, incrementalFallback: true });
  });
});

describe('sizes are exact or refused', () => {
  const MAX = 2 ** 53 - 1;
  it.each<[string, RunOutput['vmState'], string, number]>([
    ['the largest that can be counted', 'running', `${MAX}`, MAX],
    ['leading noughts', 'running', '000123', 123],
    ['many of them', 'running', '0000000000000000000000123', 123],
    ['leading noughts', 'stopped', '005', 5],
    ['a sum that is just in reach', 'stopped', `${MAX - 5}\n5\n`, MAX],
    ['the smallest', 'stopped', '1', 1],
  ])('%s', (_, state, stdout, size) => {
    expect(parse('legacy', state, stdout).size).toBe(size);
  });

  it.each<[string, RunOutput['vmState'], string, string]>([
    ['nothing', 'running', '', 'size-missing'],
    ['nothing', 'stopped', '', 'size-missing'],
    ['only blank lines', 'stopped', '\n \n\t\n', 'size-missing'],
    ['only a job block', 'running', job(), 'size-missing'],
    ['only noise', 'stopped', MOUNT_NOISE, 'size-missing'],
    ['only a warning', 'running', 'warning: x', 'size-missing'],
    ['one too many', 'running', String(MAX + 1), 'size-too-large'],
    ['2^53 + 1, which would be rounded', 'running', '9007199254740993', 'size-too-large'],
    ['a sum out of reach', 'stopped', `${MAX}\n1\n`, 'size-too-large'],
    ['far too many digits', 'stopped', '9'.repeat(5000), 'size-too-large'],
    ['a unit', 'running', '23.000 GiB', 'size-missing'],
    ['a fraction', 'running', '23.5', 'size-missing'],
    ['an exponent', 'running', '1e9', 'size-missing'],
    ['hexadecimal', 'running', '0x10', 'size-missing'],
    ['a sign', 'running', '+5', 'size-missing'],
    ['less than nothing', 'running', '-5', 'size-missing'],
    ['thousands', 'running', '24,696', 'size-missing'],
    ['two words', 'running', '24696 061952', 'size-missing'],
    ['du without cut', 'running', '24696\t/tmp/x', 'size-missing'],
    ['digits of another script', 'running', '２４', 'size-missing'],
    ['a month, as ls of Ubuntu 26.04 puts it there', 'stopped', 'Jul\nJul\n', 'size-missing'],
    ['words after the size', 'running', '100\nsomething\n', 'size-not-last'],
    ['a cut job block after a number', 'running', `100\n${job()}`, 'size-not-last'],
    ['a line that could have been a size', 'stopped', '100\nJul\n200\n', 'size-interrupted'],
    ['a warning among the sizes', 'stopped', '100\nwarning: x\n', 'size-interrupted'],
    ['a number with words among the sizes', 'stopped', '100\n200 x\n', 'size-interrupted'],
    ['a failed du', 'running', `${job()}0\n`, 'size-zero'],
    ['a failed du', 'running', '00', 'size-zero'],
    ['an empty file', 'stopped', '100\n0\n', 'size-zero'],
    ['an empty file', 'stopped', '00', 'size-zero'],
    ['a word about an unmount', 'running', '100\nsee umount: x\n', 'size-not-last'],
    ['a word about an unmount', 'running', '100\nsee Failed to unmount x\n', 'size-not-last'],
    ['a word about a warning', 'running', '100\nno warning\n', 'size-not-last'],
  ])('%s (%s): %j', (_, state, stdout, code) => {
    for (const dialect of DIALECTS) {
      expect(parse(dialect, state, stdout)).toEqual(bad(stdout, code));
    }
  });

  it.each([1, 3])('refuses two sizes for %i disks', (disks) => {
    expect(parse('final', 'stopped', '100\n200\n', { disks })).toEqual(
      bad('100\n200', 'size-count', { warnings: [`size-count: The script printed 2 size(s) for ${disks} disk(s).`] }),
    );
  });

  it('does not count for minutes what has megabytes of digits', () => {
    const start = process.cpuUsage().user;
    expect(parse('final', 'stopped', `5\n${'9'.repeat(3_000_000)}`).code).toBe('size-too-large');
    expect(process.cpuUsage().user - start).toBeLessThan(1_000_000);
  });

  it('takes the last number of a running VM, as CloudStack does, and says that there were more', () => {
    expect(parse('seed', 'running', '10\n100\n')).toMatchObject({
      size: 100,
      warnings: ['several-sizes: 1 more number(s) before the size of a running VM'],
    });
  });

  it.each([
    'umount: /tmp/csbackup.x: target is busy.',
    'umount.nfs4: /tmp/csbackup.x: device is busy',
    'rmdir: failed to remove x',
    'Failed to unmount x',
    'Failed to remove mount point x',
    'warning: left behind: x',
    'WARNING x',
    'umount.nfs: warning: x',
    'mount.nfs4-x: warning: y',
  ])('passes over %j after the size of a running VM', (afterword) => {
    expect(parse('seed', 'running', `${job()}100\n${afterword}\n${CREATED}${afterword}\n`)).toMatchObject({
      result: true,
      size: 100,
      bitmapCreated: 'backup-1777300200',
      warnings: [`after-size: ${afterword}; ${afterword}`],
    });
  });

  it('quotes the stranger, shortened', () => {
    expect(parse('final', 'stopped', `1\n${'x'.repeat(500)}`).warnings[0]).toBe(
      `size-interrupted: Among the sizes stands "${'x'.repeat(200)}…".`.slice(0, 'size-interrupted: '.length + 200) + '…',
    );
    expect(parse('final', 'running', '1\nx').warnings).toEqual([
      'size-not-last: After the size stands "x", so it may not be the size.',
    ]);
    expect(parse('final', 'running', 'x').warnings).toEqual(['size-missing: The script printed no size; its last line is "x".']);
    expect(parse('final', 'running', '').warnings).toEqual(['size-missing: The script printed no size.']);
    expect(parse('final', 'stopped', 'x').warnings).toEqual(['size-missing: The script printed no size.']);
    expect(parse('final', 'stopped', '0').warnings).toEqual(['size-zero: A file of the backup is empty.']);
    expect(parse('final', 'running', '0').warnings).toEqual([
      'size-zero: A size of 0 means that the script could not measure the backup.',
    ]);
    expect(parse('final', 'running', '9007199254740992').warnings).toEqual([
      'size-too-large: "9007199254740992" bytes is more than can be counted exactly (2^53-1).',
    ]);
  });
});

describe('markers', () => {
  it('the last one of a kind holds', () => {
    const stdout = `BITMAP_CREATED=backup-1\n${SEED_RUNNING}`;
    expect(parse('seed', 'running', stdout)).toEqual(
      good(stdout, {
        bitmapCreated: 'backup-1777300200',
        warnings: ['duplicate-marker: BITMAP_CREATED stands there more than once; the last one holds'],
      }),
    );
  });

  it('more than two of a kind are told once: a script that loops may print millions', () => {
    expect(parse('final', 'running', `${'INCREMENTAL_FALLBACK=true\n'.repeat(5)}5\n`).warnings).toHaveLength(1);
  });

  it('an unknown one is taken out before the size is read, and told', () => {
    const stdout = `${job()}${SIZE}\nBACKUP_SIZE_TOTAL=5\nPARENT_BITMAP_DELETED=true\n`;
    const warnings = ['unknown-marker: BACKUP_SIZE_TOTAL=5', 'unknown-marker: PARENT_BITMAP_DELETED=true'];
    expect(parse('final', 'running', stdout)).toEqual(good(stdout, { warnings }));
    expect(parse('final', 'stopped', `5\nA=\n6\n`)).toMatchObject({ size: 11, warnings: ['unknown-marker: A='] });
    expect(parse('final', 'stopped', `5\nA=${'x'.repeat(200)}`).warnings).toEqual([`unknown-marker: A=${'x'.repeat(200)}`]);
    expect(parse('final', 'stopped', `5\nA=${'x'.repeat(300)}`).warnings).toEqual([`unknown-marker: A=${'x'.repeat(200)}…`]);
  });

  it.each(['_A=1', 'a=1', 'A1=1', ' A=1', 'A =1', 'A-B=1', '=1'])('%j is none', (line) => {
    expect(parse('final', 'stopped', `5\n${line}\n`)).toMatchObject({ result: false, code: 'size-interrupted' });
  });

  it.each(['legacy', 'final'] as const)('one that the %s dialect does not have is believed, and told', (dialect) => {
    const stdout = `${RECREATED}${SEED_RUNNING}`;
    expect(parse(dialect, 'running', stdout)).toEqual(
      good(stdout, {
        bitmapCreated: 'backup-1777300200',
        bitmapRecreated: 'backup-1777297500',
        warnings: ['BITMAP_RECREATED', 'BITMAP_CREATED'].map(
          (name) => `unexpected-marker: the ${dialect} dialect has no ${name}; is the host's script another one?`,
        ),
      }),
    );
  });

  it('the legacy dialect has no fallback either', () => {
    expect(parse('legacy', 'stopped', 'INCREMENTAL_FALLBACK=true\n5').warnings).toHaveLength(1);
  });

  it.each(['', 'a b', '$(id)', '../x', '-x', 'x'.repeat(128)])('a bitmap cannot be called %j', (name) => {
    const stdout = `${job()}${SIZE}\nBITMAP_RECREATED=${name}\nBITMAP_CREATED=${name}\n`;
    const parsed = parse('seed', 'running', stdout);
    expect(parsed).toMatchObject({ result: true, bitmapCreated: null, bitmapRecreated: null });
    expect(parsed.warnings).toEqual([
      `malformed-marker: BITMAP_CREATED names no bitmap: ${JSON.stringify(name)}`,
      `malformed-marker: BITMAP_RECREATED names no bitmap: ${JSON.stringify(name)}`,
    ]);
    // What announces nothing does not say that the data is complete either.
    expect(parse('seed', 'running', stdout, { exitCode: 32 }).result).toBe(false);
  });

  it('another bitmap than the one that was asked for is told', () => {
    const asked = { bitmapRequested: 'backup-7' };
    expect(parse('seed', 'running', SEED_RUNNING, asked)).toMatchObject({
      bitmapCreated: 'backup-1777300200',
      warnings: ['bitmap-unexpected: backup-1777300200 was made, backup-7 was asked for'],
    });
    expect(parse('seed', 'running', SEED_RUNNING, { bitmapRequested: 'backup-1777300200' }).warnings).toEqual([]);
    expect(parse('seed', 'running', `${job()}5`, asked).warnings).toEqual([]);
  });
});

describe('a bitmap is reported only when the host confirmed it', () => {
  it('the final dialect without facts confirms none; what CloudStack would store is kept apart', () => {
    const asked = { bitmapRequested: 'backup-7' };
    expect(parse('final', 'running', `${job()}5`, asked)).toMatchObject({ bitmapCreated: null, bitmapClaimed: 'backup-7' });
    expect(parse('final', 'running', `${job()}5`)).toMatchObject({ bitmapCreated: null, bitmapClaimed: null });
    expect(parse('seed', 'running', `${job()}5`, asked)).toMatchObject({ bitmapCreated: null, bitmapClaimed: null });
    expect(parse('final', 'running', '', asked)).toMatchObject({ result: false, bitmapClaimed: null });
    expect(parse('final', 'running', `5\n${CREATED}`, asked)).toMatchObject({ bitmapClaimed: null });
  });

  it.each([1, 2, 20, 32, null])('a run that did not succeed reports none (exit %p)', (exitCode) => {
    expect(parse('seed', 'running', CREATED, { exitCode })).toMatchObject({ result: false, bitmapCreated: null, size: null });
  });

  it('a recreation is reported even of a run that failed: it has changed the VM', () => {
    expect(parse('seed', 'running', RECREATED, { exitCode: 1 })).toMatchObject({
      result: false,
      bitmapRecreated: 'backup-1777297500',
    });
  });
});

describe('exit codes', () => {
  it.each(DIALECTS)('%s: 20 has failed and left something behind', (dialect) => {
    const stdout = 'Virsh backup job failed\nVirsh backup job failed\nBackup cleanup failed\n';
    expect(parse(dialect, 'running', stdout, { exitCode: 20 })).toEqual(
      bad(stdout, 'job-failed', { needsCleanup: true, exitCode: 20 }),
    );
    expect(parse(dialect, 'running', '', { exitCode: 20 })).toEqual(
      bad('', 'cleanup-failed', { needsCleanup: true, exitCode: 20 }),
    );
  });

  it.each(['seed', 'mid'] as const)('%s: a busy unmount after good data is a success that needs cleaning up', (dialect) => {
    for (const exitCode of [1, 2, 20, 32, 143]) {
      expect(parse(dialect, 'running', RECREATED + SEED_RUNNING, { exitCode })).toEqual(
        good(RECREATED + SEED_RUNNING, {
          bitmapCreated: 'backup-1777300200',
          bitmapRecreated: 'backup-1777297500',
          needsCleanup: true,
          exitCode,
          warnings: [`cleanup-failed: exit ${exitCode} after the data was complete.`],
        }),
      );
    }
  });

  it('the sizes of a stopped VM have to be complete for that', () => {
    const stdout = 'BITMAP_CREATED=backup-1\n100\n200\n';
    expect(parse('mid', 'stopped', stdout, { exitCode: 32, disks: 2 })).toMatchObject({
      result: true,
      size: 300,
      needsCleanup: true,
    });
    expect(parse('mid', 'stopped', stdout, { exitCode: 32, disks: 3 })).toMatchObject({
      result: false,
      code: 'mount-failed',
      needsCleanup: false,
    });
  });

  it('size or bitmap alone is not enough for that', () => {
    expect(parse('seed', 'running', `${job()}${SIZE}\n`, { exitCode: 32 })).toMatchObject({
      result: false,
      code: 'cleanup-failed',
      size: null,
      needsCleanup: false,
    });
    expect(parse('seed', 'running', `${job()}${CREATED}`, { exitCode: 32 })).toMatchObject({
      result: false,
      code: 'mount-failed',
    });
    expect(parse('seed', 'running', `${job()}${SIZE}\n`, { exitCode: 1 })).toMatchObject({
      result: false,
      code: 'script-failed',
    });
  });

  it('nor is it enough against the word of the script', () => {
    const stdout = `qemu-img rebase failed for a onto b\n${SEED_RUNNING}`;
    expect(parse('seed', 'running', stdout, { exitCode: 1 })).toMatchObject({
      result: false,
      code: 'rebase-failed',
      bitmapCreated: null,
    });
  });

  it('mid: 21 is to be run again for a full', () => {
    const stdout = `${RECREATED}${SEED_RUNNING}`;
    expect(parse('mid', 'running', stdout, { exitCode: 21 })).toEqual(
      bad(stdout, 'incremental-unsupported', {
        ...{ incrementalFallback: true, bitmapRecreated: 'backup-1777297500', exitCode: 21 },
        warnings: ['incremental-unsupported: the script asks to be run again for a full.'],
      }),
    );
  });

  it.each(['legacy', 'seed', 'final'] as const)('%s: 21 and 22 are failures', (dialect) => {
    expect(parse(dialect, 'running', 'x', { exitCode: 21 })).toEqual(bad('x', 'incremental-unsupported', { exitCode: 21 }));
    expect(parse(dialect, 'running', '5', { exitCode: 22 })).toEqual(bad('5', 'bitmap-not-seeded', { exitCode: 22 }));
  });

  it('mid: 22 is a good backup without a bitmap, whatever a marker says', () => {
    const warnings = ['bitmap-not-seeded: the backup is good, but there is no bitmap for a next incremental.'];
    expect(parse('mid', 'running', SEED_RUNNING, { exitCode: 22 })).toEqual(good(SEED_RUNNING, { exitCode: 22, warnings }));
    expect(parse('mid', 'running', job(), { exitCode: 22 })).toEqual(bad(job(), 'size-missing', { exitCode: 22 }));
  });

  it.each([null, -1])('%p: nobody knows, even when the output is complete', (exitCode) => {
    expect(parse('seed', 'running', SEED_RUNNING, { exitCode })).toEqual(
      bad(SEED_RUNNING, 'outcome-unknown', {
        exitCode,
        warnings: ['outcome-unknown: nobody saw the script end; it may still be writing.'],
      }),
    );
  });
});

describe('why it failed', () => {
  it.each<[string, string]>([
    ["error: internal error: unable to execute QEMU command 'blockdev-backup': No space left on device", 'target-full'],
    ['qemu-img: error while writing: Disk quota exceeded\nqemu-img convert failed for /a', 'target-full'],
    ["error: invalid argument: store '/tmp/x/root.a.qcow2' for backup of 'vda' exists", 'target-exists'],
    ["error: failed to get domain 'i-2-1234-VM'", 'guest-gone'],
    ['error: Requested operation is not valid: domain is not running', 'guest-gone'],
    ["error: Domain not found: no domain with matching name 'x'", 'guest-gone'],
    ['error: Timed out during operation: cannot acquire state change lock (held by monitor=remoteDispatch)', 'job-busy'],
    ['error: operation failed: another job is already running', 'job-busy'],
    ['error: block device is in use: existing block job', 'job-busy'],
    ['Invalid option: --foo\nusage: x', 'bad-option'],
    ['Unknown mode: x', 'bad-option'],
    ['Unknown backup mode: x', 'bad-option'],
    ['incremental mode requires --bitmap-parent, --bitmap-new, and --parent-path', 'bad-option'],
    ['full mode requires --bitmap-new', 'bad-option'],
    ['PARENT_PATHS list shorter than DISK_PATHS (1 < 2)', 'bad-option'],
    ['Parent backup file does not exist on NAS: a/b', 'parent-missing'],
    ['error: Bitmap already exists: backup-1\nFailed to recreate parent bitmap backup-1', 'recreate-failed'],
    ["error: checkpoint inconsistent: missing or broken bitmap 'f1' for disk 'vdb'", 'bitmap-broken'],
    ['Failed to pre-seed bitmap x', 'preseed-failed'],
    ['qemu-img rebase failed for a onto b', 'rebase-failed'],
    ['qemu-img convert failed for /a', 'convert-failed'],
    ['Failed to thaw the filesystem for vm x: y', 'thaw-failed'],
    ['Virsh backup job failed', 'job-failed'],
    [job('Failed'), 'job-failed'],
    [job('Cancelled'), 'job-cancelled'],
    ['Failed to mount nfs store', 'mount-failed'],
    ['mount.nfs: access denied by server while mounting a:/b', 'mount-failed'],
    ['mount error(13): Permission denied', 'mount-failed'],
    ["mount: /mnt: unknown filesystem type 'nfs'.", 'mount-failed'],
    ['mount.nfs: Connection timed out', 'mount-failed'],
    ['Stopped before it began', 'job-cancelled'],
    ['Failed to resume VM x', 'resume-failed'],
    ['Backup cleanup failed', 'cleanup-failed'],
    ['Failed to delete x', 'cleanup-failed'],
    ['Failed to unmount x', 'cleanup-failed'],
    ['Failed to remove mount point x', 'cleanup-failed'],
    ['umount: /x: target is busy.', 'cleanup-failed'],
    ['umount.nfs4: /x: device is busy', 'cleanup-failed'],
    ['error: something else', 'virsh-failed'],
    ['something else', 'script-failed'],
  ])('%j is %s', (words, code) => {
    for (const dialect of DIALECTS) {
      expect(parse(dialect, 'running', `${words}\n`, { exitCode: 1 })).toEqual(bad(words, code, { exitCode: 1 }));
    }
  });

  it('is read from stderr too', () => {
    const stderr = 'error: Bitmap already exists: backup-1\nFailed to recreate parent bitmap backup-1\n';
    expect(parse('seed', 'running', '', { exitCode: 1, stderr })).toEqual(
      bad('', 'recreate-failed', { exitCode: 1, warnings: ['recreate-failed: Failed to recreate parent bitmap backup-1'] }),
    );
  });

  it.each([
    ['', 1, 'silent-failure'],
    ['', 2, 'version-too-old'],
    ['', 32, 'mount-failed'],
    ['', 127, 'script-missing'],
    ['', 143, 'script-killed'],
    ['umbrella', 32, 'mount-failed'],
  ])('%j with exit %i is %s', (stdout, exitCode, code) => {
    expect(parse('seed', 'running', stdout, { exitCode })).toEqual(bad(stdout, code, { exitCode }));
  });

  it.each([
    ['xmount error', 'a line must begin with it'],
    ['the mount error', 'a line must begin with it'],
    ['no Invalid option: x', 'a line must begin with it'],
    ['see: Unknown mode: x', 'a line must begin with it'],
    ['x Virsh backup job failed', 'a line must begin with it'],
    ['x Failed to mount nfs store', 'a line must begin with it'],
    ['x qemu-img convert failed', 'a line must begin with it'],
    ['x qemu-img rebase failed', 'a line must begin with it'],
    ['x Failed to recreate parent bitmap', 'a line must begin with it'],
    ['x Parent backup file does not exist on NAS', 'a line must begin with it'],
    ['x Failed to pre-seed bitmap', 'a line must begin with it'],
    ['x Failed to thaw the filesystem', 'a line must begin with it'],
    ['x Failed to resume VM', 'a line must begin with it'],
    ['x Backup cleanup failed', 'a line must begin with it'],
    ['x Failed to delete y', 'a line must begin with it'],
    ['x umount: y', 'a line must begin with it'],
    ['x error: y', 'a line must begin with it'],
    ['mount.nfs: warning', 'it is no error'],
    ['xmount.nfs: access denied', 'a line must begin with it'],
  ])('%j says nothing: %s', (words) => {
    expect(parse('seed', 'running', words, { exitCode: 1 }).code).toBe('script-failed');
  });

  it('the last words are told, those on stderr first', () => {
    expect(parse('seed', 'running', 'z\na\nb', { exitCode: 3 }).warnings).toEqual(['script-failed: exit 3; the last words: b']);
    expect(parse('seed', 'running', 'a', { exitCode: 3, stderr: 'y\nc\nd\n' }).warnings).toEqual([
      'script-failed: exit 3; the last words: d',
    ]);
    expect(parse('seed', 'running', '', { exitCode: 3 }).warnings).toEqual(['silent-failure: exit 3 without a word.']);
  });

  it('the line that says it is told, shortened', () => {
    expect(parse('seed', 'running', `noise\nerror: ${'x'.repeat(300)}`, { exitCode: 1 }).warnings).toEqual([
      `virsh-failed: error: ${'x'.repeat(193)}…`,
    ]);
  });
});

describe('an exit code of 0 is not believed against the rest', () => {
  it.each([
    ['Virsh backup job failed', 'job-failed'],
    ['qemu-img convert failed for /a', 'convert-failed'],
    ['qemu-img rebase failed for /a onto b', 'rebase-failed'],
    ['Failed to recreate parent bitmap x', 'recreate-failed'],
    ['Parent backup file does not exist on NAS: x', 'parent-missing'],
    ['Failed to mount nfs store', 'mount-failed'],
    ['Invalid option: x', 'bad-option'],
    ['Unknown mode: x', 'bad-option'],
    ['PARENT_PATHS list shorter than DISK_PATHS', 'bad-option'],
  ])('%j is no backup', (words, code) => {
    expect(parse('legacy', 'running', `${words}\n${job()}5\n`)).toEqual(bad(`${words}\n${job()}5\n`, code));
    expect(parse('legacy', 'stopped', `${words}\n5\n`)).toMatchObject({ result: false, code, size: null });
    expect(parse('legacy', 'stopped', `5\n`, { stderr: words })).toMatchObject({ result: false, code });
  });

  it.each([
    'mount.nfs: Connection timed out',
    'Failed to thaw the filesystem for vm x',
    'Backup cleanup failed',
    'error: x',
    'Failed to resume VM x',
    'No space left on device',
  ])('but %j alone does not spoil a complete output', (words) => {
    expect(parse('legacy', 'stopped', `${words}\n5\n`)).toMatchObject({ result: true, size: 5 });
  });

  it('a job that libvirt calls failed or cancelled is no backup', () => {
    expect(parse('final', 'running', `${job('Failed')}5\n`)).toEqual(
      bad(`${job('Failed')}5`, 'job-failed', { warnings: ['job-failed: libvirt says that its job failed.'] }),
    );
    expect(parse('final', 'running', `${job('Cancelled')}5\n`)).toEqual(
      bad(`${job('Cancelled')}5`, 'job-cancelled', { warnings: ['job-cancelled: libvirt says that its job was cancelled.'] }),
    );
    expect(parse('final', 'running', `${job('Failed')}${job()}5\n`)).toMatchObject({ result: true, size: 5 });
  });

  it('words about a job are no job block', () =>
    expect(parse('final', 'running', 'see Job type: Failed\n5\n')).toMatchObject({ result: true, warnings: [] }));

  it('a job whose result was forgotten is told', () => {
    expect(parse('final', 'running', `${job('None')}5\n`)).toMatchObject({
      result: true,
      warnings: ['job-unconfirmed: libvirt called the job None when it was asked again.'],
    });
  });

  it('without a size the words say why', () => {
    expect(parse('legacy', 'stopped', 'mount.nfs: access denied by server')).toMatchObject({
      result: false,
      code: 'mount-failed',
    });
    expect(parse('legacy', 'stopped', '', { stderr: 'error: x' })).toMatchObject({ result: false, code: 'virsh-failed' });
    expect(parse('legacy', 'stopped', 'error: y\n5\nx')).toMatchObject({ result: false, code: 'size-interrupted' });
  });
});

describe('facts', () => {
  const facts = (parts: Record<string, unknown> = {}): string =>
    `FACTS=${JSON.stringify({
      v: 1,
      script: '1.0.0',
      dialect: 'seed',
      host: {},
      vm: {},
      asked: { mode: 'incremental', bitmapNew: 'backup-1777300200', bitmapParent: 'backup-1777297500' },
      done: { mode: 'incremental', bitmapNew: 'backup-1777300200' },
      disks: [],
      cleanup: { ok: true, left: [] },
      timings: {},
      ...parts,
    })}\n`;
  const done = (parts: Record<string, unknown>): Record<string, unknown> => ({
    done: { mode: 'incremental', bitmapNew: 'backup-1777300200', ...parts },
  });
  const seed = (parts?: Record<string, unknown>): string => `${job()}${facts(parts)}${SIZE}\n${CREATED}`;
  const final = (parts?: Record<string, unknown>): string => `${job()}${facts(parts)}${SIZE}\n`;

  it('of a VM that has stopped, or was started, since somebody looked: our script tells which way it went', () => {
    const done = (transfer: string | null) => ({ done: { mode: 'full', transfer, bitmapNew: 'backup-1777300200' } });
    expect(parse('seed', 'running', `${facts(done('offline'))}5\n6\n${CREATED}`, { disks: 2 })).toMatchObject({
      ...{ result: true, size: 11, runPath: 'stopped', warnings: [] },
    });
    expect(parse('seed', 'stopped', `${job()}${facts(done('pull'))}${SIZE}\n${CREATED}`, { disks: 2 })).toMatchObject({
      ...{ result: true, size: SIZE, runPath: 'running', warnings: [] },
    });
    expect(parse('seed', 'stopped', `${facts(done(null))}5\n6\n${CREATED}`, { disks: 2 })).toMatchObject({
      size: 11,
      runPath: 'stopped',
    });
  });

  it('are read, and are no part of the size', () => {
    expect(parse('seed', 'running', seed())).toMatchObject({
      result: true,
      size: SIZE,
      bitmapCreated: 'backup-1777300200',
      warnings: [],
      facts: { v: 1, script: '1.0.0', done: { mode: 'incremental' } },
    });
    expect(parse('seed', 'stopped', `5\n${facts()}6\n`)).toMatchObject({ size: 11 });
  });

  it('that cannot be read are told, and change nothing else', () => {
    expect(parse('seed', 'running', `FACTS={"v":1\n${SEED_RUNNING}`)).toMatchObject({
      result: true,
      size: SIZE,
      bitmapCreated: 'backup-1777300200',
      facts: null,
      warnings: [expect.stringMatching(/^facts-unreadable: \$: not JSON: /)],
    });
    expect(parse('seed', 'running', seed({ disks: [{ target: 1 }], odd: 1 }))).toMatchObject({
      facts: null,
      warnings: ['facts: $.odd: unknown field', 'facts-unreadable: $.disks[0].target: must be a text, not 1'],
    });
  });

  it('confirm the bitmap in the final dialect', () => {
    const asked = { bitmapRequested: 'backup-7' };
    expect(parse('final', 'running', final(), asked)).toMatchObject({
      bitmapCreated: 'backup-1777300200',
      bitmapClaimed: null,
      warnings: ['bitmap-unexpected: backup-1777300200 was made, backup-7 was asked for'],
    });
    expect(parse('final', 'running', final(done({ bitmapNew: null })), asked)).toMatchObject({
      bitmapCreated: null,
      bitmapClaimed: null,
      warnings: [],
    });
    expect(parse('legacy', 'running', final())).toMatchObject({ bitmapCreated: 'backup-1777300200' });
  });

  it('and a marker that disagree confirm nothing', () => {
    expect(parse('seed', 'running', seed(done({ bitmapNew: 'backup-9' })))).toMatchObject({
      result: true,
      bitmapCreated: null,
      warnings: ['bitmap-contradiction: the marker says backup-1777300200, the facts say backup-9'],
    });
    expect(parse('seed', 'running', final())).toMatchObject({
      bitmapCreated: null,
      warnings: ['bitmap-contradiction: the marker says none, the facts say backup-1777300200'],
    });
  });

  it('that name no bitmap leave the marker standing, with a warning', () => {
    expect(parse('seed', 'running', seed(done({ bitmapNew: null })))).toMatchObject({
      bitmapCreated: 'backup-1777300200',
      warnings: ['bitmap-contradiction: the marker says backup-1777300200, the facts say none'],
    });
    expect(parse('seed', 'running', seed({ done: null })).warnings).toEqual(['facts: $.done: unknown']);
  });

  it('tell of a recreation that the final dialect has no marker for', () => {
    expect(parse('final', 'running', final(done({ recreateMethod: 'redefined' }))).bitmapRecreated).toBe('backup-1777297500');
    expect(parse('final', 'running', final()).bitmapRecreated).toBeNull();
    expect(
      parse('seed', 'running', `BITMAP_RECREATED=backup-5\n${seed(done({ recreateMethod: 'rescued' }))}`).bitmapRecreated,
    ).toBe('backup-5');
  });

  it.each([
    ['incremental', 'full', true],
    ['incremental', 'legacy-full', true],
    ['incremental', 'incremental', false],
    ['incremental', 'none', false],
    ['full', 'full', false],
    ['legacy-full', 'legacy-full', false],
  ])('asked for %s, done %s: fallback %s', (mode, did, fallback) => {
    const parts = { asked: { mode }, ...done({ mode: did }) };
    expect(parse('seed', 'running', seed(parts)).incrementalFallback).toBe(fallback);
  });

  it('tell of a mount that was left behind by a good backup', () => {
    expect(parse('seed', 'running', seed({ cleanup: { ok: false, left: ['mount /x'] } }))).toMatchObject({
      result: true,
      needsCleanup: true,
    });
  });

  it('say why it failed, before anything else', () => {
    const error = { code: 'disks-mismatch', message: 'The machine has 2 disks, --disks names 1' };
    const stdout = `error: x\n${facts({ error, cleanup: { ok: false, left: ['x'] } })}`;
    expect(parse('seed', 'running', stdout, { exitCode: 1 })).toMatchObject({
      result: false,
      code: 'disks-mismatch',
      needsCleanup: true,
      warnings: ['disks-mismatch: The machine has 2 disks, --disks names 1'],
      facts: { error },
    });
    expect(parse('seed', 'running', seed({ error }))).toMatchObject({
      result: false,
      code: 'disks-mismatch',
      bitmapCreated: null,
    });
    expect(parse('seed', 'running', seed({ error }), { exitCode: 32 })).toMatchObject({ result: false, code: 'disks-mismatch' });
  });

  it.each([
    ['failed', 'job-failed'],
    ['cancelled', 'job-cancelled'],
  ])('that call the job %s are believed before the job block', (result, code) => {
    expect(parse('seed', 'running', seed({ job: { result } }))).toMatchObject({ result: false, code });
  });

  it('that call the job completed too', () => {
    expect(parse('seed', 'running', `${job('Failed')}${facts({ job: { result: 'completed' } })}5\n${CREATED}`)).toMatchObject({
      result: true,
    });
  });
});
