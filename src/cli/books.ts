import type { Command } from 'commander';
import { show } from './output';
import { EXIT } from './exit-code';
import { action, adopt, command, type CommonOptions } from './program';

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
            ...left.map(
              (name) =>
                `repository ${name} needs its credentials again: chainkeeper repo change ${name} --mount-options-file FILE`,
            ),
          ].join('\n'),
        );
        return left.length > 0 ? EXIT.warnings : EXIT.done;
      }),
    );

/** `chainkeeper books`. */
export function booksCommand(): Command {
  const books = command('books', 'copies of the books, and the way back');
  adopt(books, exportCommand());
  adopt(books, importCommand());
  return books;
}
