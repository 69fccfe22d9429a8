import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import type { BackupDto, ExplanationDto, PlanDto } from '../backups/dto/backup.dto';
import type { RunDto } from '../runs/dto/run.dto';
import { EXIT } from './exit-code';
import { exitOf, follow } from './follow';
import { bytes, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';
import { runText } from './runs';
import { BANDWIDTH_SOURCES, type BandwidthSource } from '../domain/chain/choose-bandwidth';
import { bandwidthOption, onLostBitmapOption, transferOption } from './way-options';

/** `chainkeeper backup VM`. */
export const backupCommand = (): Command =>
  command('backup', 'take a backup of a VM now')
    .argument('<vm>', 'id or name')
    .option('--full', 'a full in any case')
    .option('--quiesce', 'freeze the guest’s file systems for the moment of the checkpoint')
    .addOption(transferOption())
    .addOption(bandwidthOption())
    .addOption(onLostBitmapOption())
    .option('--wait', 'wait until it is done; the exit code says how it ended')
    .option('--dry-run', 'only say what would be done, and why')
    .option('--idempotency-key <key>', 'the same key again answers with the same run (default: a new one)')
    .action(
      action(
        async (
          vm: string,
          options: CommonOptions & {
            full?: boolean;
            quiesce?: boolean;
            transfer?: string;
            bandwidth?: number;
            onLostBitmap?: string;
            wait?: boolean;
            dryRun?: boolean;
            idempotencyKey?: string;
          },
        ) => {
          const service = client();
          const body = {
            vm,
            mode: options.full ? 'full' : 'auto',
            ...(options.quiesce ? { quiesce: true } : {}),
            ...(options.transfer === undefined ? {} : { transfer: options.transfer }),
            ...(options.bandwidth === undefined ? {} : { bandwidth: options.bandwidth }),
            ...(options.onLostBitmap === undefined ? {} : { onLostBitmap: options.onLostBitmap }),
          };
          if (options.dryRun) {
            const { body: plan } = await service.send<PlanDto>('POST', '/backups?dryRun=true', body);
            show(options.json, plan, () =>
              [
                `${plan.kind} because ${plan.reason}: ${plan.sentence}`,
                ...(plan.bandwidth === null
                  ? []
                  : [`at most ${plan.bandwidth} MiB a second: ${BANDWIDTH_SOURCES[plan.bandwidthFrom as BandwidthSource]}`]),
                ...(plan.restart === null ? [] : [plan.restart]),
                ...plan.warnings.map((text) => `warning: ${text}`),
              ].join('\n'),
            );
            return EXIT.done;
          }
          const { body: queued } = await service.send<RunDto>('POST', '/backups', body, {
            'idempotency-key': options.idempotencyKey ?? randomUUID(),
            'x-chainkeeper-trigger': 'cli',
          });
          if (!options.wait) {
            show(
              options.json,
              queued,
              () => `run ${queued.id} is ${queued.state}; "chainkeeper run show ${queued.id}" tells how it goes`,
            );
            return EXIT.done;
          }
          const run = await follow(service, `/runs/${queued.id}`, options.json ?? false);
          show(options.json, run, () => runText(run));
          return exitOf(run);
        },
      ),
    );

/** `chainkeeper backups`. */
export const backupsCommand = (): Command =>
  command('backups', 'list backups, newest first')
    .option('--vm <vm>', 'only of this VM (id or name)')
    .action(
      action(async (options: CommonOptions & { vm?: string }) => {
        const items = await client().all<BackupDto>(`/backups${options.vm ? `?vm=${encodeURIComponent(options.vm)}` : ''}`);
        show(options.json, items, () =>
          table(items, [
            { title: 'DATE', of: (row) => row.date },
            { title: 'VM', of: (row) => row.vm },
            { title: 'TYPE', of: (row) => row.type },
            { title: 'STATUS', of: (row) => row.status },
            { title: 'REASON', of: (row) => row.reason },
            { title: 'SIZE', of: (row) => bytes(row.size), right: true },
            { title: 'RESTORABLE', of: (row) => row.restorable },
            { title: 'ASSURANCE', of: (row) => row.assurance },
            { title: 'ID', of: (row) => row.id },
          ]),
        );
      }),
    );

const section = (title: string, lines: readonly string[]): string => [title, ...lines.map((line) => `  ${line}`)].join('\n');

/** `chainkeeper explain BACKUP`. */
export const explainCommand = (): Command =>
  command('explain', 'say why a backup was full or incremental, why this large, what it did to the guest, and how we know')
    .argument('<backup>', 'id')
    .action(
      action(async (id: string, options: CommonOptions) => {
        const explanation = await client().get<ExplanationDto>(`/backups/${encodeURIComponent(id)}/explain`);
        show(options.json, explanation, () =>
          [
            section('Why it was what it was', explanation.why),
            section('Why this size, as far as known', explanation.size),
            section('What it did to the guest', explanation.guest),
            section('How we know', explanation.evidence),
          ].join('\n'),
        );
      }),
    );
