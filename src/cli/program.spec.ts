import { Command, CommanderError } from 'commander';
import { UserError } from '../domain/errors';
import { action, adopt, command, type CommonOptions } from './program';

interface Outcome {
  readonly stderr: string;
  /** Exit code; `usage` when commander refused the call. */
  readonly exit: number | 'usage';
  /** What the body was given. */
  readonly given: readonly unknown[];
}

/** Runs `group run <what>` of a program made for this test, whose body throws when `what` says so. */
async function run(args: readonly string[]): Promise<Outcome> {
  let stderr = '';
  let given: readonly unknown[] = [];
  const listen = jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
  const group = command('group', 'a group');
  group.addCommand(
    command('run', 'does it')
      .argument('<what>')
      .option('--deep', 'an option of its own')
      .action(
        action((what: string, options: CommonOptions) => {
          given = [what, options];
          if (what === 'refused') throw new UserError('test.refused', 'refused', 'No.', { next: 'Ask again.' });
          if (what === 'broken') throw new Error('oops');
          return what === 'warned' ? 3 : undefined;
        }),
      ),
  );
  const program = new Command('chainkeeper').exitOverride();
  adopt(program, group);
  try {
    await program.parseAsync(args, { from: 'user' });
    return { stderr, exit: Number(process.exitCode), given };
  } catch (error) {
    if (error instanceof CommanderError) return { stderr, exit: 'usage', given };
    throw error;
  } finally {
    listen.mockRestore();
    process.exitCode = 0;
  }
}

const REFUSED = '{"code":"test.refused","message":"No.","next":"Ask again.","facts":{}}\n';

describe('a command', () => {
  it.each([
    ['done', 0],
    ['warned', 3],
    ['refused', 11],
    ['broken', 1],
  ])('that is %s ends with %i', async (what, exit) => expect((await run(['group', 'run', what])).exit).toBe(exit));

  it('tells an error to people, or as JSON with --json wherever that stands', async () => {
    expect((await run(['group', 'run', 'refused'])).stderr).toBe('error: No. (test.refused)\nnext:  Ask again.\n');
    expect((await run(['group', 'run', 'refused', '--json'])).stderr).toBe(REFUSED);
    expect((await run(['group', 'run', '--json', 'refused'])).stderr).toBe(REFUSED);
    expect((await run(['group', '--json', 'run', 'refused'])).stderr).toBe(REFUSED);
    expect((await run(['group', 'run', 'broken', '--json'])).stderr).toBe(
      '{"code":"internal.fault","message":"Error: oops","next":null,"facts":{}}\n',
    );
  });

  // Whoever starts this process may have options of the same name.
  it.each([[['--json']], [[]]])('asks the call for it, not the process: started with %j', async (own) => {
    const before = process.argv;
    process.argv = [...before.filter((arg) => arg !== '--json'), ...own];
    try {
      expect((await run(['group', 'run', 'refused'])).stderr).toMatch(/^error: /);
      expect((await run(['group', 'run', 'refused', '--json'])).stderr).toBe(REFUSED);
    } finally {
      process.argv = before;
    }
  });

  it('gets its arguments and options, those of the group too', async () => {
    expect((await run(['group', '--json', 'run', 'done', '--deep'])).given).toEqual(['done', { json: true, deep: true }]);
    expect((await run(['group', 'run', 'done'])).given).toEqual(['done', {}]);
  });

  it.each([[['group', 'run']], [['group', 'run', 'a', 'b']], [['group', 'run', 'a', '--what']], [['group', 'other']]])(
    'refuses the wrong call %j, however deep',
    async (args) => expect(await run(args)).toMatchObject({ exit: 'usage', given: [] }),
  );
});
