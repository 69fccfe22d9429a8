import { runProgram } from '../../src/cli/run-program';

/** How a command ended. */
export interface CliEnd {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command in this process, with no setting of Chainkeeper in its environment but these. */
export async function runCli(args: readonly string[], env: Record<string, string> = {}): Promise<CliEnd> {
  const before = { env: process.env, argv: process.argv };
  const clean = Object.entries(before.env).filter(([name]) => !name.startsWith('CHAINKEEPER_'));
  process.env = { ...Object.fromEntries(clean), ...env };
  process.argv = [process.execPath, 'chainkeeper', ...args];
  const said = { out: '', err: '' };
  const spies = [
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => ((said.out += String(text)), true)),
    jest.spyOn(process.stderr, 'write').mockImplementation((text) => ((said.err += String(text)), true)),
  ];
  try {
    return { code: await runProgram(args), ...said };
  } finally {
    spies.forEach((spy) => spy.mockRestore());
    Object.assign(process, before);
    process.exitCode = 0;
  }
}
