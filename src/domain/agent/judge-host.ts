import { judgeAppArmor } from './apparmor';
import { errorPolicyRisk } from './error-policy';
import type { InspectFacts } from './facts';
import { fromProblem, type HostFinding, type Looked, ok, unanswered } from './host-finding';
import { judgeRepository, type LookedRepository } from './judge-repository';
import { quote } from './quote';
import type { CheckFacts } from './read-check';
import type { SweptItem } from './read-sweep';

/** What was looked at. */
export interface HostLook {
  readonly host: string;
  /** Who logs in there. */
  readonly user: string;
  /** Checksum of the script that belongs to this release, and of the one that lies there. */
  readonly script: { readonly ours: string; readonly there: string | null };
  readonly shellMs: number;
  /** Milliseconds by which the host's clock is ahead of ours. */
  readonly clockMs: number;
  readonly check: CheckFacts;
  readonly repositories: readonly LookedRepository[];
  readonly vms: readonly { readonly name: string; readonly look: Looked<InspectFacts> }[];
  /** Null: it is not for us to sweep there. */
  readonly leftovers: readonly SweptItem[] | null;
}

const SLOW_SHELL_MS = 100;
const CLOCK_MS = 5_000;
/** Channels that one connection uses at once. */
const CHANNELS = 4;

/** Judges a host by what was seen of it: what is good, what is not, why it matters and what mends it. */
export function judgeHost(look: HostLook): HostFinding[] {
  return [
    ...judgeScript(look),
    ...judgeAccess(look),
    ...judgeConfinement(look),
    ...look.check.problems.map((problem) => fromProblem(look.host, problem)),
    ...look.repositories.flatMap((repository) => sumUp(judgeRepository(repository, look.host, look.check.problems))),
    ...look.vms.flatMap(({ name, look: looked }) => ('facts' in looked ? judgeVm(name, looked.facts) : [unanswered(name, looked.failed)])),
    ...judgeLeftovers(look),
  ]; // prettier-ignore
}

function judgeScript({ host, script, check }: HostLook): HostFinding[] {
  const versions = ok('versions', host, `libvirt ${check.host.libvirt}, QEMU ${check.host.qemu}, host script ${check.script}`);
  if (script.there === script.ours) return [versions, ok('script', host, 'the host script is the one of this release')];
  const what =
    script.there === null
      ? 'the checksum of the host script could not be read'
      : 'the host script is not the one of this release';
  const why = 'What this release counts on may be missing in it, or somebody has changed it.';
  return [
    versions,
    { code: 'script-differs', severity: 'warning', subject: host, what, why, command: `chainkeeper host install ${host}` },
  ];
}

function judgeAccess({ host, user, shellMs, clockMs, check: { maxSessions } }: HostLook): HostFinding[] {
  const seconds = Math.round(Math.abs(clockMs) / 1000);
  const clock: HostFinding =
    Math.abs(clockMs) < CLOCK_MS
      ? ok('clock', host, 'its clock agrees with ours')
      : { code: 'clock-skew', severity: 'warning', subject: host, what: `its clock is ${seconds} s ${clockMs > 0 ? 'ahead of' : 'behind'} ours`, why: 'Times of restarts and backups cannot be laid beside each other.', command: 'timedatectl set-ntp true' }; // prettier-ignore
  const shell: HostFinding =
    shellMs < SLOW_SHELL_MS
      ? ok('shell', host, `a command takes ${shellMs} ms`)
      : { code: 'slow-shell', severity: 'warning', subject: host, what: `a command that does nothing takes ${shellMs} ms`, why: 'Every question to the host costs that much; a heavy login shell or what its profile does is the usual cause.', command: user === 'root' ? null : `usermod -s /bin/sh ${quote(user)}` }; // prettier-ignore
  if (maxSessions === null || maxSessions >= CHANNELS) return [clock, shell];
  return [
    clock,
    shell,
    { code: 'max-sessions', severity: 'warning', subject: host, what: `sshd allows ${maxSessions} sessions on a connection`, why: `A connection uses up to ${CHANNELS} at once; the rest is refused and tried again.`, command: "echo 'MaxSessions 10' >/etc/ssh/sshd_config.d/00-chainkeeper.conf && { systemctl reload ssh || systemctl reload sshd; }" }, // prettier-ignore
  ];
}

/** Nothing in the rules of libvirt's packages lets QEMU write where a backup goes. */
function judgeConfinement({ host, check: { apparmor } }: HostLook): HostFinding[] {
  if (apparmor === null) return [];
  if (apparmor.state !== 'confining') {
    const what =
      apparmor.state === 'disabled' ? 'AppArmor is not active' : 'AppArmor is active, and libvirt leaves its machines alone';
    return [ok('apparmor', host, what)];
  }
  const { closed, file } = judgeAppArmor(apparmor);
  if (closed.length === 0) return [ok('apparmor', host, `AppArmor lets QEMU write below ${apparmor.writes.join(' and ')}`)];
  const running = apparmor.profiles.length;
  const complaining = apparmor.profiles.filter((profile) => profile.endsWith('(complain)')).length;
  const place = `/etc/apparmor.d/${file}`;
  const rules = closed.map((directory) => quote(`${directory.replace(/X{4,}$/, '*')}/** rwk,`)).join(' ');
  const folder = file.endsWith('/chainkeeper') ? `mkdir -p ${place.slice(0, place.lastIndexOf('/'))} && ` : '';
  // What runs keeps the rules that it started with.
  const reload = "find /etc/apparmor.d/libvirt -name 'libvirt-*' ! -name '*.files' -exec apparmor_parser -r {} +";
  return [
    {
      code: 'apparmor',
      severity: 'warning',
      subject: host,
      what: `no rule of AppArmor lets QEMU write below ${closed.join(' or ')} (${running} machines run confined${complaining > 0 ? `, ${complaining} of them only complain` : ''})`,
      why: 'Where libvirt does not add the files of a backup to a machine’s profile by itself, every backup of a running VM fails: Permission denied.',
      command: `${folder}printf '%s\\n' ${rules} >>${place} && ${reload}`,
    },
  ];
}

/** Of a repository in which all is well one line is enough. */
function sumUp(findings: readonly HostFinding[]): HostFinding[] {
  const bad = findings.filter(({ severity }) => severity !== 'ok');
  if (bad.length > 0) return bad;
  const latency = findings.find(({ code }) => code === 'latency')?.what;
  const subject = findings[0]?.subject ?? '';
  return [
    ok('repository', subject, `it mounts, has room, and does what is asked of it${latency === undefined ? '' : `; ${latency}`}`),
  ];
}

function judgeVm(name: string, { disks, problems }: InspectFacts): HostFinding[] {
  const images = disks.flatMap(({ target, path, format, compat }): HostFinding[] => {
    const why = 'It cannot hold a dirty bitmap, so every backup of this VM is a full.';
    if (format === 'qcow2' && compat === '0.10')
      return [{ code: 'qcow2-v2', severity: 'warning', subject: name, what: `disk ${target} is a qcow2 of version 2`, why: `${why} It can be raised while the VM is stopped.`, command: path && `qemu-img amend -f qcow2 -o compat=1.1 ${quote(path)}` }]; // prettier-ignore
    if (format === 'raw')
      return [{ code: 'raw-disk', severity: 'warning', subject: name, what: `disk ${target} is raw`, why, command: null }];
    return [];
  });
  const policies = disks.flatMap((disk): HostFinding[] => {
    const risk = errorPolicyRisk(disk);
    if (risk === null) return [];
    return [{ code: 'error-policy', severity: 'warning', subject: name, what: `disk ${disk.target} has ${risk}`, why: "A backup that finds no room for what the guest overwrites then hurts the guest. Give the disk error_policy='stop' in its <driver> and start the VM anew.", command: null }]; // prettier-ignore
  });
  // The host's own problems come with every VM, and were said once.
  const own = problems.filter(({ code }) => !['version-too-old', 'mount-private'].includes(code));
  return [...images, ...policies, ...own.map((problem) => fromProblem(name, problem))];
}

function judgeLeftovers({ host, leftovers }: HostLook): HostFinding[] {
  if (leftovers === null) return [];
  const ours = leftovers.filter(({ code }) => code !== 'stranger');
  if (ours.length === 0) return [ok('leftovers', host, 'nothing was left behind')];
  const what = ours.map(({ code, subject }) => `${code} ${subject}`).join(', ');
  return [{ code: 'leftovers', severity: 'warning', subject: host, what, why: 'Killed runs left it; it takes room or holds a guest.', command: `chainkeeper host sweep ${host}` }]; // prettier-ignore
}
