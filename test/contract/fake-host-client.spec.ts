import { FakeLab } from '../../src/hosts/fake/fake-lab';
import { defineHostClientContract } from './host-client.contract';

defineHostClientContract('fake', async () => {
  const lab = new FakeLab();
  await lab.up();
  lab.host.paceMs = 5;
  lab.host.admins.add('administrator');
  const warnings: string[] = [];
  const client = lab.client({ warn: (_host, text) => warnings.push(text) });
  const host = await lab.access();
  return {
    lab,
    client,
    warnings,
    host,
    admin: { ...host, user: 'administrator' },
    freshPath: '/usr/local/lib/chainkeeper-new/nasbackup.sh',
    acceptsSudoers: async (line) => /^[a-z_][a-z0-9_-]* ALL=\(root\) NOPASSWD: \/[A-Za-z0-9._/-]+$/.test(line),
    cutDuring: async (work) => {
      lab.host.faults.add({ kind: 'lost-after', on: 'status' });
      await expect(work()).rejects.toMatchObject({ code: 'host.outcome-unknown' });
    },
    close: async () => {
      await client.close();
      await lab.down();
    },
  };
});
