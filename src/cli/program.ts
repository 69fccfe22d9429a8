import { Command } from 'commander';
import { ChainkeeperError } from '../domain/errors';
import { Client, clientOptions } from './client';
import { EXIT, exitCodeOf } from './exit-code';

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
}

/** A client of the service that the environment points at. */
export const client = (): Client => new Client(clientOptions(process.env));

/** Prints an error for people, or as JSON for scripts, on stderr. */
function report(error: unknown, json: boolean): void {
  if (json) {
    const body =
      error instanceof ChainkeeperError
        ? { code: error.code, message: error.message, next: error.next ?? null, facts: error.facts }
        : { code: 'internal.fault', message: String(error), next: null, facts: {} };
    process.stderr.write(`${JSON.stringify(body)}\n`);
    return;
  }
  if (error instanceof ChainkeeperError) {
    process.stderr.write(`error: ${error.message} (${error.code})\n`);
    if (error.next) process.stderr.write(`next:  ${error.next}\n`);
    return;
  }
  process.stderr.write(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)} (internal.fault)\n`);
}

/** Ends the command line with an error: printed, and mapped to an exit code. */
export function fail(error: unknown, json: boolean): void {
  report(error, json);
  process.exitCode = exitCodeOf(error);
}

/**
 * Runs the body of a command: its number is the exit code, an error is printed and mapped to one. The body gets the arguments and
 * the options, those of the commands above among them: `chainkeeper host --json list` means what it says.
 */
export const action =
  <A extends unknown[]>(body: (...args: A) => Promise<number | void> | number | void) =>
  async (...given: unknown[]): Promise<void> => {
    // commander hands over the arguments, the options and the command itself.
    const options = (given.at(-1) as Command).optsWithGlobals<CommonOptions>();
    try {
      process.exitCode = (await body(...([...given.slice(0, -2), options] as A))) ?? EXIT.done;
    } catch (error) {
      fail(error, options.json ?? false);
    }
  };

/** A command with the option that all have. */
export const command = (name: string, description: string): Command =>
  new Command(name).description(description).option('--json', 'print JSON instead of text');

/** Adds a command with what it has under it. Settings are handed down by hand: commander does it only for those that it makes itself. */
export function adopt(parent: Command, child: Command): void {
  parent.addCommand(child);
  const inherit = (heir: Command, from: Command): void => {
    heir.copyInheritedSettings(from);
    for (const next of heir.commands) inherit(next, heir);
  };
  inherit(child, parent);
}
