import { type Command, InvalidArgumentError } from 'commander';
import type { ResizeDto, ResizesDto } from '../inventory/dto/resize.dto';
import { bytes, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';

/** Bytes, or with a unit of 1024 as qemu-img has them: 20G. */
function size(text: string): number {
  const [, number, unit = ''] = /^([0-9]+)([KMGT]?)$/.exec(text) ?? [];
  const value = Number(number) * 1024 ** ' KMGT'.indexOf(unit || ' ');
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('bytes, or a number with K, M, G or T');
  return value;
}

const resized = ({ target, from, to }: ResizeDto): string => `${target} had ${bytes(from)} and has ${bytes(to)}`;

/** `chainkeeper vm resized`. */
export const resizedCommand = (): Command =>
  command('resized', 'tell that the size of a disk was changed: each step, also where it grew back')
    .argument('<vm>', 'id or name')
    .argument('<target>', "libvirt's name of the disk: vda")
    .requiredOption('--from <size>', 'before: bytes, or 20G', size)
    .requiredOption('--to <size>', 'after: bytes, or 20G', size)
    .action(
      action(async (id: string, target: string, { json, from, to }: CommonOptions & { from: number; to: number }) => {
        const { body } = await client().send<ResizeDto>('POST', `/vms/${encodeURIComponent(id)}/resizes`, { target, from, to });
        show(json, body, () => resized(body));
      }),
    );

/** `chainkeeper vm resizes`. */
export const resizesCommand = (): Command =>
  command('resizes', 'list what we were told about the sizes of its disks')
    .argument('<vm>', 'id or name')
    .action(
      action(async (id: string, options: CommonOptions) => {
        const shown = await client().get<ResizesDto>(`/vms/${encodeURIComponent(id)}/resizes`);
        show(options.json, shown, () =>
          table(shown.items, [
            { title: 'TOLD', of: (row) => row.at },
            { title: 'DISK', of: (row) => row.target },
            { title: 'FROM', of: (row) => bytes(row.from), right: true },
            { title: 'TO', of: (row) => bytes(row.to), right: true },
          ]),
        );
      }),
    );
