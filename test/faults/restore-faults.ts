import { closeSync, openSync, readSync, renameSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackupWithEvidenceDto } from '../../src/backups/dto/backup.dto';
import type { ChecksumsDto } from '../../src/backups/dto/checksums.dto';
import type { RestoreWay } from '../../src/domain/restore/restore-plan';
import type { RestoreDto } from '../../src/restores/dto/restore.dto';
import { waitForRun } from '../story/story';
import { until } from '../support/brake';
import { expectRefusal } from './expect-refusal';
import type { Fault } from './fault';
import { pastLease, type Step, type Stricken } from './stricken';

/** A volume that came back has no bitmaps: the backup after it is a full. */
const AFTER_SWAP = /^FULL /;
/** A VM that was stopped and started with its own volumes goes on with its chain. */
const AFTER_STOP = /^INCREMENTAL /;

const nextOf = (way: RestoreWay, outcomes: RegExp): RegExp => {
  if (way !== 'in-place') return /^INCREMENTAL regular$/;
  return outcomes.test('succeeded') ? AFTER_SWAP : AFTER_STOP;
};

export const at = (
  way: RestoreWay,
  step: Step,
  what: string,
  outcomes: RegExp,
  fault: Pick<Fault, 'strike' | 'mend' | 'before' | 'afterwards' | 'quick' | 'wishes' | 'next'>,
): Fault => ({
  ...{ what: `${way}: ${what}`, restores: way, step, outcomes, next: nextOf(way, outcomes) },
  ...fault,
});

export const serviceKilled: Fault['strike'] = async (host) => {
  await host.service.kill();
  await host.serve();
};

export const killOperation: Fault['strike'] = async (host, job) => {
  let pid = 0;
  await until(() => {
    try {
      return Promise.resolve((pid = -host.runnerOf(job)) !== 0);
    } catch {
      return Promise.resolve(false);
    }
  }, 'nothing of the job runs');
  process.kill(pid, 'SIGKILL');
};

/** Before anything is touched: the files under the point were hashed, and one of them is not what it was. */
export const byteFlipped = (way: RestoreWay, quick = false): Fault =>
  at(way, 'decided', 'one byte in a link under it is flipped, and there are checksums', /^failed checksum-mismatch$/, {
    quick,
    strike: async (host, job) => {
      await readUnder(host, job, false);
      flip(await fileUnder(host, job));
    },
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      flip(await fileUnder(host, job));
      await readUnder(host, job, true);
    },
  });

export const volumesHeld = (step: Step): Fault =>
  at('in-place', step, 'its owner starts the VM, and cannot: its volumes are held', /^succeeded$/, {
    strike: async ({ lab, vm }) => {
      const answer = await lab.vmStart(vm).then(
        () => 'it was started',
        (error: unknown) => (error as Error).message,
      );
      if (!/another process using the image/.test(answer)) throw new Error(answer);
    },
  });

/** What becomes of a restore, its host and its NAS. */
export const RESTORE_FAULTS: readonly Fault[] = [
  ...(['decided', 'script started', 'copying', 'exit code unread'] as const).flatMap((step): Fault[] => [
    at('new-disks', step, 'the service is killed (-9), another one comes', /^succeeded$/, { strike: serviceKilled }),
    at('in-place', step, 'the service is killed (-9), another one comes', /^succeeded$/, { strike: serviceKilled }),
  ]),
  at(
    'in-place',
    'exit code unread',
    'the service stands still past its lease, another one takes over, it goes on',
    /^succeeded$/,
    {
      strike: async (host) => {
        const sleeper = host.service;
        process.kill(sleeper.pid, 'SIGSTOP');
        await pastLease();
        await host.serve();
        await sleep(3000);
        process.kill(sleeper.pid, 'SIGCONT');
        host.go(sleeper);
        await sleep(1000);
        await sleeper.kill();
      },
    },
  ),
  ...(['new-disks', 'in-place'] as const).map((way) =>
    at(way, 'copying', 'the script is killed (-9) with all that belongs to it', /^failed outcome-lost$/, {
      strike: killOperation,
    }),
  ),
  at('in-place', 'copying', 'somebody cancels it', /^cancelled job-cancelled$/, {
    strike: async (host, job) => {
      await host.client.send('POST', `/runs/${job}/abort`);
    },
  }),
  at('in-place', 'copying', 'the NAS hangs for five seconds and answers again', /^succeeded$/, {
    strike: (host) => host.line('0'),
    mend: async (host) => {
      await sleep(5000);
      await host.line('unlimited');
    },
  }),
  at('in-place', 'copying', 'the NAS hangs, and somebody cancels it', /^cancelled job-cancelled$/, {
    strike: async (host, job) => {
      await host.line('0');
      await host.client.send('POST', `/runs/${job}/abort`);
    },
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      await host.line('unlimited');
    },
  }),
  at('new-disks', 'copying', 'sshd and its connections killed (-9), started again after a while', /^succeeded$/, {
    strike: async ({ lab }) => {
      await lab.verb('sshd-kill');
    },
    mend: async ({ lab }) => {
      await sleep(2000);
      await lab.access();
    },
  }),
  at('in-place', 'decided', 'the NAS is gone', /^failed mount-failed$/, {
    strike: (host) => Promise.resolve(renameSync(host.nas, `${trimmed(host.nas)}.away`)),
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      renameSync(`${trimmed(host.nas)}.away`, host.nas);
    },
  }),
  at('in-place', 'decided', 'a file of its chain is missing', /^failed chain-missing$/, {
    strike: async (host, job) => {
      const file = await fileUnder(host, job);
      renameSync(file, `${file}.away`);
    },
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      const file = await fileUnder(host, job);
      renameSync(`${file}.away`, file);
      await readUnder(host, job, false);
    },
  }),
  byteFlipped('in-place', true),
  volumesHeld('copying'),
  at('in-place', 'copying', 'a backup, another restore and a deletion are asked for meanwhile', /^succeeded$/, {
    strike: async (host, job) => {
      const { id } = await restoredBy(host, job);
      const { client, vm } = host;
      await expectRefusal(client.send('POST', '/backups', { vm }), 'run.active');
      await expectRefusal(client.send('POST', '/restores', { backup: id, way: 'in-place' }), 'run.active');
      await expectRefusal(client.send('DELETE', `/backups/${id}`), 'run.active');
    },
  }),
];

export const trimmed = (path: string): string => path.replace(/\/$/, '');

/** The point that a restore brings back, with its parent's id; a full's is its own. */
async function restoredBy({ client }: Stricken, job: string): Promise<BackupWithEvidenceDto & { parentId: string }> {
  const { backup: restored } = await client.get<RestoreDto>(`/restores/${job}`);
  const backup = await client.get<BackupWithEvidenceDto>(`/backups/${restored}`);
  return { ...backup, parentId: backup.chain.parentId ?? backup.id };
}

/** The root disk's file of the link under the point. */
export async function fileUnder(host: Stricken, job: string): Promise<string> {
  const { parentId } = await restoredBy(host, job);
  const { externalId, disks } = await host.client.get<BackupWithEvidenceDto>(`/backups/${parentId}`);
  return join(host.nas, externalId ?? '', disks[0]?.file ?? '');
}

/** Has the files of the link under the point read: the books believe what was met until somebody has looked again. */
export async function readUnder(host: Stricken, job: string, verify: boolean): Promise<void> {
  const { parentId } = await restoredBy(host, job);
  const path = `/backups/${parentId}/checksums`;
  await host.client.send('POST', `${path}?verify=${verify}`, {});
  await until(async () => {
    const { reading, hashed } = await host.client.get<ChecksumsDto>(path);
    return reading === null && hashed !== null;
  }, 'its files are read');
}

/** One bit of its data, which qemu-img check does not notice. */
function flip(file: string): void {
  const handle = openSync(file, 'r+');
  const place = statSync(file).size - 4096;
  const byte = Buffer.alloc(1);
  readSync(handle, byte, 0, 1, place);
  writeSync(handle, Buffer.from([byte.readUInt8() ^ 1]), 0, 1, place);
  closeSync(handle);
}
