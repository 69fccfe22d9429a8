import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../../src/cli/client';
import { startService } from '../../src/main';
import { describeDatabases } from '../support/databases';
import { leftovers } from '../support/leftovers';
import { serviceConfig } from '../support/service-config';
import { FULL } from '../support/thorough';
import { Stage } from '../story/stage';
import { auditOf, deviations, playStory, type StoryPoint } from '../story/story';

// A story takes a minute or two: each dialect and each database once, every combination in the full run.
const DIALECTS = { sqlite: ['seed'], mariadb: ['final'] } as const;

/** The story on a real host, real SSH, both dialects, both databases: the main test of the product. */
describeDatabases('the story', (databases) => {
  describe.each(FULL ? (['seed', 'final'] as const) : DIALECTS[databases.kind])('in the %s dialect', (dialect) => {
    let points: StoryPoint[] = [];
    let restarts: (number | null)[] = [];
    let left: string[] = ['not looked at'];

    beforeAll(async () => {
      const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-e2e-'));
      const stage = await Stage.open({ kind: 'real', folder, name: `${dialect}${databases.kind}` });
      try {
        const service = await startService(serviceConfig(await databases.fresh()), stage.adapters);
        try {
          const client = new Client({ url: service.url });
          await stage.register(client, { dialect, fullEvery: 10 });
          points = await playStory(stage.story(client, () => undefined));
          const audit = await auditOf(client, stage.vm);
          restarts = points.map(({ backup }) => audit.get(backup.id)?.restarts ?? null);
          const last = points.at(-1)?.backup.chain.bitmap;
          left = await leftovers(stage.lab, last ? [last] : []);
        } finally {
          await service.close();
        }
      } finally {
        await stage.close();
        rmSync(folder, { recursive: true, force: true });
      }
    }, 600_000);

    it('takes a restore point at every step, each for the right reason, identical byte for byte', () => {
      expect(deviations(points)).toEqual([]);
    });

    it('compared every disk of every point', () => {
      expect(points.map(({ identical, backup }) => [identical, backup.disks.length])).toEqual(points.map(() => [true, 2]));
      expect(points).toHaveLength(7);
    });

    it('books the restarts that were seen', () => {
      expect(restarts).toEqual([0, 0, 1, 0, 1, 1, 0]);
    });

    it('leaves no mount, job, lock, partial file or checkpoint behind', () => {
      expect(left).toEqual([]);
    });
  });
});
