import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackupWithEvidenceDto } from '../../src/backups/dto/backup.dto';
import { Client } from '../../src/cli/client';
import { BackupRepositoryRow } from '../../src/database/entities/backup-repository-row';
import { BackupScheduleRow } from '../../src/database/entities/backup-schedule-row';
import { Backups } from '../../src/database/repositories/backups';
import { type Lease, Leases } from '../../src/database/repositories/leases';
import { Schedules } from '../../src/database/repositories/schedules';
import { Protections } from '../../src/database/repositories/protections';
import { OperationalError } from '../../src/domain/errors';
import type { EventDto } from '../../src/events/dto/event.dto';
import { startService } from '../../src/main';
import type { RetentionPlanDto } from '../../src/retention/dto/retention.dto';
import type { SimulationDto } from '../../src/retention/dto/simulation.dto';
import type { RunDto } from '../../src/runs/dto/run.dto';
import { Stage } from '../story/stage';
import { isIdentical, takeBackup, waitForRun } from '../story/story';
import { until } from '../support/brake';
import { describeDatabases } from '../support/databases';
import { FakeService, type HttpAnswer } from '../support/fake-service';
import { serviceConfig } from '../support/service-config';

jest.setTimeout(300_000);

const KIB = 1024;
const MIB = 1024 * KIB;

/** Policies and what becomes of points by them, as a client meets it; the fake host stands in for a hypervisor. */
describeDatabases('retention', (databases) => {
  let service: FakeService;
  beforeEach(async () => {
    service = await FakeService.start(await databases.fresh());
    await service.register({ offering: { fullEvery: 3 } });
  });
  afterEach(() => service?.close());

  const policy = (of: 'vm' | 'offering', body?: object): Promise<HttpAnswer> => {
    const path = of === 'vm' ? `/vms/${service.vm}` : '/offerings/daily';
    return service.call(body === undefined ? 'DELETE' : 'PUT', `${path}/retention-policy`, body && { body });
  };
  const plan = async (query = ''): Promise<RetentionPlanDto> =>
    (await service.get(`/vms/${service.vm}/retention?${query}`)).body as RetentionPlanDto;
  const apply = (body: object): Promise<HttpAnswer> => service.post(`/vms/${service.vm}/retention`, body);
  const runs = async (): Promise<RunDto[]> => (await service.get('/runs?limit=200')).body.items as RunDto[];
  /** Backups, one after another; with `letsGo` each is followed by a run of retention, which is waited for. */
  const take = async (many = 1, letsGo = false): Promise<string[]> => {
    const ids: string[] = [];
    while (ids.length < many) {
      const { id } = (await service.backup()) as { id: string };
      ids.push(id);
      const followed = ({ cause, ended }: RunDto): boolean => cause === `backup ${id} was taken` && ended !== null;
      if (letsGo) await until(async () => (await runs()).some(followed), `what backup ${id} pushed out has gone`);
    }
    return ids;
  };
  const statuses = async (ids: readonly string[]): Promise<string[]> => {
    const { items } = (await service.get('/backups?limit=200')).body as { items: BackupWithEvidenceDto[] };
    return ids.map((id) => items.find((one) => one.id === id)?.status ?? 'gone');
  };

  it('says what was said and what holds: the VM’s, else the offering’s', async () => {
    const nothing = {
      ...{ keepLast: 0, keepHourly: 0, keepDaily: 0, keepWeekly: 0, keepMonthly: 0, keepYearly: 0 },
      minAgeHours: 0,
    };
    expect((await service.get(`/vms/${service.vm}/retention-policy`)).body).toMatchObject({
      ...{ keepLast: null, zone: null, manual: null, changed: null },
      holds: { ...nothing, zone: 'UTC', manual: false },
    });
    await policy('offering', { keepDaily: 7, minAgeHours: 5, zone: 'Europe/Berlin', manual: true });
    const own = await policy('vm', { keepLast: 2, manual: false });
    expect([own.status, own.body]).toEqual([
      200,
      expect.objectContaining({
        ...{ keepLast: 2, keepDaily: null, manual: false, changed: expect.any(String) as string },
        holds: { ...nothing, keepLast: 2, keepDaily: 7, minAgeHours: 5, zone: 'Europe/Berlin', manual: false },
      }),
    ]);
    // What is not said again is not said any more.
    expect((await policy('vm', { zone: 'Asia/Tokyo' })).body).toMatchObject({ keepLast: null, holds: { zone: 'Asia/Tokyo' } });
    expect((await policy('vm')).body).toMatchObject({
      zone: null,
      changed: null,
      holds: { keepDaily: 7, zone: 'Europe/Berlin' },
    });
    for (const wrong of [{ keepLast: -1 }, { zone: 'Nowhere' }, { manual: 'perhaps' }, { keepNone: 1 }, { keepLast: null }])
      expect([wrong, (await policy('vm', wrong)).status]).toEqual([wrong, 400]);
    expect((await service.call('PUT', '/vms/none/retention-policy', { body: {} })).body.code).toBe('vm.not-found');
    expect((await service.get('/offerings/none/retention-policy')).body.code).toBe('offering.not-found');
  });

  it('a plan is carried out by its name, and another one is refused with the name of the new one', async () => {
    const ids = await take(4);
    const shown = await plan('keepLast=1&manual=true');
    expect(shown.lines.map(({ fate }) => fate)).toEqual(['stays', 'removed', 'removed', 'removed']);
    // The same again is the same; without rules nothing goes.
    expect((await plan('keepLast=1&manual=true')).planId).toBe(shown.planId);
    expect((await plan()).steps).toEqual([]);
    const other = await apply({ plan: shown.planId, keepLast: 2, manual: true });
    expect([other.status, other.body.code, other.body.facts]).toEqual([
      409,
      'retention.plan-changed',
      { planId: (await plan('keepLast=2&manual=true')).planId },
    ]);
    expect((await apply({ plan: 'x' })).status).toBe(400);
    const [newest] = await take();
    expect((await apply({ plan: shown.planId, keepLast: 1, manual: true })).body.code).toBe('retention.plan-changed');
    expect(await statuses(ids)).toEqual(Array(4).fill('BackedUp'));
    const { planId } = await plan('keepLast=1&manual=true');
    const done = await apply({ plan: planId, keepLast: 1, manual: true });
    expect([done.status, done.headers.get('location')]).toEqual([202, `/api/v1/runs/${done.body.id}`]);
    expect(await service.ended(done.body.id as string)).toMatchObject({
      ...{ kind: 'retention', state: 'succeeded', plannedKind: 'retention', trigger: 'rest', warnings: [] },
    });
    const told = (await service.get(`/events?run=${done.body.id}`)).body.items as EventDto[];
    expect(told.map(({ kind }) => kind).reverse()).toEqual(['queued', 'started', 'retention', 'succeeded']);
    expect(told.find(({ kind }) => kind === 'retention')).toMatchObject({
      vm: service.vm,
      message: expect.stringMatching(/^4 of 5 restore points go, .*; 1 stay: keep last \(1\)\.$/) as string,
      facts: { planId, removed: ids.slice(0, 3).reverse(), hidden: ids.slice(3), stay: [{ why: 'keep last', count: 1 }] },
    });
    // The newest stands on one: that stays, hidden.
    expect(await statuses([...ids, newest ?? ''])).toEqual(['gone', 'gone', 'gone', 'Hidden', 'BackedUp']);
    expect((await plan('keepLast=1&manual=true')).steps).toEqual([]);
  });

  it('a plan that changes while its run waits is not carried out', async () => {
    const ids = await take(2);
    const { planId } = await plan('keepLast=1&manual=true');
    // Somebody works on the VM meanwhile.
    const { work } = await databases.reopen(service.config.books);
    const { vmId, id } = (await new Backups(work).findByUuid(ids[0] ?? '')) ?? { vmId: 0, id: 0 };
    const leases = new Leases(work);
    let held: Lease | null = null;
    await until(async () => {
      const answer = await leases.acquire(vmId, 'somebody', 'else', 60_000);
      held = answer.kind === 'held' ? answer.lease : null;
      return held !== null;
    }, 'the VM is free');
    const run = (await apply({ plan: planId, keepLast: 1, manual: true })).body.id as string;
    const protect = await service.call('PUT', `/backups/${ids[0]}/protection`, { body: { by: 'ops', why: 'court' } });
    expect([protect.status, protect.body.code]).toEqual([423, 'run.active']);
    await new Protections(work).set({ backupId: id, until: null, protectedBy: 'ops', why: 'court' });
    await leases.release(held as unknown as Lease);
    expect(await service.ended(run)).toMatchObject({ state: 'failed', errorCode: 'retention.plan-changed', plannedKind: null });
    expect(await statuses(ids)).toEqual(['BackedUp', 'BackedUp']);
  });

  it('after a backup what no rule keeps any more goes by itself, and what fails there fails no backup and ends with the next', async () => {
    await policy('offering', { keepLast: 2, manual: true });
    const [first = '', second = ''] = await take(2);
    const { externalId } = (await service.get(`/backups/${first}`)).body as BackupWithEvidenceDto;
    await service.lab.put(service.lab.nasFile('nas1', `${externalId}/notes`), 'mine');
    const [third = ''] = await take(1, true);
    expect((await runs())[0]).toMatchObject({
      ...{ kind: 'retention', state: 'succeeded', trigger: 'service', cause: `backup ${third} was taken` },
    });
    // Two more stand on the full.
    expect(await statuses([first, second, third])).toEqual(['Hidden', 'BackedUp', 'BackedUp']);
    service.onCommand = ({ argv }) => {
      if (argv.includes('delete')) throw new OperationalError('host.unreachable', 'unreachable', 'Host kvm1 does not answer.');
    };
    const [fourth = '', fifth = ''] = await take(2, true);
    expect((await runs()).slice(0, 2)).toMatchObject([
      { kind: 'retention', state: 'failed', errorCode: 'host.unreachable' },
      { kind: 'backup', state: 'succeeded', warnings: [] },
    ]);
    expect(await statuses([first, second, third, fourth, fifth])).toEqual([
      ...['Hidden', 'Hidden', 'Hidden', 'BackedUp', 'BackedUp'],
    ]);
    service.onCommand = () => undefined;
    const [sixth = ''] = await take(1, true);
    expect(await statuses([first, second, third, fourth, fifth, sixth])).toEqual([
      ...['gone', 'gone', 'gone', 'Hidden', 'BackedUp', 'BackedUp'],
    ]);
    expect((await runs())[0]).toMatchObject({
      ...{ kind: 'retention', state: 'succeeded' },
      warnings: [`left on the NAS, no file of the backup: ${externalId}/notes`],
    });
    // A policy that is taken back lets nothing go.
    await policy('offering');
    const before = (await runs()).length;
    await take();
    expect((await runs()).length).toBe(before + 1);
  });

  it('looks ahead on the real chains, by the rules that hold, those that are asked for, and the VM’s schedules', async () => {
    await policy('vm', { keepLast: 2, manual: true });
    const [first] = await take(2, false);
    const look = async (query: string): Promise<SimulationDto> =>
      (await service.get(`/vms/${service.vm}/retention/simulation?${query}`)).body as SimulationDto;
    const ahead = await look('days=4');
    const sizes = [ahead.fullBytes ?? 0, ahead.incrementalBytes ?? 0] as const;
    const listed = (await service.get('/backups')).body as { items: BackupWithEvidenceDto[] };
    expect(sizes).toEqual([listed.items[1]?.size, listed.items[0]?.size]);
    expect(ahead).toMatchObject({ vm: service.vm, rules: { keepLast: 2, manual: true }, everyHours: [24] });
    expect(ahead.days.map(({ points, fulls, incrementals, removed }) => [points, fulls, incrementals, removed])).toEqual([
      ...[[2, 0, 0, 0], [2, 0, 1, 0], [2, 1, 0, 0], [2, 0, 1, 3], [2, 0, 1, 0]],
    ]); // prettier-ignore
    const most = 2 * sizes[0] + 2 * sizes[1];
    expect([ahead.mostBytes, ahead.mostWritten]).toEqual([most, sizes[0]]);
    // The newest is some seconds old.
    expect(Math.floor((ahead.longestGap ?? 0) / 60)).toBe(24 * 60);
    expect(ahead.days[2]?.bytes).toBe(most);
    const other = await look('days=1&everyHours=6&keepLast=4');
    expect([other.everyHours, other.days.at(-1)?.points, other.days.length]).toEqual([[6], 4, 2]);
    const { work } = await databases.reopen(service.config.books);
    const { vmId } = (await new Backups(work).findByUuid(first ?? '')) ?? { vmId: 0 };
    await work.run((manager) =>
      manager.insert(BackupScheduleRow, { uuid: randomUUID(), vmId, scheduleType: 2, maxBackups: 1, schedule: '00:00:1' }),
    );
    // As the service does when it looks the next time.
    await new Schedules(work).adoptRows();
    const weekly = await look('days=21');
    expect([weekly.everyHours, weekly.days.at(-1)?.points]).toEqual([[168], 2]);
    // Its offering's cron pattern holds as well; of two at one moment comes one backup.
    const hourly = await service.post('/schedules', { offering: 'daily', cron: '30 * * * *' });
    expect(hourly.status).toBe(201);
    const taken = ({ days }: SimulationDto): number => days.reduce((sum, day) => sum + day.fulls + day.incrementals, 0);
    const both = await look('days=14');
    expect([both.everyHours, taken(both)]).toEqual([[1, 168], 14 * 24 + 2]);
    expect((await look('days=1&everyHours=12')).everyHours).toEqual([12]);
    // The offering's whole policy, also where the full has been hidden since.
    await service.call('PATCH', '/offerings/daily', { body: { fullEvery: 100, fullEveryDays: 2 } });
    expect((await look('days=7')).days.reduce((sum, { fulls }) => sum + fulls, 0)).toBe(3);
    await service.post('/schedules', { offering: 'daily', cron: '* * * * *' });
    expect((await look('days=366')) as unknown).toMatchObject({ code: 'retention.too-far' });
    for (const wrong of ['days=0', 'days=367', 'everyHours=0', 'days=x'])
      expect((await service.get(`/vms/${service.vm}/retention/simulation?${wrong}`)).status).toBe(400);
  });

  it('looks how full a repository is, and warns in the log and the API once it is filling up; backups go on', async () => {
    interface Space {
      readonly usedBytes: number | null;
      readonly capacityBytes: number | null;
      readonly growthPerDay: number | null;
      readonly fullOn: string | null;
      readonly spaceWarning: string | null;
    }
    const space = async (): Promise<Space> => (await service.get('/repositories/nas1')).body as Space;
    // The first look, at the start, may have been before the repository was in the books or after it.
    expect(await space()).toMatchObject({ growthPerDay: null, spaceWarning: null });
    const [id = ''] = await take();
    await service.restart();
    await until(async () => (await space()).usedBytes !== null, 'somebody has looked');
    const seen = await space();
    expect([(seen.usedBytes ?? 0) > 0, seen.capacityBytes, seen.spaceWarning]).toEqual([true, 100 * 1024 * MIB, null]);
    // As if it had grown by twenty MiB in the two days since it is there.
    const { work } = await databases.reopen(service.config.books);
    const row = await new Backups(work).findByUuid(id);
    await new Backups(work).change(row?.id ?? 0, { size: 20 * MIB });
    const created = new Date(Date.now() - 2 * 86_400_000);
    await work.run((manager) => manager.update(BackupRepositoryRow, { name: 'nas1' }, { created }));
    const { growthPerDay, fullOn } = await space();
    expect((growthPerDay ?? 0) / MIB).toBeCloseTo(10, 1);
    const days = ((seen.capacityBytes ?? 0) - (seen.usedBytes ?? 0)) / (10 * MIB);
    expect((Date.parse(fullOn ?? '') - Date.now()) / 86_400_000 / days).toBeCloseTo(1, 2);
    expect(service.lines.join('')).not.toContain('filling up');
    // Somebody else fills it, and it is smaller than one thought.
    for (const nas of service.lab.host.nases.values()) {
      nas.put('somebody/else', Buffer.alloc(16 * MIB));
      nas.capacity = Math.ceil((nas.capacity - nas.free) / 0.88);
    }
    await service.restart();
    await until(() => service.lines.join('').includes('a repository is filling up'), 'the log says so');
    const full = await space();
    expect(full.spaceWarning).toMatch(/^8[78] % of it are in use, and from 85 % on that is told$/);
    expect(Date.parse(full.fullOn ?? '') - Date.now()).toBeLessThan(86_400_000);
    await take();
    // What cannot be reached keeps what was seen of it last.
    service.onCommand = ({ argv }) => {
      if (argv.includes('stats')) throw new OperationalError('host.unreachable', 'unreachable', 'Host kvm1 does not answer.');
    };
    await service.restart();
    await until(() => service.lines.join('').includes('nobody could look how full it is'), 'the log says that, too');
    expect(await space()).toMatchObject({ usedBytes: full.usedBytes, capacityBytes: full.capacityBytes });
  });

  it('by default what somebody asked for stays, and takes nobody’s place', async () => {
    await policy('vm', { keepLast: 1 });
    const ids = await take(3);
    expect(await statuses(ids)).toEqual(Array(3).fill('BackedUp'));
    expect((await plan()).lines.map(({ why }) => why)).toEqual(
      Array(3).fill('somebody asked for it, and the policy leaves such alone'),
    );
  });
});

/** A chain on a real host: whatever a policy lets go, what is left is what the disks held. */
describe('retention on a real host', () => {
  it('lets go what no rule keeps of two chains, and every point that is left is identical', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-retention-'));
    const stage = await Stage.open({ kind: 'real', folder, name: 'retain' });
    const service = await startService(serviceConfig({ kind: 'sqlite', path: join(folder, 'books.sqlite') }));
    try {
      const client = new Client({ url: service.url });
      await stage.register(client, { dialect: 'seed', fullEvery: 4 });
      const story = stage.story(client, () => undefined);
      const points: { backup: BackupWithEvidenceDto; label: string }[] = [];
      const take = async (): Promise<void> => {
        const serial = points.length + 1;
        await stage.lab.write(stage.vm, 'vda', serial, serial * MIB, MIB);
        await stage.lab.write(stage.vm, 'vdb', 0x40 + serial, (serial % 3) * MIB, 64 * KIB);
        await stage.lab.moment(stage.vm, `point-${serial}`);
        points.push({ backup: await takeBackup(client, stage.vm), label: `point-${serial}` });
      };
      const onNas = (): number => readdirSync(stage.lab.nasFile(stage.nas, stage.vm)).length;
      const left = async (): Promise<string[]> => {
        const listed = await client.all<BackupWithEvidenceDto>('/backups');
        const offered = points.filter(({ backup }) => listed.some(({ id, status }) => id === backup.id && status === 'BackedUp'));
        for (const { backup, label } of offered) expect([label, await isIdentical(story, backup, label)]).toEqual([label, true]);
        return offered.map(({ label }) => label);
      };
      for (let serial = 1; serial <= 6; serial += 1) await take();
      expect(points.map(({ backup }) => backup.type)).toEqual([1, 0, 0, 0, 1, 0].map((full) => (full ? 'FULL' : 'INCREMENTAL')));
      const rules = { keepLast: 3, manual: true };
      const shown = await client.get<RetentionPlanDto>(`/vms/${stage.vm}/retention?keepLast=3&manual=true`);
      expect(shown.lines.map(({ fate }) => fate)).toEqual(['stays', 'stays', 'stays', 'hidden', 'hidden', 'hidden']);
      const { body } = await client.send<RunDto>('POST', `/vms/${stage.vm}/retention`, { plan: shown.planId, ...rules });
      expect(await waitForRun(client, body.id)).toMatchObject({ state: 'succeeded', warnings: [] });
      expect([onNas(), await left()]).toEqual([6, ['point-4', 'point-5', 'point-6']]);
      // From now on by itself: the seventh pushes the first chain out.
      await client.send('PUT', '/offerings/story/retention-policy', rules);
      await take();
      await until(async () => onNas() === 3, 'the first chain has gone');
      expect(await left()).toEqual(['point-5', 'point-6', 'point-7']);
      await until(
        async () => (await client.all<RunDto>('/runs')).every(({ state }) => state === 'succeeded'),
        'the run of the policy has ended',
      );
      await take();
      const eighth = points.at(-1)?.backup;
      expect(eighth).toMatchObject({ type: 'INCREMENTAL', reason: 'regular' });
      const cause = `backup ${eighth?.id} was taken`;
      const followed = (run: RunDto): boolean => run.cause === cause && run.ended !== null;
      await until(async () => (await client.all<RunDto>('/runs')).some(followed), 'what the eighth pushed out has gone');
      expect([onNas(), await left()]).toEqual([4, ['point-6', 'point-7', 'point-8']]);
    } finally {
      await service.close();
      await stage.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
