import { setTimeout as sleep } from 'node:timers/promises';
import type { RunDto } from '../runs/dto/run.dto';
import type { Client } from './client';
import { EXIT } from './exit-code';
import { progressBar } from './output';

const ENDED = new Set(['succeeded', 'failed', 'cancelled', 'skipped']);

/** Waits for a run to end, with a progress bar on a terminal. */
export async function follow(service: Client, location: string, quiet: boolean): Promise<RunDto> {
  const draw = !quiet && process.stderr.isTTY;
  for (let pause = 100; ; pause = Math.min(pause * 1.5, 2000)) {
    const run = await service.get<RunDto>(location);
    if (draw) {
      const standing = run.waits ? `${run.state}: ${run.waits}` : run.state;
      const text = run.progress ? progressBar(run.progress.done, run.progress.total) : standing;
      process.stderr.write(`\r\x1b[K${text}`);
    }
    if (ENDED.has(run.state)) {
      if (draw) process.stderr.write('\r\x1b[K');
      return run;
    }
    await sleep(pause);
  }
}

/** The exit code of a command that waited for a run. */
export const exitOf = (run: RunDto): number =>
  run.state !== 'succeeded' ? EXIT.failed : run.warnings.length > 0 ? EXIT.warnings : EXIT.done;
