import { Command } from 'commander';
import type { RunDto, RunLogDto } from '../runs/dto/run.dto';
import { bytes, progressBar, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';

/** A run for people: how it stands or ended, and what it made. */
export function runText(run: RunDto): string {
  const lines = [`run ${run.id}: ${run.state}${run.reason ? `, ${run.plannedKind ?? ''} because ${run.reason}` : ''}`];
  if (run.attempt > 1) lines.push(`attempt ${run.attempt}`);
  if (run.waits) lines.push(`it ${run.waits}`);
  if (run.cause) lines.push(`asked for by the service: ${run.cause}`);
  if (run.progress && run.ended === null) lines.push(progressBar(run.progress.done, run.progress.total));
  if (run.bandwidth !== null) lines.push(`at most ${run.bandwidth} MiB a second`);
  if (run.stuck) lines.push(`seems to be stuck: ${run.stuck}`);
  if (run.backupId) lines.push(`backup ${run.backupId}; "chainkeeper explain ${run.backupId}" says why it was what it was`);
  if (run.errorMessage) lines.push(`error: ${run.errorMessage} (${run.errorCode ?? 'unknown'})`);
  return [...lines, ...run.warnings.map((warning) => `warning: ${warning}`)].join('\n');
}

const at = (id: string): string => `/runs/${encodeURIComponent(id)}`;

/** `chainkeeper run`: what became of a backup that was asked for. */
export function runCommand(): Command {
  const run = new Command('run').description(
    'runs, which are attempts to take, delete or restore a backup: list, show, log, abort',
  );
  run.addCommand(
    command('list', 'list runs, newest first')
      .option('--vm <vm>', 'only of this VM (id or name)')
      .action(
        action(async (options: CommonOptions & { vm?: string }) => {
          const items = await client().all<RunDto>(`/runs${options.vm ? `?vm=${encodeURIComponent(options.vm)}` : ''}`);
          show(options.json, items, () =>
            table(items, [
              { title: 'CREATED', of: (row) => row.created },
              { title: 'VM', of: (row) => row.vm },
              { title: 'WHAT', of: (row) => row.kind },
              { title: 'STATE', of: (row) => row.state },
              { title: 'DONE', of: (row) => bytes(row.progress?.done), right: true },
              { title: 'REASON', of: (row) => row.reason },
              { title: 'ERROR', of: (row) => row.errorCode },
              { title: 'ID', of: (row) => row.id },
            ]),
          );
        }),
      ),
  );
  run.addCommand(
    command('show', 'show one: its state, progress and outcome')
      .argument('<run>', 'id')
      .action(
        action(async (id: string, options: CommonOptions) => {
          const found = await client().get<RunDto>(at(id));
          show(options.json, found, () => runText(found));
        }),
      ),
  );
  run.addCommand(
    command('log', 'show what the host script printed')
      .argument('<run>', 'id')
      .action(
        action(async (id: string, options: CommonOptions) => {
          const log = await client().get<RunLogDto>(`${at(id)}/log`);
          show(options.json, log, () => `${log.stdout}${log.stderr}`.trimEnd());
        }),
      ),
  );
  run.addCommand(
    command('abort', 'ask a run to stop; "run show" tells when it has')
      .argument('<run>', 'id')
      .action(
        action(async (id: string, options: CommonOptions) => {
          const { body } = await client().send<RunDto>('POST', `${at(id)}/abort`);
          show(options.json, body, () => runText(body));
        }),
      ),
  );
  return run;
}
