import type { HostAccess } from './host-access';
import { ScriptHostClient } from './script-host-client';

const HOST = { name: 'kvm1', user: 'chainkeeper', scriptPath: '/x', stock: null, dialect: 'seed' } as HostAccess;

describe('ScriptHostClient', () => {
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
