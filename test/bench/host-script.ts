import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Facts } from '../../src/domain/agent/facts';
import { readJobStatus } from '../../src/domain/agent/read-job-status';
import { readRestore, type RestoreFacts } from '../../src/domain/agent/read-restore';
import type { RealLab } from '../lab/lab';

const run = promisify(execFile);

/** Our script on the lab's host, called by hand: a chain of one disk, each backup on the one before. */
export class HostScript {
  #turn = Math.floor(Date.now() / 1000);
  /** Of the newest backup. */
  bitmap = '';
  /** Its file, from the repository's root. */
  file = '';

  constructor(
    private readonly lab: RealLab,
    private readonly vm: string,
  ) {}

  full(folder: string, ...more: readonly string[]): Promise<Facts> {
    return this.#backup(folder, ['-M', 'full', ...more]);
  }

  incremental(folder: string, ...more: readonly string[]): Promise<Facts> {
    return this.#backup(folder, ['-M', 'incremental', '--bitmap-parent', this.bitmap, '--parent-paths', this.file, ...more]);
  }

  /** Brings the newest backup back as a new disk: a job, as every restore is, to its end. */
  async restore(folder: string, to: string): Promise<RestoreFacts> {
    this.#turn += 1;
    const job = `restore-${this.#turn}`;
    const disk = JSON.stringify([{ target: 'vda', file: basename(this.file), to, format: 'qcow2' }]);
    const order = ['-v', this.vm, '-t', 'dir', '-s', folder, '-m', '', '-p', dirname(this.file), '--disks', disk];
    await this.#call(['start', '--job', job, '--fence', '1', '--', 'restore', ...order]);
    // Asking the script would take a processor from it.
    while (!existsSync(join(this.lab.folder, 'host/state/jobs', job, 'exit'))) await sleep(10);
    const status = readJobStatus(await this.#call(['status', '--job', job]));
    const said = status.ok ? Buffer.from(status.value.stdout).toString() : status.message;
    const facts = readRestore(said);
    if (!facts.ok || facts.value.error !== null) throw new Error(`the restore of the bench failed: ${said}`);
    return facts.value;
  }

  /** Takes all of ours off the VM. */
  async release(): Promise<void> {
    await this.#call(['-o', 'release', '-v', this.vm, '--fence', '1']);
  }

  async #backup(folder: string, more: readonly string[]): Promise<Facts> {
    this.#turn += 1;
    const bitmap = `backup-${this.#turn}`;
    const path = `${this.vm}/${stamp(this.#turn)}`;
    const args = ['-o', 'backup', '-v', this.vm, '-t', 'dir', '-s', folder, '-m', '', '-p', path, '--bitmap-new', bitmap];
    const stdout = await this.#call([...args, '--facts', ...more]);
    this.bitmap = bitmap;
    const file = (await readdir(join(folder, path))).find((name) => name.endsWith('.qcow2'));
    this.file = `${path}/${file ?? ''}`;
    return JSON.parse(/^FACTS=(.*)$/m.exec(stdout)?.[1] ?? '{}') as Facts;
  }

  async #call(args: readonly string[]): Promise<string> {
    const called = run(join(this.lab.folder, 'host/nasbackup.sh'), [...args], { maxBuffer: 64 * 1024 * 1024 });
    // A job reads its secrets there, and waits for their end.
    called.child.stdin?.end();
    return (await called).stdout;
  }
}

/** A moment in the form of the directories on the NAS. */
const stamp = (unix: number): string => new Date(unix * 1000).toISOString().slice(0, 19).replaceAll(/[-T:]/g, '.');
