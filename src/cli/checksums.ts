import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { ChecksumsDto } from '../backups/dto/checksums.dto';
import { EXIT } from './exit-code';
import { show } from './output';
import { action, client, command, type CommonOptions } from './program';

const POLL_MS = 1000;

function checksumsText({ backupId, manifest, hashed, verified, damaged, missing, reading, whyNot }: ChecksumsDto): string {
  const lines = [
    `manifest   ${manifest ?? 'none yet'}`,
    `checksums  ${hashed === null ? 'none yet' : `taken ${hashed}`}`,
    `compared   ${verified ?? 'never'}`,
    ...damaged.map((file) => `differs    ${file}: the backup is broken, and all that stand on it`),
    ...missing.map((file) => `is gone    ${file}: so is what stands on it, until it is back`),
    ...(reading === null
      ? []
      : [`a host reads its files to ${reading} them; "chainkeeper checksums ${backupId} --show" tells how it goes`]),
    ...(whyNot === null ? [] : [`the last attempt came to nothing: ${whyNot}`]),
  ];
  return lines.join('\n');
}

const exitOf = ({ reading, damaged, missing, whyNot }: ChecksumsDto): number =>
  reading === null && (damaged.length + missing.length > 0 || whyNot !== null) ? EXIT.failed : EXIT.done;

/** `chainkeeper checksums BACKUP`. */
export const checksumsCommand = (): Command =>
  command('checksums', 'let a host read the files of a backup back, slowly, and write down their checksums')
    .argument('<backup>', 'id')
    .option('--verify', 'compare the files with the checksums that are there; ends with 1 when one differs or is gone')
    .option('--wait', 'wait until it is done')
    .option('--show', 'only say what is known')
    .action(
      action(async (id: string, options: CommonOptions & { verify?: boolean; wait?: boolean; show?: boolean }) => {
        const service = client();
        const path = `/backups/${encodeURIComponent(id)}/checksums`;
        let known = options.show
          ? await service.get<ChecksumsDto>(path)
          : (await service.send<ChecksumsDto>('POST', `${path}?verify=${options.verify ?? false}`)).body;
        while (options.wait && known.reading !== null) {
          await sleep(POLL_MS);
          known = await service.get<ChecksumsDto>(path);
        }
        show(options.json, known, () => checksumsText(known));
        return exitOf(known);
      }),
    );
