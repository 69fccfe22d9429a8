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

/** Runs the body of a command: its number is the exit code, an error is printed and mapped to one. */
export const action =
  <A extends unknown[]>(body: (...args: A) => Promise<number | void> | number | void) =>
  async (...args: A): Promise<void> => {
    try {
      process.exitCode = (await body(...args)) ?? EXIT.done;
    } catch (error) {
      report(error, process.argv.includes('--json'));
      process.exitCode = exitCodeOf(error);
    }
  };

/** A command with the option that all have. */
export const command = (name: string, description: string): Command =>
  new Command(name).description(description).option('--json', 'print JSON instead of text');
