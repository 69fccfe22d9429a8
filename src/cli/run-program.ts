import { Command, CommanderError } from 'commander';
import { auditCommand } from './audit';
import { backupCommand, backupsCommand, explainCommand } from './backups';
import { booksCommand } from './books';
import { chainCommand } from './chains';
import { checksumsCommand } from './checksums';
import { configCommand } from './config';
import { coverageCommand } from './coverage';
import { deleteCommand, protectCommand, unprotectCommand } from './deletions';
import { eventsCommand } from './events';
import { EXIT } from './exit-code';
import { hostCommand, offeringCommand, repositoryCommand, vmCommand } from './inventory';
import { parseOutputCommand } from './parse-output';
import { adopt, fail } from './program';
import { restoreCommand, restoresCommand } from './restores';
import { retentionCommand } from './retention';
import { runbookCommand } from './runbook';
import { runCommand } from './runs';
import { scheduleCommand, startRulesCommand } from './schedules';
import { openapiCommand, serveCommand } from './serve';
import { VERSION } from '../platform/version';

/** The whole command line. */
function createProgram(): Command {
  const program = new Command('chainkeeper')
    .description('incremental backups of KVM virtual machines to NAS storage, and the books on their chains')
    .version(VERSION)
    .exitOverride()
    .addHelpText(
      'after',
      `
The commands talk to the service at CHAINKEEPER_URL (default http://127.0.0.1:8470) with CHAINKEEPER_API_TOKEN or
CHAINKEEPER_API_TOKEN_FILE, except serve, config, openapi and parse-output.
Exit codes: 0 done, 1 failed, 2 usage or settings, 3 done with warnings, 10 not found, 11 refused, 12 busy, 13 unreachable.`,
    );

  for (const command of [
    parseOutputCommand(),
    serveCommand(),
    hostCommand(),
    repositoryCommand(),
    offeringCommand(),
    vmCommand(),
    backupCommand(),
    backupsCommand(),
    chainCommand(),
    checksumsCommand(),
    explainCommand(),
    runbookCommand(),
    restoreCommand(),
    restoresCommand(),
    deleteCommand(),
    protectCommand(),
    unprotectCommand(),
    retentionCommand(),
    runCommand(),
    scheduleCommand(),
    startRulesCommand(),
    eventsCommand(),
    coverageCommand(),
    auditCommand(),
    booksCommand(),
    configCommand(),
    openapiCommand(),
  ])
    adopt(program, command);
  return program;
}

/** Runs one command. @returns the exit code; it is also left in `process.exitCode` for the streams to be written out first. */
export async function runProgram(args: readonly string[]): Promise<number> {
  process.exitCode = EXIT.done;
  try {
    await createProgram().parseAsync([...args], { from: 'user' });
  } catch (error) {
    // commander ends with 1 for a wrong call; scripts can tell a wrong call (2) from a failed one (1).
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.usage;
    else fail(error, false);
  }
  return Number(process.exitCode);
}
