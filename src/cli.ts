import 'reflect-metadata';
import { Command } from 'commander';
import { auditCommand } from './cli/audit';
import { backupCommand, backupsCommand, explainCommand } from './cli/backups';
import { chainCommand } from './cli/chains';
import { configCommand } from './cli/config';
import { EXIT } from './cli/exit-code';
import { hostCommand, offeringCommand, repositoryCommand, vmCommand } from './cli/inventory';
import { parseOutputCommand } from './cli/parse-output';
import { adopt, fail } from './cli/program';
import { openapiCommand, serveCommand } from './cli/serve';

const program = new Command('chainkeeper')
  .description('incremental backups of KVM virtual machines to NAS storage, and the books on their chains')
  .version('0.1.0')
  .exitOverride((error) => {
    // commander ends with 1 for a wrong call; scripts can tell a wrong call (2) from a failed one (1).
    process.exit(error.exitCode === 0 ? EXIT.done : EXIT.usage);
  })
  .addHelpText(
    'after',
    `
The commands talk to the service at CHAINKEEPER_URL (default http://127.0.0.1:8470) with CHAINKEEPER_API_TOKEN or
CHAINKEEPER_API_TOKEN_FILE, except serve, config, openapi and parse-output.
Exit codes: 0 done, 1 failed, 2 usage, 3 done with warnings, 10 not found, 11 refused, 12 busy, 13 unreachable.`,
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
  explainCommand(),
  auditCommand(),
  configCommand(),
  openapiCommand(),
])
  adopt(program, command);

program.parseAsync().catch((error: unknown) => fail(error, false));
