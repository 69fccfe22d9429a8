import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { ChainkeeperError, OperationalError } from '../../src/domain/errors';
import type { FakeLab } from '../../src/hosts/fake/fake-lab';
import { FakeShell } from '../../src/hosts/fake/fake-shell';
import type { HostAccess } from '../../src/hosts/host-access';
import type { RemoteCommand, RemoteResult, RemoteShell } from '../../src/hosts/remote-shell';

/** What one command comes to on its way back. */
type Answer = { readonly result: RemoteResult } | { readonly error: { readonly code: string; readonly message: string } };

/** A fake host of this process that other processes reach: one host, several orchestrators that can be killed. */
export async function serveFakeHost(lab: FakeLab): Promise<{ readonly port: number; close(): void }> {
  const shell = new FakeShell(({ address }) => (address === lab.host.name ? lab.host : undefined));
  const run = async (body: string): Promise<Answer> => {
    const { host, command } = JSON.parse(body) as { host: HostAccess; command: RemoteCommand };
    const stdin = typeof command.stdin === 'object' ? Buffer.from(Object.values(command.stdin)) : command.stdin;
    return { result: await shell.run(host, { ...command, ...(stdin === undefined ? {} : { stdin }) }) };
  };
  const server = createServer((request, response) => {
    void text(request)
      .then(run)
      .catch((error: unknown): Answer => {
        const code = error instanceof ChainkeeperError ? error.code : 'host.unreachable';
        return { error: { code, message: (error as Error).message } };
      })
      .then((answer) => response.end(JSON.stringify(answer)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, close: () => (server.closeAllConnections(), server.close()) };
}

/** The shell of such a host, in the other process. */
export class RemoteFakeShell implements RemoteShell {
  constructor(private readonly port: number) {}

  async run(host: HostAccess, command: RemoteCommand): Promise<RemoteResult> {
    const body = JSON.stringify({ host, command });
    const response = await fetch(`http://127.0.0.1:${this.port}`, { method: 'POST', body });
    const answer = (await response.json()) as Answer;
    if ('result' in answer) return answer.result;
    throw new OperationalError(answer.error.code, 'unreachable', answer.error.message);
  }

  async close(): Promise<void> {}
}
