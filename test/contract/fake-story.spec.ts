import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../../src/cli/client';
import { CLUSTER } from '../../src/hosts/fake/cluster-map';
import type { FakeLab } from '../../src/hosts/fake/fake-lab';
import { startService } from '../../src/main';
import { Stage } from '../story/stage';
import { deviations, isIdentical, playStory, type StoryPoint, type StoryStage } from '../story/story';
import { type NodeScript, startScript } from '../support/node-script';
import { serviceConfig } from '../support/service-config';

/** The story that e2e plays on a real host, on the fake one: what quickstart shows where no KVM host can be had. */
describe('the story on the fake host', () => {
  let folder: string;
  let story: StoryStage;
  let lab: FakeLab;
  let points: StoryPoint[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'chainkeeper-fake-story-'));
    const stage = await Stage.open({ kind: 'fake', folder, name: 'told' });
    const service = await startService(serviceConfig({ kind: 'sqlite', path: join(folder, 'books.sqlite') }), stage.adapters);
    try {
      const client = new Client({ url: service.url });
      await stage.register(client, { dialect: 'seed', fullEvery: 10 });
      story = stage.story(client, () => undefined);
      lab = story.lab as FakeLab;
      points = await playStory(story);
    } finally {
      await service.close();
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('leads to the same: every point for the right reason, identical byte for byte', () => {
    expect(deviations(points)).toEqual([]);
  });

  test('leaves nothing behind but the last bitmap', async () => {
    expect(await lab.leaks([points.at(-1)?.backup.chain.bitmap ?? ''])).toEqual([]);
  });

  test('one byte that differs is told, in the point that has it and in those that stand on it', async () => {
    const second = points[1]?.backup;
    const file = [...(lab.host.nases.values().next().value?.files ?? [])].find(([path]) =>
      path.startsWith(`${second?.externalId}/${second?.disks[0]?.file}`),
    );
    file?.[1].image?.fill(0xff, 24 * 16 * CLUSTER + 2 * CLUSTER, 1);
    const compared = await Promise.all(
      points.map(async (point, index) => ({ ...point, identical: await isIdentical(story, point.backup, `point-${index + 1}`) })),
    );
    expect(deviations(compared)).toEqual([
      expect.stringMatching(/^2\. .*bytes differ/),
      expect.stringMatching(/^3\. .*bytes differ/),
    ]);
  });
});

describe('quickstart on the fake host', () => {
  const start = (...words: string[]): NodeScript => startScript('test/story/quickstart.ts', words);
  const foldersOf = (pid: number): string[] =>
    readdirSync(tmpdir()).filter((name) => name.startsWith(`chainkeeper-quickstart-${pid}-`));

  test('says so in every line that shows a result, stays up until told to stop, and cleans up however often it is told', async () => {
    const child = start('--fake');
    await child.line('FAKE HOST | The service stays up');
    const url = (await child.line('The service listens at ')).split(' ')[4]?.replace(',', '') ?? '';
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    for (let times = 0; times < 3; times += 1) process.kill(child.pid, 'SIGINT');
    const { code, out, err } = await child.end();
    expect([code, err, foldersOf(child.pid)]).toEqual([0, '', []]);
    expect(out).toContain('FAKE HOST | All 7 restore points are identical');
    const results = out.split('\n').filter((line) => /FULL|INCREMENTAL|identical|REASON/.test(line));
    expect(results.length).toBeGreaterThanOrEqual(16);
    expect(results.filter((line) => !line.startsWith('FAKE HOST | '))).toEqual([]);
  });

  test('interrupted it cleans up, what a killed one before it has left too, and its exit code says that the story was cut short', async () => {
    const { pid: gone } = spawnSync('true');
    mkdirSync(join(tmpdir(), `chainkeeper-quickstart-${gone}-left`));
    const child = start('--fake', '--once');
    await child.line('FAKE HOST | 2.');
    process.kill(child.pid, 'SIGINT');
    expect(await child.end()).toMatchObject({ code: 130, err: '', out: expect.stringContaining('Nothing is left') });
    expect([...foldersOf(child.pid), ...foldersOf(gone)]).toEqual([]);
  });
});
