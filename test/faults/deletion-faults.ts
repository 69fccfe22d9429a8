import { existsSync, lstatSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackupWithEvidenceDto } from '../../src/backups/dto/backup.dto';
import type { RunDto } from '../../src/runs/dto/run.dto';
import { waitForRun } from '../story/story';
import { away } from './database-faults';
import { begunAs, letGoInTheEnd, refused, wrongWith } from './errands';
import { expectRefusal } from './expect-refusal';
import type { Fault } from './fault';
import { serviceKilled, trimmed } from './restore-faults';
import type { Errand, Step, Stricken } from './stricken';

/**
 * What is deleted of a chain of three, and what is so before. But for `middle`, where the chain goes on, and `older chain`, beside which a
 * newer one stands, the owner of the VM's active checkpoint goes with it.
 */
type Which = 'leaf' | 'middle' | 'last child' | 'forced chain' | 'older chain';

/** The links of the chain that is deleted from, and which of them is; of the fault that strikes now. */
let chain: readonly BackupWithEvidenceDto[] = [];
let target: BackupWithEvidenceDto;

const ASKED: Readonly<Record<Which, number>> = { leaf: 2, middle: 1, 'last child': 2, 'forced chain': 0, 'older chain': 0 };
const GONE: Readonly<Record<Which, readonly number[]>> = {
  leaf: [2],
  middle: [],
  'last child': [2, 1],
  'forced chain': [2, 1, 0],
  'older chain': [2, 1, 0],
};

/** A deletion out of a chain of its own. */
const deleting = (which: Which): Errand => {
  const ids = (places: readonly number[]): string[] => places.map((place) => chain[place]?.id ?? '');
  const ask = async ({ client }: Stricken): Promise<RunDto> =>
    (await client.send<RunDto>('DELETE', `/backups/${target.id}?forced=${which.endsWith('chain')}`)).body;
  return {
    begin: async (host, step) => {
      chain = await host.chain(3);
      target = chain[ASKED[which]] as BackupWithEvidenceDto;
      if (which === 'last child') {
        const [middle = ''] = ids([1]);
        const { body } = await host.client.send<RunDto>('DELETE', `/backups/${middle}`);
        await waitForRun(host.client, body.id);
        host.letGo([middle]);
      }
      if (which === 'older chain') await host.backup({ mode: 'full' });
      const stands = await host.standAt(step);
      const { id } = await ask(host);
      await stands();
      return begunAs(id);
    },
    end: async (host, { run }) => {
      const outcome = await letGoInTheEnd(host.client, run, () => ask(host));
      const wrong = await wrongWith(host, ids(GONE[which]), which === 'middle' ? ids([1]) : []);
      return { outcome, points: 4, wrong };
    },
  };
};

/** The VM's active checkpoint went with its owner. */
const CHAIN_CLOSED = /^FULL bitmap-unconfirmed$/;

const at = (
  which: Which,
  step: Step,
  what: string,
  outcomes: RegExp,
  fault: Pick<Fault, 'strike' | 'mend' | 'quick' | 'books'>,
): Fault => ({
  ...{ what: `${which}: ${what}`, step, outcomes, errand: deleting(which) },
  ...(which === 'middle' || which === 'older chain' ? {} : { next: CHAIN_CLOSED }),
  ...fault,
});

const killService = (which: Which, step: Step, quick = false): Fault =>
  at(which, step, 'the service is killed (-9), another one comes', /^succeeded$/, { strike: serviceKilled, quick });

const killDatabase = (which: Which, step: Step): Fault =>
  at(which, step, 'the database server is killed (-9) and started again', /^succeeded$/, {
    books: ['mariadb'],
    strike: ({ databases }) => databases.server().end('SIGKILL'),
    mend: away(({ databases }) => databases.server().startAgain()),
  });

/** What the script has left there goes with a sweep. */
const swept = async (host: Stricken, job: string): Promise<void> => {
  await waitForRun(host.client, job);
  await host.client.send('POST', `/hosts/${host.host}/sweep`);
};

const directory = ({ nas }: Stricken): string => join(nas, target.externalId ?? '');
const rootFile = (host: Stricken): string => join(directory(host), target.disks[0]?.file ?? '');
const beside = ({ lab }: Stricken): string => join(lab.folder, 'images/theirs');

const SIGNALLED = /^failed (deletion\.failed|host\.outcome-unknown); again: succeeded$/;

/** What becomes of a deletion. */
export const DELETION_FAULTS: readonly Fault[] = [
  killService('leaf', 'decided'),
  killService('forced chain', 'hiding'),
  killService('middle', 'hiding'),
  killService('leaf', 'before removal'),
  killService('leaf', 'removed'),
  killService('last child', 'recording removal'),
  killService('last child', 'between two links'),
  killService('forced chain', 'between two links', true),
  killService('older chain', 'between two links'),
  killService('leaf', 'before retire'),
  killService('leaf', 'retired'),
  ...(['files go', 'its directory goes'] as const).map((step) =>
    at('leaf', step, 'the service is killed (-9), another one deletes it, and then the first script goes on', /^succeeded$/, {
      strike: async (host, job) => {
        await serviceKilled(host, job, '');
        await waitForRun(host.client, job);
      },
    }),
  ),
  ...(['files go', 'its directory goes'] as const).map((step) =>
    at('last child', step, 'the script is killed (-9)', SIGNALLED, {
      strike: ({ tool }) => Promise.resolve(tool.signal('SIGKILL')),
      mend: swept,
    }),
  ),
  at('older chain', 'files go', 'the script is killed (-9)', SIGNALLED, {
    strike: ({ tool }) => Promise.resolve(tool.signal('SIGKILL')),
    mend: swept,
  }),
  at('leaf', 'files go', 'TERM from an operator', SIGNALLED, {
    strike: ({ tool }) => Promise.resolve(tool.signal('SIGTERM')),
  }),
  ...(['before removal', 'between two links'] as const).map((step) =>
    at('forced chain', step, 'the NAS is gone', /^failed deletion\.failed; again: succeeded$/, {
      strike: (host) => Promise.resolve(renameSync(host.nas, `${trimmed(host.nas)}.away`)),
      mend: async (host, job) => {
        await waitForRun(host.client, job);
        renameSync(`${trimmed(host.nas)}.away`, host.nas);
      },
    }),
  ),
  ...(['before removal', 'files go', 'its directory goes'] as const).map((step) =>
    at('leaf', step, 'the NAS hangs for five seconds and answers again', /^succeeded$/, {
      strike: (host) => host.line('0'),
      mend: async (host) => {
        await sleep(5000);
        await host.line('unlimited');
      },
    }),
  ),
  killDatabase('forced chain', 'hiding'),
  killDatabase('leaf', 'before removal'),
  killDatabase('leaf', 'removed'),
  killDatabase('last child', 'recording removal'),
  killDatabase('older chain', 'between two links'),
  at('leaf', 'before removal', 'notes and a link of somebody lie in its directory', /^succeeded$/, {
    strike: (host) => {
      writeFileSync(beside(host), THEIRS);
      writeFileSync(join(directory(host), 'notes'), THEIRS);
      symlinkSync(beside(host), join(directory(host), 'link'));
      return Promise.resolve();
    },
    mend: async (host, job) => {
      const { warnings } = await waitForRun(host.client, job);
      for (const name of ['notes', 'link', 'manifest.json'])
        if (lstatSync(join(directory(host), name), { throwIfNoEntry: false }) === undefined) throw new Error(`${name} went`);
      if (existsSync(rootFile(host))) throw new Error('a file of the backup stayed');
      if (!warnings.some((text) => text.includes('left on the NAS'))) throw new Error(`nobody tells: ${warnings.join('; ')}`);
      untouched(host);
      rmSync(directory(host), { recursive: true });
    },
  }),
  at('leaf', 'before removal', 'a link lies under the name of one of its files', /^succeeded$/, {
    strike: (host) => {
      writeFileSync(beside(host), THEIRS);
      rmSync(rootFile(host));
      symlinkSync(beside(host), rootFile(host));
      return Promise.resolve();
    },
    mend: async (host, job) => {
      const { warnings } = await waitForRun(host.client, job);
      if (!warnings.some((text) => text.includes(basename(rootFile(host)))))
        throw new Error(`nobody tells: ${warnings.join('; ')}`);
      untouched(host);
      rmSync(directory(host), { recursive: true });
    },
  }),
  at(
    'leaf',
    'before removal',
    'a backup, a restore, its protection and another deletion are asked for meanwhile',
    /^succeeded$/,
    {
      strike: async ({ client, vm }) => {
        const [full] = chain;
        await expectRefusal(client.send('POST', '/backups', { vm }), 'run.active');
        await expectRefusal(client.send('POST', '/restores', { backup: full?.id, way: 'new-disks', to: '/tmp' }), 'run.active');
        await expectRefusal(client.send('PUT', `/backups/${target.id}/protection`, { by: 'ops', why: 'late' }), 'run.active');
        await expectRefusal(client.send('DELETE', `/backups/${full?.id}?forced=true`), 'run.active');
      },
    },
  ),
  refused('one that is protected, by itself and with its chain', 'deletion.protected', async (host) => {
    const [full, leaf] = await host.chain(2);
    const protection = `/backups/${leaf?.id}/protection`;
    await host.client.send('PUT', protection, { by: 'ops', why: 'a court wants it' });
    try {
      await expectRefusal(host.client.send('DELETE', `/backups/${leaf?.id}?acceptLoss=true`), 'deletion.protected');
      return await host.client.send('DELETE', `/backups/${full?.id}?forced=true&acceptLoss=true`);
    } finally {
      await host.client.send('DELETE', protection);
    }
  }),
];

const THEIRS = 'somebody else’s\n';
function untouched(host: Stricken): void {
  if (readFileSync(beside(host), 'utf8') !== THEIRS) throw new Error(`${beside(host)} was changed`);
  rmSync(beside(host));
}
