import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { appendFile, chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RealLab } from '../lab/lab';
import type { BenchResult } from './bench-result';
import { HostScript } from './host-script';
import { onBenchLab } from './on-bench-lab';
import { median, round } from './rounds';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const VM = 'i-2-77-VM';
const DISK = 2048 * MIB;
const DATA = 512;
const CHANGED = 256;

/** One way to take a full and an incremental of the same VM. Each keeps its own checkpoints and takes them away at the end. */
interface Way {
  readonly name: string;
  full(folder: string): Promise<void>;
  incremental(folder: string): Promise<void>;
  end(): Promise<void>;
}

/**
 * The whole host script, with all its looks and checks, against libvirt's bare push job (which checks nothing) and virtnbdbackup: a disk of
 * 2 GiB with 512 MiB of data, then 256 MiB changed; source and target on this machine. Ratios are times: less is better.
 */
export const benchBackup = (quick: boolean): Promise<BenchResult> =>
  onBenchLab(async (lab, folder) => {
    await appendFile(join(lab.folder, 'host/host.conf'), 'reserve_bytes=0\n');
    await lab.vmCreate(VM, [{ target: 'vda', size: DISK }]);
    await lab.vmStart(VM);
    await write(lab, DATA, 0x11);

    const script = new OurScript(lab);
    const ways: Way[] = [script.way('push'), script.way('pull'), bareJob(lab), virtnbdbackup(lab)];
    const full = new Map(ways.map(({ name }) => [name, [] as number[]]));
    const incremental = new Map(ways.map(({ name }) => [name, [] as number[]]));
    const rounds = quick ? 3 : 7;
    for (let turn = 0; turn < rounds; turn += 1) {
      for (let index = 0; index < ways.length; index += 1) {
        const way = ways[(index + turn) % ways.length] as Way;
        const target = lab.nasFile('bench', way.name.replaceAll(' ', '-'));
        mkdirSync(target, { recursive: true });
        full.get(way.name)?.push(await seconds(() => way.full(target)));
        await write(lab, CHANGED, 0x20 + turn);
        incremental.get(way.name)?.push(await seconds(() => way.incremental(target)));
        await way.end();
        rmSync(target, { recursive: true, force: true });
      }
    }
    const rescue = await script.rescue(async () => write(lab, CHANGED, 0x60));
    const time = (of: Map<string, number[]>, name: string): number => median(of.get(name) ?? []);
    const ratio = (of: Map<string, number[]>, a: string, b: string): number => round(time(of, a) / time(of, b));
    return {
      bench: 'backup',
      ratios: {
        incremental_vs_virtnbdbackup: ratio(incremental, 'push', 'virtnbdbackup'),
        pull_incremental_vs_virtnbdbackup: ratio(incremental, 'pull', 'virtnbdbackup'),
        incremental_vs_libvirt_job: ratio(incremental, 'push', 'libvirt job'),
        full_vs_libvirt_job: ratio(full, 'push', 'libvirt job'),
      },
      values: {
        seconds: Object.fromEntries(
          ways.map(({ name }) => [name, { full: round(time(full, name)), incremental: round(time(incremental, name)) }]),
        ),
        rescue_vs_full: rescue,
        phases_ms: script.phases,
      },
      limit: { what: `seconds to write and sync ${CHANGED} MiB where the backups go`, seconds: round(await plainWrite(folder)) },
    };
  });

/** The guest writes so many MiB from the start of its disk. */
async function write(lab: RealLab, mib: number, pattern: number): Promise<void> {
  await lab.verb('write', VM, 'vda', `0x${pattern.toString(16)}`, '0', `${mib}M`);
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

const virsh = (...args: string[]): Promise<string> =>
  run('virsh', ['-q', '-c', 'qemu:///system', ...args]).then(({ stdout }) => stdout);

class OurScript {
  /** Of the newest full and incremental by each way, in ms, as the facts say. */
  readonly phases: Record<string, unknown> = {};
  readonly #script: HostScript;

  constructor(private readonly lab: RealLab) {
    this.#script = new HostScript(lab, VM);
  }

  way(transfer: 'push' | 'pull'): Way {
    return {
      name: transfer,
      full: async (folder) => {
        this.phases[`${transfer} full`] = (await this.#script.full(folder, '--transfer', transfer)).timings;
      },
      incremental: async (folder) => {
        this.phases[`${transfer} incremental`] = (await this.#script.incremental(folder, '--transfer', transfer)).timings;
      },
      end: () => this.#script.release(),
    };
  }

  /** A lost bitmap: compared with the chain, against a full; time and what is written. */
  async rescue(change: () => Promise<void>): Promise<unknown> {
    const script = this.#script;
    const folder = this.lab.nasFile('bench', 'rescue');
    mkdirSync(folder, { recursive: true });
    const full = await seconds(() => script.full(folder));
    const fullBytes = statSync(join(folder, script.file)).blocks * 512;
    await change();
    await virsh('checkpoint-delete', VM, script.bitmap);
    const began = performance.now();
    const { done } = await script.incremental(folder, '--on-lost-bitmap', 'rescue');
    const took = (performance.now() - began) / 1000;
    if (done.recreateMethod !== 'rescued') throw new Error(`the bench's rescue was none: ${JSON.stringify(done)}`);
    const bytes = statSync(join(folder, script.file)).blocks * 512;
    await script.release();
    return { seconds: round(took), full_seconds: round(full), bytes, full_bytes: fullBytes };
  }
}

/** What libvirt does when it is asked for nothing else. */
function bareJob(lab: RealLab): Way {
  const xml = join(lab.folder, 'run/bench.xml');
  const checkpointXml = join(lab.folder, 'run/bench-checkpoint.xml');
  const checkpoints: string[] = [];
  const backup = async (folder: string, parent?: string): Promise<void> => {
    const name = `bare-${checkpoints.length}`;
    const from = parent === undefined ? '' : `<incremental>${parent}</incremental>`;
    const target = join(folder, `${name}.qcow2`);
    const disk = `<disk name='vda' type='file'><target file='${target}'/><driver type='qcow2'/></disk>`;
    writeFileSync(xml, `<domainbackup>${from}<disks>${disk}</disks></domainbackup>`);
    writeFileSync(checkpointXml, `<domaincheckpoint><name>${name}</name></domaincheckpoint>`);
    await virsh('backup-begin', VM, xml, checkpointXml);
    while (!(await virsh('domjobinfo', VM)).includes('None')) await new Promise((go) => setTimeout(go, 50));
    if (!existsSync(target)) throw new Error('the bare job left no file');
    checkpoints.push(name);
  };
  return {
    name: 'libvirt job',
    full: (folder) => backup(folder),
    incremental: (folder) => backup(folder, checkpoints.at(-1)),
    end: async () => {
      for (const name of checkpoints.splice(0).reverse()) await virsh('checkpoint-delete', VM, name);
    },
  };
}

function virtnbdbackup(lab: RealLab): Way {
  const scratch = join(lab.folder, '../nbd-scratch');
  const backup = async (folder: string, level: string): Promise<void> => {
    mkdirSync(scratch, { recursive: true });
    await chmod(scratch, 0o777);
    await run('virtnbdbackup', ['-d', VM, '-l', level, '-o', folder, '--scratchdir', scratch], { maxBuffer: 64 * MIB });
  };
  return {
    name: 'virtnbdbackup',
    full: (folder) => backup(folder, 'full'),
    incremental: (folder) => backup(folder, 'inc'),
    end: async () => {
      const names = (await virsh('checkpoint-list', VM, '--name', '--topological')).trim().split(/\s+/).filter(Boolean);
      for (const name of names.reverse()) await virsh('checkpoint-delete', VM, name);
    },
  };
}

async function plainWrite(folder: string): Promise<number> {
  const file = join(folder, 'plain');
  const times: number[] = [];
  for (let turn = 0; turn < 3; turn += 1)
    times.push(await seconds(() => run('dd', ['if=/dev/zero', `of=${file}`, 'bs=1M', `count=${CHANGED}`, 'conv=fsync'])));
  return median(times);
}
