import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { Command, InvalidArgumentError, Option } from 'commander';
import { DIALECTS, type Dialect } from '../domain/agent/facts';
import { parseOutput, type ParsedOutput } from '../domain/agent/parse-output';
import { type RunPath } from '../domain/agent/read-size';
import { UserError } from '../domain/errors';
import { action } from './program';

interface ParseOutputOptions {
  readonly dialect: Dialect;
  readonly vmState: RunPath;
  readonly exitCode: number | 'unknown';
  readonly disks?: number;
  readonly stderrFile?: string;
}

/** Where the command reads and writes; tests bring their own. */
export interface ParseOutputIo {
  /** All of stdin. */
  readonly read: () => Promise<Uint8Array>;
  readonly write: (text: string) => void;
}

const processIo: ParseOutputIo = {
  read: () => {
    if (process.stdin.isTTY) process.stderr.write('Paste what the script printed on stdout, then end with Ctrl-D.\n');
    return buffer(process.stdin);
  },
  write: (text) => void process.stdout.write(text),
};

/** `chainkeeper parse-output`: what a host script printed, as CloudStack's BackupAnswer and what it lacks. Needs no service. */
export const parseOutputCommand = (io: ParseOutputIo = processIo): Command =>
  new Command('parse-output')
    .description('say what the output of a backup script means: reads its stdout on stdin, prints one JSON object')
    .addOption(new Option('--dialect <dialect>', 'the version of the script').choices(DIALECTS).makeOptionMandatory())
    .addOption(
      new Option('--vm-state <state>', 'the state of the VM when the script ran')
        .choices(['running', 'stopped'])
        .makeOptionMandatory(),
    )
    .option(
      '--exit-code <code>',
      "the script's exit code; -1 or `unknown` when nobody saw it; 0 when it is not given, because a log seldom has it",
      exitCode,
      0,
    )
    .option('--disks <count>', 'how many disks were to be backed up: the sizes of a stopped VM must be as many', diskCount)
    .option('--stderr-file <file>', 'what the script printed on stderr; it often knows why')
    .option('--json', 'accepted because every command has it; the answer is JSON in any case')
    .action(
      action(async (options: ParseOutputOptions) => {
        const stderr = options.stderrFile === undefined ? undefined : decode(readStderr(options.stderrFile), 'stderr');
        const stdout = decode(await io.read(), 'stdout');
        io.write(`${JSON.stringify(answer(options, stdout, stderr))}\n`);
      }),
    );

interface Text {
  readonly text: string;
  readonly warnings: readonly string[];
}

/** Exactly the fields that are promised, in their order. */
function answer(options: ParseOutputOptions, stdout: Text, stderr: Text | undefined): ParsedOutput {
  const run = parseOutput({
    dialect: options.dialect,
    vmState: options.vmState,
    exitCode: options.exitCode === 'unknown' ? null : options.exitCode,
    stdout: stdout.text,
    ...(stderr === undefined ? {} : { stderr: stderr.text }),
    ...(options.disks === undefined ? {} : { disks: options.disks }),
  });
  return {
    result: run.result,
    size: run.size,
    bitmapCreated: run.bitmapCreated,
    bitmapRecreated: run.bitmapRecreated,
    incrementalFallback: run.incrementalFallback,
    needsCleanup: run.needsCleanup,
    details: run.details,
    code: run.code,
    exitCode: run.exitCode,
    warnings: [...stdout.warnings, ...(stderr?.warnings ?? []), ...run.warnings],
    facts: run.facts,
  };
}

/** Logs hold what they hold: bytes that are no UTF-8 are replaced, and said so. */
function decode(bytes: Uint8Array, what: string): Text {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), warnings: [] };
  } catch {
    return {
      text: new TextDecoder().decode(bytes),
      warnings: [`not-utf8: ${what} holds bytes that are no UTF-8; they were replaced`],
    };
  }
}

function readStderr(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw new UserError('parse-output.stderr-file', 'invalid', `Cannot read the file of --stderr-file: ${file} (${reason}).`, {
      cause: error,
    });
  }
}

function exitCode(text: string): number | 'unknown' {
  if (text === 'unknown') return text;
  if (/^(?:-1|[0-9]{1,3})$/.test(text) && Number(text) <= 255) return Number(text);
  throw new InvalidArgumentError('It is a whole number from 0 to 255, -1 or `unknown`.');
}

function diskCount(text: string): number {
  if (/^[1-9][0-9]{0,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is a whole number from 1 to 9999.');
}
