import type { HostFinding } from './host-finding';
import { judgeRepository, type LookedRepository } from './judge-repository';
import type { CheckFacts, TriedRepository } from './read-check';

const TRIED: TriedRepository = {
  type: 'nfs4',
  data: true,
  direct: true,
  rename: true,
  sync: true,
  directories: true,
  sparse: true,
  largestFile: 8 * 1024 ** 4,
  writes: 16,
  medianUs: 1_234,
  worstUs: 56_789,
  gone: true,
};

const seen = (tried: Partial<TriedRepository> | null, over: Partial<CheckFacts> = {}): LookedRepository => ({
  name: 'nas 1',
  type: 'nfs',
  address: 'nas:/x',
  advice: [],
  look: {
    facts: {
      script: '1.0.0',
      host: { name: 'kvm1', bootId: 'b', libvirt: '9.0.0', qemu: '7.2.22' },
      time: '2026-04-27T10:00:00.000Z',
      maxSessions: 10,
      space: { total: 1000, free: 500 },
      repository: tried && { ...TRIED, ...tried },
      apparmor: null,
      problems: [],
      ...over,
    },
  },
});
const problem = (code: string): Partial<CheckFacts> => ({ problems: [{ code, message: 'so it is' }] });
const judge = (repository: LookedRepository): HostFinding[] => judgeRepository(repository, 'kvm1', []);
const bad = (found: readonly HostFinding[]): string[] =>
  found.flatMap(({ code, severity }) => (severity === 'ok' ? [] : [`${severity} ${code}`]));

describe('judging a repository', () => {
  it('says of a good one what was tried, with figures', () => {
    const found = judge(seen({}));
    expect(bad(found)).toEqual([]);
    expect(found.map(({ code, what }) => `${code}: ${what}`)).toEqual([
      'space: 500 of 1000 bytes are free',
      'read-back: 1 MiB came back as it was written, past the host’s cache; file system nfs4',
      'names: it renames, keeps (fsync), makes and removes',
      'gone: what was written is gone again',
      'files: holes take no room; a file may have 8192 GiB at least',
      'latency: 4 KiB are kept in 1.2 ms, at worst in 57 ms (16 writes)',
    ]);
  });

  it.each([
    ['warning nas-nearly-full', seen({}, { space: { total: 1000, free: 49 } })],
    ['warning nas-slow', seen({ medianUs: 100_000 })],
    ['warning nas-slow', seen({ worstUs: 2_000_000 })],
    ['warning nas-not-sparse', seen({ sparse: false, largestFile: null })],
    ['warning nas-small-files', seen({ largestFile: 256 * 1024 ** 3 })],
    ['error nas-small-files', seen({ largestFile: 4 * 1024 ** 3 })],
    ['error nas-corrupts', seen({ data: false }, problem('nas-corrupts'))],
    ['error nas-full', seen({ data: false }, problem('nas-full'))],
    ['error nas-hung', seen({ data: null }, problem('nas-hung'))],
    ['warning left-behind', seen({ gone: false }, problem('left-behind'))],
  ])('finds %s', (code, repository) => {
    const found = judge(repository).filter(({ severity }) => severity !== 'ok');
    expect(bad(found)).toEqual([code]);
    expect(found[0]?.why).toMatch(/\.$/);
  });

  it('says nothing good of what was not tried, and was not found good', () => {
    const nothing = Object.fromEntries(Object.keys(TRIED).map((key) => [key, null])) as unknown as TriedRepository;
    expect(judge(seen(nothing, { space: null }))).toEqual([]);
    expect(judge(seen(null)).map(({ code }) => code)).toEqual(['space']);
    const codes = judge(seen({ data: false, rename: false, gone: false, largestFile: null })).map(({ code }) => code);
    expect(codes).toEqual(['space', 'files', 'latency']);
    expect(judge(seen({ direct: false }))[1]?.what).toContain('the host’s cache may have answered');
  });

  it.each([
    ["chainkeeper repo change 'nas 1' --transfer pull", seen({ medianUs: 100_000 })],
    ["chainkeeper host sweep 'kvm1'", seen({}, problem('left-behind'))],
    ["chmod o+x '/a b'", { ...seen({}, problem('nas-not-reachable')), type: 'dir', address: '/a b' }],
    [
      `mount -o remount,rw "$(findmnt -n -o TARGET -T '/a')"`,
      { ...seen({}, problem('nas-read-only')), type: 'dir', address: '/a' },
    ],
    ['mount --make-rshared /', seen({}, problem('mount-private'))],
    [null, seen({}, problem('nas-not-reachable'))],
  ])('tells a command that can be pasted: %s', (command, repository) => {
    expect(judge(repository).filter(({ severity }) => severity !== 'ok')).toMatchObject([{ command }]);
  });

  it('tells of mount options whether the NAS answers or not, and leaves to the host what is the host’s', () => {
    const advice = [
      { option: 'soft', severity: 'warning', why: 'It hurts.' },
      { option: 'noexec', severity: 'ok', why: 'It is fine.' },
    ] as const;
    const failed = { code: 'host.script-failed', message: 'no', next: null };
    expect(bad(judge({ ...seen({}), advice, look: { failed } }))).toEqual(['error host.script-failed', 'warning mount-option']);
    expect(judge({ ...seen({}), advice }).slice(-2)).toMatchObject([
      { what: 'mount option soft', command: "chainkeeper repo change 'nas 1' --mount-options-file FILE" },
      { what: 'mount option noexec', severity: 'ok', command: null },
    ]);
    const same = problem('mount-private');
    expect(bad(judgeRepository(seen({}, same), 'kvm1', same.problems ?? []))).toEqual([]);
  });
});
