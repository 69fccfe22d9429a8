// The programs outside npm that the lab host and the tests need, and the Debian packages they come from.
import { existsSync, readFileSync } from 'node:fs';
import { run, say, which } from './run.mjs';

/** program -> [package, what it is for] */
const LAB = {
  virsh: ['libvirt-clients', 'talks to libvirt'],
  libvirtd: ['libvirt-daemon-system libvirt-daemon', 'runs the virtual machines'],
  'qemu-system-x86_64': ['qemu-system-x86', 'is the virtual machine'],
  'qemu-img': ['qemu-utils', 'reads and compares disk images'],
  sshd: ['openssh-server', 'lets the orchestrator in, as on a real host'],
  'ssh-keygen': ['openssh-client', 'makes the key of the lab host'],
  jq: ['jq', 'reads what QEMU says of its disks, in the lab'],
  sudo: ['sudo', 'gives the unprivileged SSH user its one command'],
  flock: ['util-linux', 'locks a VM on its host'],
};
const TESTS = {
  mariadbd: ['mariadb-server', 'is the second database that every persistence test runs on'],
  'redis-server': ['redis-server', 'tells several instances of new runs, in their tests'],
  bats: ['bats', 'tests the host script'],
  shellcheck: ['shellcheck', 'lints the host script'],
  git: ['git', 'shows that the committed files are the generated ones'],
  'mkfs.ext4': ['e2fsprogs', 'makes the small NAS that runs full'],
  sshfs: ['sshfs', 'mounts the NAS that is slow or hangs'],
  gcc: ['gcc libc6-dev', 'compiles the one program of the real guest'],
  cpio: ['cpio', 'packs what that guest starts from'],
  faketime: ['faketime', 'puts the clock of a host an hour off'],
};

const SERVERS = { mariadbd: TESTS.mariadbd, 'redis-server': TESTS['redis-server'] };
const PEER = { virtnbdbackup: ['virtnbdbackup', 'is what the host script is measured against'] };

const NEEDS = {
  check: {},
  quickstart: LAB,
  test: { ...LAB, ...TESTS },
  bench: LAB,
  'bench of the books': SERVERS,
  'bench beside a peer': { ...LAB, ...PEER },
};

/** What is missing for a purpose: a list of `{ program, packages, why }`. */
export function missingParts(purpose) {
  return Object.entries(NEEDS[purpose])
    .filter(([program]) => !which(program))
    .map(([program, [packages, why]]) => ({ program, packages, why }));
}

function isDebian() {
  if (!existsSync('/etc/os-release')) return false;
  return /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'));
}

const canInstall = () => process.getuid?.() === 0 && isDebian() && Boolean(which('apt-get'));

const installCommand = (packages) => `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`;

/** Installs packages with apt-get, or says the command to run. Answers whether they are there. */
export async function installPackages(packages, reason) {
  if (!canInstall()) {
    say(`  ${reason}. Please run, as root on Debian or Ubuntu:\n\n    ${installCommand(packages)}\n`);
    return false;
  }
  say(`  ${reason}: installing ${packages.join(' ')} (about a minute)`);
  const apt = { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  if ((await run('apt-get', ['update', '-qq'], apt)) !== 0) say('  apt-get update failed; trying with the lists that are there');
  // A package's own start script may not start daemons on the user's machine: the lab starts what it needs.
  const code = await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], apt);
  if (code !== 0) say(`  apt-get install failed with ${code}. By hand: ${installCommand(packages)}`);
  return code === 0;
}

/**
 * Brings in what a purpose (`quickstart`, `test` or `bench`) needs from the system.
 * Answers what is still missing afterwards.
 */
export async function ensureSystemParts(purpose) {
  const missing = missingParts(purpose);
  if (missing.length === 0) return [];
  say(`Parts of the system that are missing:`);
  for (const { program, packages, why } of missing) say(`  ${program.padEnd(20)} ${why} (package ${packages})`);
  await installPackages([...new Set(missing.flatMap(({ packages }) => packages.split(' ')))], 'A real KVM host needs them');
  return missingParts(purpose);
}

/** What the lab's real guest is made of. Without it only its own tests fail, and say why. */
export async function ensureGuest() {
  const code = await run('test/lab/lab.sh', ['guest-kit']);
  if (code !== 0) say('  The tests with a real guest will fail, for the reason above. Again: test/lab/lab.sh guest-kit, as root');
}

/** Compilers for the one native module, needed only where no prebuilt binary can be had. */
export const missingCompilers = () => ['python3', 'make', 'g++'].filter((program) => !which(program));
