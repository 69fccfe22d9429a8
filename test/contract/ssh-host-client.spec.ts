import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ScriptHostClient } from '../../src/hosts/script-host-client';
import { SshShell } from '../../src/hosts/ssh/ssh-shell';
import { RealLab } from '../lab/lab';
import { defineHostClientContract } from './host-client.contract';
import { TcpProxy } from '../support/tcp-proxy';

defineHostClientContract('ssh', async () => {
  const id = process.pid % 100000;
  const lab = new RealLab(join(tmpdir(), `ck-contract-${process.pid}`), `ckc${id}`);
  await lab.up();
  const direct = await lab.access();
  const admin = await lab.accessOf(`cka${id}`);
  const sudoers = `/etc/sudoers.d/chainkeeper-contract-${id}`;
  await writeFile(sudoers, `${admin.user} ALL=(ALL) NOPASSWD: ALL\n`, { mode: 0o440 });
  const proxy = await TcpProxy.before(direct.address, direct.port);
  const host = { ...direct, port: proxy.port };
  const warnings: string[] = [];
  const client = new ScriptHostClient(new SshShell(), { warn: (_host, text) => warnings.push(text) });
  return {
    lab,
    client,
    warnings,
    host,
    admin,
    freshPath: join(lab.folder, 'new/chainkeeper/nasbackup.sh'),
    acceptsSudoers: async (line) => {
      const file = join(lab.folder, 'sudoers-line');
      await writeFile(file, `${line}\n`, { mode: 0o440 });
      return promisify(execFile)('visudo', ['-c', '-q', '-f', file]).then(
        () => true,
        () => false,
      );
    },
    cutDuring: async (work) => {
      const before = proxy.connections;
      proxy.cutAtCommand();
      await expect(work()).rejects.toMatchObject({ code: 'host.outcome-unknown' });
      await client.status(host, { jobId: 'any' });
      expect(proxy.connections).toBe(before + 1);
    },
    close: async () => {
      await client.close();
      await proxy.close();
      await rm(sudoers, { force: true });
      await lab.down();
    },
  };
});
