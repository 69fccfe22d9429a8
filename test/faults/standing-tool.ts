import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../support/brake';

/** A call of a program by the host script: which one, and what its words look like. */
export interface ToolCall {
  readonly tool: 'ln' | 'mv' | 'rm' | 'sync' | 'umount' | 'qemu-img';
  /** A regular expression of bash's for the words, joined by blanks. */
  readonly words: string;
}

/**
 * Makes the host script stand still before one call of a program, as a gate does it with the service: a folder that the lab's copy of the
 * script finds its programs in first. What has stood there once passes all calls on but the one that somebody waits for.
 */
export class StandingTool {
  readonly #folder: string;
  #tool = '';

  /** @param host the lab's directory that plays the host */
  constructor(host: string) {
    this.#folder = join(host, 'tools');
  }

  /** Has the installed script look there; it stays what it is otherwise. */
  install(script: string): void {
    mkdirSync(this.#folder, { mode: 0o700 });
    const [before, after] = [readFileSync(script, 'utf8'), /^export PATH=/m];
    if (!after.test(before)) throw new Error(`${script} sets no PATH`);
    writeFileSync(script, before.replace(after, `export PATH=${this.#folder}:`));
  }

  /** The next such call will stand, and none after it. */
  arm({ tool, words }: ToolCall): void {
    this.release();
    this.#tool = tool;
    const wait = this.#file(`${tool}.wait`);
    writeFileSync(wait, words);
    const stub = `#!/bin/bash
words='' && [[ ! -e ${wait} ]] || words=$(<${wait})
if [[ $words && "$*" =~ $words ]] && /usr/bin/mkdir ${this.#file('taken')} 2>/dev/null; then
  echo $$ >${this.#file('new')} && /usr/bin/mv ${this.#file('new')} ${this.#file('here')}
  while [[ -e ${wait} ]]; do /usr/bin/sleep 0.05; done
fi
exec /usr/bin/${tool} "$@"
`;
    writeFileSync(this.#file(tool), stub, { mode: 0o755 });
  }

  /** Waits until it stands. */
  stands(): Promise<void> {
    return until(() => existsSync(this.#file('here')), `the host script calls ${this.#tool}`);
  }

  /** It goes on, if it lives; from now on nothing stands. The program stays there: a script that has found it looks for it no more. */
  release(): void {
    for (const name of [`${this.#tool}.wait`, 'here', 'new', 'taken']) rmSync(this.#file(name), { recursive: true, force: true });
  }

  /** Kills (-9) the call, or sends its script alone another signal. */
  signal(name: NodeJS.Signals): void {
    const chain = this.#chain();
    // From the top down: a script that sees its program die would act on it.
    for (const pid of name === 'SIGKILL' ? chain : chain.slice(0, 1)) process.kill(pid, name);
  }

  /** The script that waits for the call, shells that it has forked for it, and the call itself. */
  #chain(): number[] {
    const pids: number[] = [];
    for (let pid = Number(readFileSync(this.#file('here'), 'utf8')); pid > 1;) {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const ours = pids.length === 0 || (words[0] !== 'sudo' && words.slice(0, 2).some((word) => word.endsWith('/nasbackup.sh')));
      if (!ours) break;
      pids.unshift(pid);
      pid = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    }
    return pids;
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }
}
