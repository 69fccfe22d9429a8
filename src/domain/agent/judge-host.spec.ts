import { disk, inspect } from '../../../test/unit/chain/situation';
import type { HostFinding } from './host-finding';
import { type HostLook, judgeHost } from './judge-host';
import type { LookedRepository } from './judge-repository';
import type { CheckFacts } from './read-check';

const check = (over: Partial<CheckFacts> = {}): CheckFacts => ({
  script: '1.0.0',
  host: { name: 'kvm1', bootId: 'b', libvirt: '9.0.0', qemu: '7.2.22' },
  time: '2026-04-27T10:00:00.000Z',
  maxSessions: 10,
  space: null,
  repository: null,
  apparmor: { state: 'disabled', profiles: [], writes: [], files: [] },
  problems: [],
  ...over,
});
const reached = (over: Partial<CheckFacts> = {}): CheckFacts => check({ space: { total: 1000, free: 500 }, ...over });
const nas1 = (seen: LookedRepository['look']): LookedRepository => ({
  name: 'nas1',
  type: 'dir',
  address: '/nas',
  advice: [],
  look: seen,
});
const look = (over: Partial<HostLook> = {}): HostLook => ({
  host: 'kvm1',
  user: 'backup',
  script: { ours: 'a', there: 'a' },
  shellMs: 4,
  clockMs: 20,
  check: check(),
  repositories: [nas1({ facts: reached() })],
  vms: [{ name: 'vm1', look: { facts: inspect() } }],
  leftovers: [],
  ...over,
});
const nas = (facts: CheckFacts): Partial<HostLook> => ({ repositories: [nas1({ facts })] });
const vm = (over: Parameters<typeof disk>[1]): Partial<HostLook> => ({
  vms: [{ name: 'vm1', look: { facts: inspect({ disks: [disk('vda'), disk('vdb', over)] }) } }],
});
const bad = (found: readonly HostFinding[]): string[] => found.flatMap(({ code, severity }) => (severity === 'ok' ? [] : [code]));
const confining = (own: string): CheckFacts['apparmor'] => ({
  state: 'confining',
  profiles: ['libvirt-0a1b2c3d-0000-4000-8000-000000000001 (enforce)', 'libvirt-0a1b2c3d-0000-4000-8000-000000000002 (complain)'],
  writes: ['/tmp/csbackup.XXXXX', '/var/lib/chainkeeper-scratch'],
  files: [
    { path: 'abstractions/libvirt-qemu', text: '  /dev/kvm rw,\n  include if exists <abstractions/libvirt-qemu.d>\n' },
    { path: 'abstractions/libvirt-qemu.d/chainkeeper', text: own },
  ],
});
const problem = (code: string): { problems: CheckFacts['problems'] } => ({ problems: [{ code, message: 'so it is' }] });

describe('judging a host', () => {
  it('says of a good one what was looked at, and nothing else', () => {
    const found = judgeHost(look());
    expect(bad(found)).toEqual([]);
    expect(found.map(({ code }) => code)).toEqual([
      'versions',
      'script',
      'clock',
      'shell',
      'apparmor',
      'repository',
      'leftovers',
    ]);
  });

  it.each<[string, string, Partial<HostLook>]>([
    ['script-differs', 'warning', { script: { ours: 'a', there: 'b' } }],
    ['script-differs', 'warning', { script: { ours: 'a', there: null } }],
    ['clock-skew', 'warning', { clockMs: 3_600_000 }],
    ['clock-skew', 'warning', { clockMs: -5_000 }],
    ['slow-shell', 'warning', { shellMs: 150 }],
    ['max-sessions', 'warning', { check: check({ maxSessions: 2 }) }],
    ['version-too-old', 'error', { check: check(problem('version-too-old')) }],
    ['mount-private', 'error', { check: check(problem('mount-private')) }],
    ['apparmor', 'warning', { check: check({ apparmor: confining('') }) }],
    ['something-new', 'warning', { check: check(problem('something-new')) }],
    ['nas-not-reachable', 'error', nas(reached(problem('nas-not-reachable')))],
    ['nas-not-writable', 'error', nas(reached(problem('nas-not-writable')))],
    ['nas-nearly-full', 'warning', nas(reached({ space: { total: 1000, free: 49 } }))],
    [
      'host.script-failed',
      'error',
      { repositories: [nas1({ failed: { code: 'host.script-failed', message: 'no', next: null } })] },
    ],
    ['qcow2-v2', 'warning', vm({ compat: '0.10' })],
    ['raw-disk', 'warning', vm({ format: 'raw', compat: null })],
    ['error-policy', 'warning', vm({ errorPolicy: 'report' })],
    ['error-policy', 'warning', vm({ errorPolicy: 'ignore' })],
    ['leftovers', 'warning', { leftovers: [{ code: 'mount', subject: '/tmp/x', action: 'would-be-removed', text: '' }] }],
  ])('finds %s (%s)', (code, severity, over) => {
    const found = judgeHost(look(over));
    expect(bad(found)).toEqual([code]);
    expect(found.find((finding) => finding.code === code)).toMatchObject({ severity, why: expect.stringMatching(/\.$/) });
  });

  it('tells where AppArmor closes, and a command after which it does not', () => {
    const appArmor = (facts: CheckFacts['apparmor']): HostFinding | undefined =>
      judgeHost(look({ check: check({ apparmor: facts }) })).find(({ code }) => code === 'apparmor');
    const closed = appArmor(confining('/tmp/csbackup.*/** rwk,'));
    expect(closed?.what).toBe(
      'no rule of AppArmor lets QEMU write below /var/lib/chainkeeper-scratch (2 machines run confined, 1 of them only complain)',
    );
    expect(closed?.command).toBe(
      "mkdir -p /etc/apparmor.d/abstractions/libvirt-qemu.d && printf '%s\\n' '/var/lib/chainkeeper-scratch/** rwk,' " +
        '>>/etc/apparmor.d/abstractions/libvirt-qemu.d/chainkeeper && ' +
        "find /etc/apparmor.d/libvirt -name 'libvirt-*' ! -name '*.files' -exec apparmor_parser -r {} +",
    );
    const both = appArmor(confining(''))?.command ?? '';
    const told = [...both.matchAll(/'([^']+ rwk,)'/g)].map(([, rule]) => rule).join('\n');
    expect(appArmor(confining(told))).toMatchObject({ severity: 'ok', command: null });
    expect(appArmor({ ...(confining('') as NonNullable<CheckFacts['apparmor']>), state: 'unused' })).toMatchObject({
      severity: 'ok',
    });
    expect(appArmor(null)).toBeUndefined();
  });

  it.each<[string, Partial<HostLook>]>([
    ["usermod -s /bin/sh 'backup'", { shellMs: 150 }],
    ["qemu-img amend -f qcow2 -o compat=1.1 '/images/a b.qcow2'", vm({ compat: '0.10', path: '/images/a b.qcow2' })],
    [
      "echo 'MaxSessions 10' >/etc/ssh/sshd_config.d/00-chainkeeper.conf && { systemctl reload ssh || systemctl reload sshd; }",
      { check: check({ maxSessions: 2 }) },
    ],
  ])('tells a command that can be pasted: %s', (command, over) => {
    expect(judgeHost(look(over)).filter(({ severity }) => severity !== 'ok')).toMatchObject([{ command }]);
  });

  it('says in words what no command mends', () => {
    const failed = { code: 'host.stock', message: 'no', next: 'Put our script beside it.' };
    const over: Partial<HostLook>[] = [
      { repositories: [nas1({ failed })] },
      { shellMs: 150, user: 'root' },
      nas(reached(problem('nas-not-writable'))),
      vm({ compat: '0.10', path: null }),
    ];
    const found = over.map((one) => judgeHost(look(one)).find(({ severity }) => severity !== 'ok'));
    expect(found.map((finding) => finding?.command)).toEqual([null, null, null, null]);
    expect(found[0]?.why).toBe('No backup goes through it like this. Put our script beside it.');
  });

  it('says once what the host is like, however many repositories and VMs repeat it', () => {
    const same = problem('mount-private');
    const vms = [{ name: 'vm1', look: { facts: inspect(same) } }];
    expect(bad(judgeHost(look({ check: check(same), ...nas(reached(same)), vms })))).toEqual(['mount-private']);
  });

  it('takes what it does not know for no fault, and a stranger’s mount for no leftover', () => {
    const stranger = { code: 'stranger', subject: '/tmp/csbackup.x', action: 'left', text: '' } as const;
    expect(bad(judgeHost(look({ check: check({ maxSessions: null }), leftovers: [stranger] })))).toEqual([]);
    expect(judgeHost(look({ leftovers: null })).some(({ code }) => code === 'leftovers')).toBe(false);
  });
});
