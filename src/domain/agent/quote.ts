import { UserError } from '../errors';

/**
 * Makes one argument out of any text for a POSIX shell. The one place where text becomes shell.
 *
 * Everything is quoted, even what needs none: a rule without exceptions has no exception to get wrong.
 *
 * @throws UserError `argument.unsendable` for text that cannot arrive as it is: NUL ends a C string, and half a
 * surrogate pair has no UTF-8.
 */
export function quote(argument: string): string {
  if (/\0|\p{Surrogate}/u.test(argument)) {
    throw new UserError(
      'argument.unsendable',
      'invalid',
      'An argument holds a NUL byte or a broken character and cannot be sent to a host.',
    );
  }
  return `'${argument.replaceAll("'", `'\\''`)}'`;
}

/** One command line out of a program and its arguments. @throws as {@link quote}. */
export const quoteCommand = (argv: readonly string[]): string => argv.map(quote).join(' ');
