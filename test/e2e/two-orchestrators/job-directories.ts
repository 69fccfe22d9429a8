import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { StartLine } from '../runs-once/start-log';

/** What a host itself kept of every backup's job that it began, put among the words of those who asked for it. */
export function readJobDirectories(state: string, asked: readonly StartLine[]): StartLine[] {
  const jobs = join(state, 'jobs');
  const seen = readdirSync(jobs).flatMap((job): StartLine[] => {
    const argv = JSON.parse(text(jobs, job, 'argv.json') ?? '[]') as string[];
    const after = (word: string): string => argv[argv.indexOf(word) + 1] ?? '';
    if (!argv.includes('-o') || after('-o') !== 'backup') return [];
    const began = statSync(join(jobs, job, 'started')).mtimeMs;
    // The host keeps of each VM which epoch was the highest, not of a job which it was begun for: that is of who asked last before.
    const by = asked.filter((line) => line.job === job && line.at <= began).at(-1);
    const known = { job, vm: after('-v'), epoch: by?.epoch ?? -1, pid: 0, owner: null };
    const exit = text(jobs, job, 'exit');
    const ended = {
      ...known,
      what: 'ended',
      exit: Number(exit),
      at: exit === null ? 0 : statSync(join(jobs, job, 'ended')).mtimeMs,
    } as const;
    return [{ ...known, what: 'began', exit: null, at: began }, ...(exit === null ? [] : [ended])];
  });
  return [...asked, ...seen].sort((a, b) => a.at - b.at);
}

function text(...path: string[]): string | null {
  try {
    return readFileSync(join(...path), 'utf8').trim();
  } catch {
    return null;
  }
}
