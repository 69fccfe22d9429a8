import type { Command } from 'commander';
import { UserError } from '../domain/errors';
import type { NotComparedDto } from '../retention/dto/comparison.dto';
import { asker } from './asker';
import { EXIT } from './exit-code';
import { show, table } from './output';
import { action, adopt, client, command, type CommonOptions } from './program';

const total = (rows: Readonly<Record<string, number>>): number => Object.values(rows).reduce((sum, n) => sum + n, 0);

const exportCommand = (): Command =>
  command('export', 'copy the books into a file, as they are at one moment; a service may run meanwhile')
    .argument('<file>', 'where to; only its owner may read it, for it holds the credentials of repositories')
    .action(
      action(async (file: string, options: CommonOptions) => {
        // Loaded only here: the other commands start in a fraction of the time without a database.
        const { copyTo } = await import('../books-copies.js');
        const done = await copyTo(file);
        show(options.json, done, () => `${total(done.rows)} rows of ${Object.keys(done.rows).length} tables are in ${done.file}`);
      }),
    );

const importCommand = (): Command =>
  command('import', 'bring the books back from a copy, of whatever database, into one that is empty: all of it or nothing')
    .argument('<file>', 'the copy')
    .action(
      action(async (file: string, options: CommonOptions) => {
        const { bringBack } = await import('../books-copies.js');
        const done = await bringBack(file);
        const left = done.secretsLeftOut ?? [];
        show(options.json, done, () =>
          [
            `${total(done.rows)} rows are back, as they were at ${done.made}`,
            ...(done.cancelled === 0 ? [] : [`${done.cancelled} runs that had not begun then are cancelled: ask for them again`]),
            ...(done.notCompared === 0
              ? []
              : [
                  `of ${done.notCompared} VMs nothing is deleted until they were compared with the NAS: chainkeeper books not-compared`,
                ]),
            ...left.map(
              (name) =>
                `repository ${name} needs its credentials again: chainkeeper repo change ${name} --mount-options-file FILE`,
            ),
          ].join('\n'),
        );
        return left.length > 0 ? EXIT.warnings : EXIT.done;
      }),
    );

const vmsText = (vms: readonly NotComparedDto[]): string =>
  table(vms, [
    { title: 'VM', of: (row) => row.vm },
    { title: 'COPY OF', of: (row) => row.since },
  ]);

const notComparedCommand = (): Command =>
  command('not-compared', 'list the VMs whose books came back from a copy and were not compared with the NAS since').action(
    action(async (options: CommonOptions) => {
      const vms = await client().get<NotComparedDto[]>('/books/not-compared');
      show(options.json, vms, () => (vms.length === 0 ? 'none: whatever the rules let go is deleted' : vmsText(vms)));
    }),
  );

const comparedCommand = (): Command =>
  command('compared', 'say that these were compared with the NAS: from now on what the rules let go is deleted again')
    .argument('[vm]', 'id or name')
    .option('--all', 'all VMs')
    .requiredOption('--why <text>', 'how, for whoever meets it later')
    .option('--by <name>', 'who says so (default: the user of this shell)')
    .action(
      action(async (vm: string | undefined, { all, why, by = asker(), json }: ComparedOptions) => {
        if ((vm === undefined) !== (all ?? false))
          throw new UserError('cli.compared-vm', 'invalid', 'Of which VM? Name one, or say --all.');
        const wish = { by, why, ...(vm === undefined ? {} : { vm }) };
        const { body: vms } = await client().send<NotComparedDto[]>('POST', '/books/compared', wish);
        show(json, vms, () => (vms.length === 0 ? 'there was none to compare' : vmsText(vms)));
      }),
    );

type ComparedOptions = CommonOptions & { readonly all?: boolean; readonly why: string; readonly by?: string };

/** `chainkeeper books`. */
export function booksCommand(): Command {
  const books = command('books', 'copies of the books, and the way back');
  adopt(books, exportCommand());
  adopt(books, importCommand());
  adopt(books, notComparedCommand());
  adopt(books, comparedCommand());
  return books;
}
