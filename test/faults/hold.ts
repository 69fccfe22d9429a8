import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../support/brake';

/** A program that the host script calls, and with which words. */
interface Call {
  readonly program: 'qemu-img' | 'umount' | 'rm';
  /** Of bash, over its arguments. */
  readonly words: string;
}

/** Libvirt's job is over, or the readers are; the script has not yet looked at what they made. */
export const DATA_COMPLETE: Call = { program: 'qemu-img', words: '"check -q "*' };
/** The result is certain and not yet said. A job's mount points lie in a folder of the job; those of other calls do not. */
export const IN_CLEANUP: Call = { program: 'umount', words: '*/csbackup.*/csbackup.*' };
/** The same of a pull, which removes its scratch files first. */
export const IN_CLEANUP_OF_PULL: Call = { program: 'rm', words: '*/host/scratch/*' };

/**
 * Holds the host script where it calls another program: the first such call stands still until it is let go. As in agent/test/stubs.bash
 * the script as installed finds a folder of ours before the real programs; nothing else of it is another.
 */
export class Hold {
  readonly #script: string;
  readonly #folder: string;

  constructor(lab: string) {
    this.#script = join(lab, 'host/nasbackup.sh');
    this.#folder = join(lab, 'host/held');
  }

  /** From now on; `free` ends it. */
  begin({ program, words }: Call): void {
    this.free();
    mkdirSync(this.#folder);
    chmodSync(this.#folder, 0o755);
    writeFileSync(this.#wanted, '');
    const lines = [
      '#!/bin/bash',
      'words=$*',
      `if [[ $words == ${words} ]] && mv '${this.#wanted}' '${this.#held}' 2>/dev/null; then`,
      `  while [[ -e '${this.#held}' ]]; do sleep 0.05; done`,
      'fi',
      'export PATH=/usr/sbin:/usr/bin:/sbin:/bin',
      `exec ${program} "$@"`,
    ];
    writeFileSync(join(this.#folder, program), `${lines.join('\n')}\n`, { mode: 0o755 });
    const text = readFileSync(this.#script, 'utf8');
    const changed = text.replace(/^export PATH=/m, `export PATH=${this.#folder}:`);
    if (changed === text) throw new Error('the host script sets no PATH');
    copyFileSync(this.#script, this.#plain);
    writeFileSync(`${this.#script}.held`, changed, { mode: 0o755 });
    renameSync(`${this.#script}.held`, this.#script);
  }

  /** Waits until the script stands there. */
  async stands(): Promise<void> {
    await until(() => existsSync(this.#held), 'the script comes to where it is held');
  }

  /** Whatever stands goes on. */
  go(): void {
    rmSync(this.#wanted, { force: true });
    rmSync(this.#held, { force: true });
  }

  /** The script is again as it was installed. */
  free(): void {
    this.go();
    if (existsSync(this.#plain)) renameSync(this.#plain, this.#script);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #wanted(): string {
    return join(this.#folder, 'wanted');
  }
  get #held(): string {
    return join(this.#folder, 'stands');
  }
  get #plain(): string {
    return `${this.#script}.plain`;
  }
}
