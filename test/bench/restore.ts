import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RestoreFacts } from '../../src/domain/agent/read-restore';
import type { RealLab } from '../lab/lab';
import type { BenchResult } from './bench-result';
import { HostScript } from './host-script';
import { onBenchLab } from './on-bench-lab';
import { benchPlans } from './plans';
import { median, round } from './rounds';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const VM = 'i-2-79-VM';
/** The same disk, written the same way, for the other tool: neither sees the other's checkpoints. */
const TWIN = 'i-2-80-VM';
const DISK = 2048 * MIB;
const DATA = 512;
const CHANGED = 64;
const INCREMENTALS = 6;

/** One way to bring the newest point of the chain back as a file of its own. */
interface Way {
  readonly name: string;
  restore(folder: string): Promise<unknown>;
}

/**
 * A chain of one full and six incrementals, brought back as a new disk: by the host script, with all its looks, the comparison and the sync;
 * by one bare `qemu-img convert` of the same chain; by virtnbdrestore from its own backups of the same data. Beside them what the machine
 * can do: the bytes written and synced. Ratios are times: less is better.
 */
export const benchRestore = (quick: boolean): Promise<BenchResult> =>
  onBenchLab(async (lab, folder) => {
    await appendFile(join(lab.folder, 'host/host.conf'), 'reserve_bytes=0\n');
    const nas = lab.nasFile('bench', '');
    const peers = join(folder, 'peer');
    for (const made of [nas, peers, join(folder, 'scratch')]) mkdirSync(made, { recursive: true });
    chmodSync(join(folder, 'scratch'), 0o777);
    const script = new HostScript(lab, VM);
    await takeChain(lab, VM, (turn) => (turn === 0 ? script.full(nas) : script.incremental(nas)));
    await takeChain(lab, TWIN, (turn) => nbd(folder, 'backup', ['-d', TWIN, '-l', turn === 0 ? 'full' : 'inc', '-o', peers]));
    const top = join(nas, script.file);

    const facts: RestoreFacts[] = [];
    const ways: Way[] = [
      { name: 'script', restore: async (to) => facts.push(await script.restore(nas, join(to, 'disk'))) },
      { name: 'convert', restore: (to) => convert(top, join(to, 'disk')) },
      { name: 'virtnbdrestore', restore: (to) => nbd(folder, 'restore', ['-i', peers, '-o', to, '-n']) },
      { name: 'plain write', restore: (to) => plainWrite(join(folder, 'flat'), join(to, 'disk')) },
    ];
    await convert(top, join(folder, 'flat'));
    await sync(folder);
    const seconds = new Map(ways.map(({ name }) => [name, [] as number[]]));
    const rounds = quick ? 3 : 7;
    for (let turn = 0; turn < rounds; turn += 1) {
      for (let index = 0; index < ways.length; index += 1) {
        const way = ways[(index + turn) % ways.length] as Way;
        const to = join(lab.folder, 'images/restored');
        mkdirSync(to);
        const began = performance.now();
        await way.restore(to);
        seconds.get(way.name)?.push((performance.now() - began) / 1000);
        // What one left to the page cache is no other's to write.
        await sync(to);
        if (turn === 0) await refuseOther(way, top, to);
        rmSync(to, { recursive: true });
      }
    }

    const time = (name: string): number => median(seconds.get(name) ?? []);
    const phase = (name: keyof RestoreFacts['timings']): number => median(facts.map(({ timings }) => timings[name] ?? 0)) / 1000;
    return {
      bench: 'restore',
      ratios: {
        restore_vs_qemu_img_convert: round(phase('convert') / time('convert')),
        restore_vs_virtnbdrestore: round(time('script') / time('virtnbdrestore')),
        restore_vs_plain_write: round(time('script') / time('plain write')),
      },
      values: {
        seconds: Object.fromEntries(ways.map(({ name }) => [name, round(time(name))])),
        phases: Object.fromEntries(PHASES.map((name) => [name, round(phase(name))])),
        bytes: { restored: statSync(join(folder, 'flat')).blocks * 512, links: INCREMENTALS + 1 },
        plans: benchPlans(quick ? 200 : 10_000),
      },
      limit: { what: 'seconds to write and sync the bytes of the flattened chain', seconds: round(time('plain write')) },
    };
  });

const PHASES = ['mount', 'prepare', 'convert', 'compare', 'sync', 'swap', 'unmount', 'total'] as const;

/** A full of what lies at the start of the disk, then incrementals that overwrite some of it and go on behind it. */
async function takeChain(lab: RealLab, vm: string, take: (turn: number) => Promise<unknown>): Promise<void> {
  await lab.vmCreate(vm, [{ target: 'vda', size: DISK }]);
  await lab.vmStart(vm);
  for (let turn = 0; turn <= INCREMENTALS; turn += 1) {
    const [at, length] = turn === 0 ? [0, DATA] : [DATA - CHANGED + turn * CHANGED - CHANGED / 2, CHANGED];
    await lab.verb('write', vm, 'vda', `0x${(0x20 + turn).toString(16)}`, `${at}M`, `${length}M`);
    await take(turn);
  }
}

const convert = (from: string, to: string): Promise<unknown> =>
  run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'qcow2', from, to]);

const plainWrite = (from: string, to: string): Promise<unknown> =>
  run('dd', [`if=${from}`, `of=${to}`, 'bs=1M', 'conv=fsync', 'status=none']);

const sync = (path: string): Promise<unknown> => run('sync', ['-f', path]);

/** virtnbdbackup keeps its log beside what it writes, virtnbdrestore in the home of its user unless told. */
function nbd(folder: string, what: 'backup' | 'restore', args: readonly string[]): Promise<unknown> {
  const more = what === 'backup' ? ['--scratchdir', join(folder, 'scratch')] : ['-L', join(folder, 'restore.log')];
  return run(`virtnbd${what}`, [...args, ...more], { maxBuffer: 64 * MIB });
}

/** Whoever brings back something else is not quick. */
async function refuseOther({ name }: Way, top: string, folder: string): Promise<void> {
  for (const file of readdirSync(folder).filter((one) => !/\.(xml|config)/.test(one) && statSync(join(folder, one)).isFile()))
    await run('qemu-img', ['compare', '-q', top, join(folder, file)]).catch((error: Error) => {
      throw new Error(`${name} brought back something else: ${error.message}`);
    });
}
