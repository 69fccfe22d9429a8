import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { HostAccess } from '../../src/hosts/host-access';
import type { LabDisk, LabHost } from '../../src/hosts/fake/lab-host';

const NEEDS: Readonly<Record<string, string>> = {
  virsh: 'libvirt-clients',
  libvirtd: 'libvirt-daemon libvirt-daemon-system',
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  sshd: 'openssh-server',
  sudo: 'sudo',
  jq: 'jq',
};
const SBIN = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/sbin', '/usr/local/bin'];

/** Where `lab.sh` lies: beside this file, or in the sources when this one was compiled into dist/. */
function labScript(): string {
  for (let folder = __dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, 'test/lab/lab.sh');
    if (existsSync(file)) return file;
  }
  throw new Error(`there is no test/lab/lab.sh above ${__dirname}`);
}

/** @throws with the exact command that brings in what is missing. */
export function assertLabPossible(): void {
  if (process.getuid?.() !== 0) throw new Error('The lab needs root: it starts libvirt, QEMU and an sshd of its own.');
  const missing = Object.entries(NEEDS).filter(([program]) => !SBIN.some((folder) => existsSync(join(folder, program))));
  if (missing.length === 0) return;
  const packages = missing.map(([, name]) => name).join(' ');
  throw new Error(
    `Missing on this machine: ${missing.map(([program]) => program).join(', ')}. ` +
      `Run: apt-get update && apt-get install -y --no-install-recommends ${packages}`,
  );
}

interface SshdUp {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly privateKey: string;
  readonly fingerprint: string;
  readonly script: string;
}

/** The real lab of this machine: `lab.sh` in TypeScript's words. See README.md for what it does. */
export class RealLab implements LabHost {
  readonly kind = 'real';

  /** @param folder the lab's own, where QEMU's user can reach it. @param user the SSH user it makes. */
  constructor(
    readonly folder: string,
    readonly user: string,
  ) {}

  async up(): Promise<void> {
    assertLabPossible();
    await this.verb('up');
  }

  async down(): Promise<void> {
    await this.verb('down');
  }

  async access(): Promise<HostAccess> {
    return this.accessOf(this.user);
  }

  /** A further user with an sshd of its own: as good as a further host. */
  async accessOf(user: string): Promise<HostAccess> {
    const up = JSON.parse(await this.verb('sshd-up', user)) as SshdUp;
    return {
      id: up.user,
      name: up.user,
      address: up.host,
      port: up.port,
      user: up.user,
      privateKeyFile: up.privateKey,
      agentSocket: null,
      fingerprint: up.fingerprint,
      knownHostsFile: null,
      scriptPath: up.script,
      stock: null,
      dialect: 'seed',
    };
  }

  async vmCreate(vm: string, disks: readonly { readonly target: string; readonly size: number }[]): Promise<void> {
    await this.verb('vm-create', vm, ...disks.map(({ target, size }) => `${target}:${size}`));
  }
  async vmRemove(vm: string): Promise<void> {
    await this.verb('vm-remove', vm);
  }
  async vmDisks(vm: string): Promise<LabDisk[]> {
    const rows = lines(await this.verb('vm-disks', vm)).map((line) => line.split('\t'));
    return rows.map(([target = '', path = '', size = '']) => ({ target, path, size: Number(size) }));
  }
  async vmStart(vm: string): Promise<void> {
    await this.verb('vm-start', vm);
  }
  async vmStop(vm: string): Promise<void> {
    await this.verb('vm-stop', vm);
  }
  async vmCrash(vm: string): Promise<void> {
    await this.verb('vm-crash', vm);
  }
  async vmPause(vm: string): Promise<void> {
    await this.verb('vm-pause', vm);
  }
  async vmResume(vm: string): Promise<void> {
    await this.verb('vm-resume', vm);
  }
  async diskAdd(vm: string, target: string, size: number): Promise<void> {
    await this.verb('disk-add', vm, target, `${size}`);
  }
  async diskResize(vm: string, target: string, size: number): Promise<void> {
    await this.verb('disk-resize', vm, target, `${size}`);
  }

  async write(vm: string, target: string, pattern: number, offset: number, length: number): Promise<void> {
    const value = `0x${(pattern & 0xff).toString(16).padStart(2, '0')}`;
    await this.verb('write', vm, target, value, `${offset}`, `${length}`);
  }
  async zero(vm: string, target: string, offset: number, length: number): Promise<void> {
    await this.verb('zero', vm, target, `${offset}`, `${length}`);
  }
  async discard(vm: string, target: string, offset: number, length: number): Promise<void> {
    await this.verb('discard', vm, target, `${offset}`, `${length}`);
  }
  async bitmapRemove(vm: string, target: string, bitmap: string): Promise<void> {
    await this.verb('bitmap-remove', vm, target, bitmap);
  }
  async bitmaps(vm: string, target: string): Promise<string[]> {
    const rows = lines(await this.verb('bitmaps', vm)).map((line) => line.split('\t'));
    return rows.flatMap(([of, name]) => (of === target && name ? [name] : [])).sort();
  }

  async moment(vm: string, label: string): Promise<void> {
    await this.verb('moment', vm, label);
  }
  async same(vm: string, label: string, target: string, file: string): Promise<boolean> {
    const { code, out, err } = await this.run('same', vm, label, target, file);
    if (code !== 0 && out === '') throw new Error(`lab same: ${err.trim()}`);
    return code === 0;
  }

  async domainRemove(name: string): Promise<void> {
    await this.verb('domain-remove', name);
  }

  async nas(name: string): Promise<string> {
    const path = this.nasFile(name, '');
    await mkdir(path, { recursive: true, mode: 0o755 });
    return path;
  }
  async nasSmall(name: string, mebibytes: number): Promise<string> {
    return (await this.verb('nas-small', `${mebibytes}`, name)).trim();
  }
  nasFile(name: string, path: string): string {
    return join(this.folder, 'nas', name, path);
  }
  read(file: string): Promise<Buffer> {
    return readFile(file);
  }
  async put(file: string, content: string): Promise<void> {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
  }
  async takeAway(file: string): Promise<void> {
    await rm(file, { recursive: true });
  }
  async flip(file: string): Promise<void> {
    const handle = await open(file, 'r+');
    try {
      // Tables come before the data; what is altered in these qemu-img check may see.
      const at = (await handle.stat()).size - 4096;
      const byte = Buffer.alloc(1);
      await handle.read(byte, 0, 1, at);
      await handle.write(Buffer.from([byte.readUInt8() ^ 1]), 0, 1, at);
    } finally {
      await handle.close();
    }
  }
  async leaks(allowedCheckpoints: readonly string[]): Promise<string[]> {
    const { code, out, err } = await this.run('leaks', ...allowedCheckpoints);
    if (code !== 0 && out === '') throw new Error(`lab leaks: ${err.trim()}`);
    return lines(out);
  }
  async dropConnections(): Promise<void> {
    await this.verb('sshd-drop', this.user);
  }

  /** Any verb of `lab.sh`; answers its stdout. @throws with its stderr. */
  async verb(name: string, ...args: string[]): Promise<string> {
    const { code, out, err } = await this.run(name, ...args);
    if (code !== 0) throw new Error(`lab ${[name, ...args].join(' ')}: ${err.trim() || out.trim() || `exit ${code}`}`);
    return out;
  }

  private run(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
    return new Promise((resolve, reject) => {
      // The owner lets any later lab clean this one away, should this process be killed.
      const env = { ...process.env, LAB_DIR: this.folder, LAB_OWNER: `${process.pid}` };
      // Ctrl-C in a terminal is for us: a verb that is cut short, `down` above all, leaves half of it behind.
      const child = spawn(labScript(), args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
      child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }));
    });
  }
}

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
