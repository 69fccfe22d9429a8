import type { HostAccess } from './host-access';
import { INSTALL_PROGRAM, installScript } from './install-script';
import type { RemoteCommand, RemoteResult, RemoteShell } from './remote-shell';

const SCRIPT = {
  file: '/src/agent/nasbackup.sh',
  content: Buffer.from('#!/bin/bash\n'),
  version: '1.0.0',
  sha256: 'a'.repeat(64),
};
const PATH = '/usr/local/lib/chainkeeper/nasbackup.sh';
const HOST: HostAccess = {
  id: 'h',
  name: 'kvm1',
  address: '10.0.0.1',
  port: 22,
  user: 'chainkeeper',
  privateKeyFile: null,
  agentSocket: null,
  fingerprint: null,
  knownHostsFile: null,
  scriptPath: PATH,
  stock: null,
  dialect: 'seed',
};

type Answer = Partial<RemoteResult> | undefined;

/** Answers by the words of the command; what nobody answers ends with exit 1. */
class ScriptedShell implements RemoteShell {
  readonly calls: RemoteCommand[] = [];
  constructor(private readonly answer: (line: string, user: string) => Answer) {}

  async run(host: HostAccess, command: RemoteCommand): Promise<RemoteResult> {
    this.calls.push(command);
    const found = this.answer(command.argv.join(' '), host.user);
    return { stdout: '', stderr: '', exit: found ? 0 : 1, signal: null, truncated: false, ...found };
  }
  async close(): Promise<void> {}
}

const folders = (more = ''): string => `0 755 /\n0 755 /usr\n0 755 /usr/local\n${more}`;
const stat = (line: string): boolean => line.startsWith('stat -L');

describe('installScript', () => {
  test.each([
    ['somebody else’s', '1000 755 /usr/local/lib\n'],
    ['writable for a group', '0 775 /usr/local/lib\n'],
    ['writable for all', '0 777 /usr/local/lib\n'],
  ])('refuses a folder that is %s: who can change it could become root', async (_what, line) => {
    const shell = new ScriptedShell((command) => (stat(command) ? { stdout: folders(line) } : undefined));
    await expect(installScript(shell, HOST, { as: 'root' }, SCRIPT)).rejects.toMatchObject({
      code: 'host.install-unsafe',
      kind: 'refused',
    });
    expect(shell.calls).toHaveLength(1);
  });

  test('takes a folder like /tmp, where nobody can replace what is another’s', async () => {
    const shell = new ScriptedShell((command) => {
      if (stat(command)) return { stdout: '0 755 /\n0 1777 /tmp\n' };
      return command.startsWith('sha256sum') ? { stdout: `${SCRIPT.sha256}  x\n` } : { stdout: '0 755 regular file\n' };
    });
    const done = await installScript(shell, { ...HOST, scriptPath: '/tmp/ck/nasbackup.sh' }, {}, SCRIPT);
    expect(done).toMatchObject({ changed: false, permitted: true });
  });

  test('a file that lies there but is not root’s alone is replaced', async () => {
    const shell = new ScriptedShell((command) => {
      if (stat(command)) return { stdout: folders() };
      if (command.startsWith('sha256sum')) return { stdout: `${SCRIPT.sha256}  x\n` };
      return command.startsWith('stat -c') ? { stdout: '1000 775 regular file\n' } : {};
    });
    expect(await installScript(shell, HOST, { as: 'root' }, SCRIPT)).toMatchObject({ changed: true });
    const [put] = shell.calls.filter(({ argv }) => argv.includes(INSTALL_PROGRAM));
    expect(put?.argv.slice(-2)).toEqual([PATH, SCRIPT.sha256]);
    expect(put?.stdin).toBe(SCRIPT.content);
  });

  test('what lies there afterwards is looked at again', async () => {
    const shell = new ScriptedShell((command) => {
      if (stat(command)) return { stdout: folders() };
      return command.startsWith('sha256sum') ? { stdout: `${'b'.repeat(64)}  x\n` } : {};
    });
    await expect(installScript(shell, HOST, { as: 'root' }, SCRIPT)).rejects.toMatchObject({ code: 'host.install-failed' });
  });

  test('a dry run changes nothing', async () => {
    const shell = new ScriptedShell((command) => (stat(command) ? { stdout: folders() } : undefined));
    const dry = await installScript(shell, HOST, { as: 'root', dryRun: true }, SCRIPT);
    expect(dry).toMatchObject({ changed: true, before: null, dryRun: true, permitted: false });
    expect(shell.calls.some(({ argv }) => argv.includes(INSTALL_PROGRAM))).toBe(false);
  });

  test.each([['stat -L'], ['sha256sum'], ['sudo -n -l']])(
    'a connection lost at %s is no licence to say what is there',
    async (lost) => {
      const shell = new ScriptedShell((command) => {
        if (command.startsWith(lost)) return { exit: null };
        if (stat(command)) return { stdout: folders() };
        return command.startsWith('sha256sum') ? { stdout: `${SCRIPT.sha256}  x\n` } : { stdout: '0 755 regular file\n' };
      });
      await expect(installScript(shell, HOST, { dryRun: true }, SCRIPT)).rejects.toMatchObject({ code: 'host.outcome-unknown' });
    },
  );

  test.each([
    ['/usr/lib/../nasbackup.sh', 'chainkeeper'],
    ['relative.sh', 'chainkeeper'],
    ['/usr/lib/a b.sh', 'chainkeeper'],
    ['/usr/lib/a,b.sh', 'chainkeeper'],
    [PATH, 'ALL'],
    [PATH, 'x ALL=(ALL) NOPASSWD: ALL\nx'],
  ])('a path or a user that would be another sudoers line is refused: %j %j', async (scriptPath, user) => {
    const shell = new ScriptedShell(() => ({}));
    await expect(installScript(shell, { ...HOST, scriptPath, user }, {}, SCRIPT)).rejects.toMatchObject({
      code: 'host.install-name',
    });
    expect(shell.calls).toHaveLength(0);
  });
});
