import type { Command } from 'commander';
import type { CoverageDto } from '../coverage/dto/coverage.dto';
import { EXIT } from './exit-code';
import { show, table } from './output';
import { action, client, command, type CommonOptions } from './program';

interface Line {
  readonly vm: string;
  readonly what: string;
  readonly state: string;
  readonly last: string | null;
  readonly next: string | null;
  readonly why: string | null;
  readonly todo: string | null;
}

/** A line for each problem, of the VM and of its disks. */
function linesOf({ vm, state, lastSucceeded, nextDue, problems, disks }: CoverageDto): Line[] {
  const about = { vm, state, last: lastSucceeded, next: nextDue };
  const lines = [
    ...problems.map((problem) => ({ ...about, what: 'vm', why: problem.sentence, todo: problem.next })),
    ...disks.flatMap(({ target, problem }) =>
      problem ? [{ ...about, what: target, why: problem.sentence, todo: problem.next }] : [],
    ),
  ];
  return lines.length > 0 ? lines : [{ ...about, what: 'vm', why: null, todo: null }];
}

/** `chainkeeper coverage`. */
export const coverageCommand = (): Command =>
  command(
    'coverage',
    'whether each VM and each of its disks is protected as its schedules promise, and why not; exit code 3 where one is not',
  )
    .option('--vm <vm>', 'only this one (id or name)')
    .option('--problems', 'only those that something stands in the way of')
    .action(
      action(async ({ json, vm, problems }: CommonOptions & { vm?: string; problems?: boolean }) => {
        const query = new URLSearchParams({
          ...(vm === undefined ? {} : { vm }),
          ...(problems ? { only: 'problems' } : {}),
        }).toString();
        const items = await client().all<CoverageDto>(`/coverage?${query}`);
        show(json, items, () =>
          table(items.flatMap(linesOf), [
            { title: 'VM', of: (row) => row.vm },
            { title: 'WHAT', of: (row) => row.what },
            { title: 'STATE', of: (row) => row.state },
            { title: 'LAST', of: (row) => row.last },
            { title: 'NEXT', of: (row) => row.next },
            { title: 'WHY', of: (row) => row.why },
            { title: 'TO DO', of: (row) => row.todo },
          ]),
        );
        return items.every(({ state }) => state === 'protected') ? EXIT.done : EXIT.warnings;
      }),
    );
