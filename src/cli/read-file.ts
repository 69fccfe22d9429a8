import { readFileSync } from 'node:fs';
import { UserError } from '../domain/errors';

/** The text of a file that an option or a setting names, without the line end that editors add. */
export function readText(file: string, namedBy: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UserError('cli.file', 'invalid', `Cannot read the file that ${namedBy} names: ${file} (${code}).`, {
      next: 'Name a file that you may read.',
      cause: error,
    });
  }
}
