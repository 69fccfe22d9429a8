import type { HostAccess } from './host-access';
import type { RemoteResult } from './remote-shell';
import { ScriptHostClient } from './script-host-client';

const HOST = { name: 'kvm1', user: 'chainkeeper', scriptPath: '/x', stock: null, dialect: 'seed' } as HostAccess;

describe('ScriptHostClient', () => {
  const said = (exit: number | null, stdout = '', stderr = ''): RemoteResult => ({
    ...{ exit, stdout, stderr, signal: null, truncated: false },
  });
  const own = (code: string): RemoteResult => said(1, JSON.stringify({ v: 1, error: { code, message: code } }));
  const fork = said(254, '', 'bash: fork: retry: Resource temporarily unavailable');

  it.each([
    ['the shell, which knows nothing of the first', fork, { code: 'host.outcome-unknown' }],
    ['the script, which may have started it and then failed', own('internal'), { code: 'host.outcome-unknown' }],
    ['the script, which has started none', own('bad-option'), { code: 'host.script-failed', facts: { script: 'bad-option' } }],
  ])('a start whose end nobody saw is given again, and then refused by %s', async (_, second, expected) => {
    const answers = [said(null), second];
    const client = new ScriptHostClient({
      run: () => Promise.resolve(answers.shift() ?? fork),
      close: async () => undefined,
    });
    await expect(client.start(HOST, { jobId: 'run-1', fence: 1, argv: ['-o', 'backup'] })).rejects.toMatchObject(expected);
  });

  it('repeats no secret, should something on the host answer with it', async () => {
    const sent: string[] = [];
    const client = new ScriptHostClient({
      run: async (_host, { stdin }) => {
        sent.push(String(stdin));
        return { stdout: `mount said hunter2, ${String(stdin)}`, stderr: 'hunter2', exit: 0, signal: null, truncated: false };
      },
      close: async () => undefined,
    });
    const repository = { type: 'cifs', address: '//nas/x', options: 'username=bob,password=hunter2' };
    const error = await client.check(HOST, repository).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'host.bad-answer', facts: { stderr: '***' } });
    expect(JSON.stringify(error)).not.toContain('hunter2');
    expect(sent.join()).toContain('hunter2');
  });
});
