import { Client } from '../../src/cli/client';
import { Dues } from '../../src/database/repositories/dues';
import { Schedules } from '../../src/database/repositories/schedules';
import type { EventDto } from '../../src/events/dto/event.dto';
import type { RunDto } from '../../src/runs/dto/run.dto';
import type { PreviewDto } from '../../src/schedules/dto/preview.dto';
import type { RestartForecastDto } from '../../src/schedules/dto/restart-forecast.dto';
import type { ScheduleDto } from '../../src/schedules/dto/schedule.dto';
import { until } from '../support/brake';
import { runCli } from '../support/cli';
import { describeDatabases } from '../support/databases';
import { FakeService, type HttpAnswer } from '../support/fake-service';

jest.setTimeout(120_000);

/** Schedules as a client meets them; the fake host stands in for a hypervisor. */
describeDatabases('schedules over REST', (databases) => {
  let service: FakeService;
  beforeAll(async () => {
    service = await FakeService.start(await databases.fresh());
    await service.register({ offering: { fullEvery: 100 } });
  });
  afterAll(() => service?.close());

  const add = (body: object): Promise<HttpAnswer> => service.post('/schedules', body);
  const added = async (body: object): Promise<ScheduleDto> => {
    const answer = await add(body);
    expect([answer.status, answer.text]).toEqual([201, answer.text]);
    return answer.body as ScheduleDto;
  };
  const remove = (id: string): Promise<HttpAnswer> => service.call('DELETE', `/schedules/${id}`);
  const eventsOf = async (query: string): Promise<EventDto[]> => (await service.get(`/events?${query}`)).body.items as EventDto[];
  const runsOf = async (): Promise<RunDto[]> => (await service.get(`/runs?vm=${service.vm}&limit=200`)).body.items as RunDto[];
  /** As if its time had come a moment ago, each time another minute: of one a VM has one run. */
  let minutesAgo = 0;
  const becomesDue = async (id: string): Promise<void> => {
    const { work } = await databases.reopen(service.config.books);
    const schedule = await new Schedules(work).find(id);
    const dues = new Dues(work);
    const [due] = (await dues.next(100)).filter(({ scheduleSeq }) => scheduleSeq === schedule?.seq);
    await dues.replace(schedule?.seq ?? 0, [
      {
        vmId: due?.vmId ?? 0,
        instant: new Date((Math.floor(Date.now() / 60_000) - (minutesAgo += 1)) * 60_000),
        dueAt: new Date(Date.now() - 1),
      },
    ]);
  };

  it('in CloudStack’s notation: taken, shown with what it comes to, changed, removed', async () => {
    const made = await added({
      vm: service.vm,
      every: 'weekly',
      at: '30:02:1',
      timezone: 'Europe/Rome',
      maxBackups: 4,
      quiesce: true,
    });
    expect(made).toMatchObject({
      vm: service.vm,
      offering: null,
      every: 'weekly',
      at: '30:02:1',
      cron: '30 2 * * 0',
      maxBackups: 4,
    });
    expect(made).toMatchObject({ quiesce: true, jitterSeconds: 0, missed: 'run-once', graceSeconds: 3600, paused: null });
    expect(
      new Date(made.next ?? '').toLocaleString('en-GB', {
        timeZone: 'Europe/Rome',
        weekday: 'short',
        hour: '2-digit',
        minute: '2-digit',
      }),
    ).toBe('Sun 02:30');
    // On some Sunday in March there is no half past two.
    expect(made.warnings.join('\n')).toMatch(/02:30/);
    expect((await add({ vm: service.vm, every: 'weekly', at: '00:03:2' })).body).toMatchObject({ code: 'schedule.taken' });
    const { body: changed } = await service.call('PATCH', `/schedules/${made.id}`, { body: { at: '15:12:3', maxBackups: 0 } });
    expect(changed).toMatchObject({
      at: '15:12:3',
      cron: '15 12 * * 2',
      timezone: 'Europe/Rome',
      maxBackups: 0,
      quiesce: true,
      warnings: [],
    });
    expect((await service.get(`/schedules?vm=${service.vm}`)).body.items).toEqual([
      (await service.get(`/schedules/${made.id}`)).body,
    ]);
    expect([(await remove(made.id)).status, (await remove(made.id)).status]).toEqual([204, 404]);
  });

  it('a run comes of it, a backup of that, and both say of which schedule', async () => {
    const made = await added({ vm: service.vm, every: 'hourly', at: '00', maxBackups: 3 });
    await becomesDue(made.id);
    await until(
      async () => (await runsOf()).some(({ trigger, ended }) => trigger === 'schedule' && ended !== null),
      'it has run',
    );
    const [run] = await runsOf();
    expect(run).toMatchObject({
      trigger: 'schedule',
      state: 'succeeded',
      kind: 'backup',
      cause: expect.stringContaining('It was due') as string,
    });
    expect((await eventsOf(`run=${run?.id}`)).map(({ kind }) => kind).reverse()).toEqual(['queued', 'started', 'succeeded']);
    const { dataSource } = await databases.reopen(service.config.books);
    const rows = await dataSource.query<{ uuid: string; schedule: string }[]>(
      'SELECT b.uuid, s.uuid AS schedule FROM backups b JOIN backup_schedule s ON s.id = b.backup_schedule_id',
    );
    expect(rows.map(({ uuid, schedule }) => [uuid, schedule])).toEqual([[run?.backupId, made.id]]);
    const { body: vm } = await service.get(`/vms/${service.vm}`);
    expect(vm.lastSucceeded).toBe(run?.ended);
    expect(Date.parse(vm.nextDue as string)).toBeGreaterThan(Date.now());
    // What comes next is in the future, and was not asked for twice.
    expect((await runsOf()).length).toBe(1);
    await remove(made.id);
  });

  it('an offering’s holds for its VMs, spread, paused and resumed; what was paused is not made up for', async () => {
    const made = await added({ offering: 'daily', cron: '*/5 * * * *', jitterSeconds: 30, missed: 'skip' });
    expect(made).toMatchObject({ vm: null, offering: 'daily', every: null, maxBackups: null });
    const { body: shown } = await service.get(`/schedules/preview?vm=${service.vm}&count=3`);
    const { runs, load } = shown as PreviewDto;
    expect(runs.map(({ vm, schedules }) => [vm, schedules])).toEqual(Array(3).fill([service.vm, [made.id]]));
    const late = runs.map(({ scheduledFor, startsAt }) => Date.parse(startsAt) - Date.parse(scheduledFor));
    expect([new Set(late).size, (late[0] ?? -1) >= 0, (late[0] ?? Infinity) <= 30_000]).toEqual([1, true, true]);
    expect(runs.map(({ scheduledFor }) => Date.parse(scheduledFor) % 300_000)).toEqual([0, 0, 0]);
    expect(load.reduce((sum, { starts }) => sum + starts, 0)).toBe(3);
    const svg = await service.get('/schedules/preview.svg?count=50');
    expect([svg.headers.get('content-type'), svg.text.match(/<title>/g)?.length]).toEqual([
      expect.stringMatching(/^image\/svg\+xml/),
      expect.any(Number),
    ]);

    expect((await service.post(`/schedules/${made.id}/pause`, { why: 'the NAS is moved' })).body).toMatchObject({
      next: null,
      pausedWhy: 'the NAS is moved',
    });
    expect(((await service.get(`/schedules/preview?vm=${service.vm}`)).body as PreviewDto).runs).toEqual([]);
    expect((await service.post(`/schedules/${made.id}/pause`, {})).body).toMatchObject({ pausedWhy: 'the NAS is moved' });
    expect((await service.post(`/schedules/${made.id}/resume`, {})).body).toMatchObject({
      paused: null,
      pausedWhy: null,
      next: expect.any(String) as string,
    });
    expect((await eventsOf(`schedule=${made.id}`)).map(({ kind }) => kind)).toEqual(['resumed', 'paused']);
    expect(((await service.get(`/schedules/preview?vm=${service.vm}`)).body as PreviewDto).runs.length).toBe(20);
    // Without its offering nothing is due of it; with it again it is.
    await service.call('DELETE', `/vms/${service.vm}/offering`);
    expect(((await service.get(`/schedules/preview?vm=${service.vm}`)).body as PreviewDto).runs).toEqual([]);
    await service.call('PUT', `/vms/${service.vm}/offering`, { body: { offering: 'daily' } });
    expect(((await service.get(`/schedules/preview?offering=daily&count=1`)).body as PreviewDto).runs).toHaveLength(1);
    await remove(made.id);
  });

  it('start rules hold back what is scheduled, and nothing else', async () => {
    const rules = {
      windows: ['22:00-06:00', 'sat,sun 00:00-24:00'],
      blackouts: ['2026-12-24..2026-12-26'],
      zone: 'Europe/Rome',
      atEnd: 'stop',
    };
    for (const path of ['/offerings/daily/start-rules', '/hosts/kvm1/start-rules']) {
      expect((await service.get(path)).body).toMatchObject({ windows: [], blackouts: [], changed: null });
      expect((await service.call('PUT', path, { body: rules })).body).toMatchObject({
        ...rules,
        changed: expect.any(String) as string,
      });
      expect((await service.call('PUT', path, { body: { windows: ['25:00-26:00'] } })).status).toBe(400);
      expect((await service.get(path)).body).toMatchObject(rules);
      expect((await service.call('PUT', path, { body: { blackouts: ['2026-01-01'] } })).body).toMatchObject({
        windows: [],
        zone: 'UTC',
        atEnd: 'finish',
      });
      expect((await service.call('DELETE', path)).body).toMatchObject({ blackouts: [], changed: null });
    }
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
    const today = new Date().toISOString().slice(0, 10);
    await service.call('PUT', '/offerings/daily/start-rules', { body: { blackouts: [`${today}..${tomorrow}`] } });
    const made = await added({ vm: service.vm, cron: '* * * * *' });
    await becomesDue(made.id);
    await until(async () => (await eventsOf(`schedule=${made.id}&kind=delayed`)).length === 1, 'it is delayed');
    const [delayed] = await eventsOf(`schedule=${made.id}&kind=delayed`);
    expect(delayed).toMatchObject({
      reason: 'blackout',
      message: expect.stringContaining('offering daily') as string,
      runId: null,
    });
    const before = (await runsOf()).length;
    await service.backup();
    expect((await runsOf()).length).toBe(before + 1);
    await remove(made.id);
    await service.call('DELETE', '/offerings/daily/start-rules');
  });

  it('tells what happens to whoever listens, and goes on where he was', async () => {
    const client = new Client({ url: service.url });
    const heard: EventDto[] = [];
    const listening = (async () => {
      for await (const event of client.events<EventDto>(`/events/stream?vm=${service.vm}`)) {
        heard.push(event);
        if (event.kind === 'succeeded') break;
      }
    })();
    await new Promise((wake) => setTimeout(wake, 1000));
    await service.backup();
    await listening;
    expect(heard.map(({ kind }) => kind)).toEqual(['queued', 'started', 'succeeded']);
    const response = await fetch(`${service.url}/api/v1/events/stream?vm=${service.vm}`, {
      headers: { 'last-event-id': String(heard[0]?.seq) },
    });
    const reader = response.body?.getReader();
    let text = '';
    while (!text.includes('event: succeeded')) text += Buffer.from((await reader?.read())?.value ?? []).toString();
    await reader?.cancel();
    expect([...text.matchAll(/^event: (.*)$/gm)].map(([, kind]) => kind)).toEqual(['started', 'succeeded']);
  });

  it('a full is due when the offering says so, however short the chain', async () => {
    await service.backup();
    const change = (body: object): Promise<HttpAnswer> => service.call('PATCH', '/offerings/daily', { body });
    expect((await change({ fullEveryDays: 1, fullZone: 'Asia/Kathmandu' })).body).toMatchObject({
      fullEveryDays: 1,
      fullWeekday: null,
    });
    expect(await service.backup()).toMatchObject({ type: 'INCREMENTAL' });
    const { dataSource } = await databases.reopen(service.config.books);
    await dataSource.query(`UPDATE backups SET date = '2026-01-01 00:00:00' WHERE type = 'FULL'`);
    expect(await service.backup()).toMatchObject({ type: 'FULL', reason: 'full-due' });
    expect(await service.backup()).toMatchObject({ type: 'INCREMENTAL' });
    expect((await change({ fullEveryDays: null, fullZone: 'Moon/Base' })).status).toBe(400);
    expect((await change({ fullEveryDays: null })).body).toMatchObject({ fullEveryDays: null, fullZone: 'Asia/Kathmandu' });
  });

  it('on the command line', async () => {
    const ck = (...args: string[]) => runCli(args, { CHAINKEEPER_URL: service.url });
    const made = await ck(
      'schedule',
      'add',
      '--vm',
      service.vm,
      '--every',
      'daily',
      '--at',
      '30:02',
      '--timezone',
      'Europe/Rome',
      '--json',
    );
    const { id } = JSON.parse(made.out) as ScheduleDto;
    expect((await ck('schedule', 'show', id)).out).toMatch(
      /^schedule .* of VM i-2-10-VM: daily at 30:02 \(Europe\/Rome\)\nnext: 2/,
    );
    expect((await ck('schedule', 'change', id, '--at', '30:05', '--jitter-seconds', '60')).out).toContain('daily at 30:05');
    expect((await ck('schedule', 'list', '--vm', service.vm)).out).toMatch(/i-2-10-VM +- +daily +30:05 +Europe\/Rome/);
    expect((await ck('schedule', 'preview', '--count', '2')).out.match(/^20.*i-2-10-VM/gm)).toHaveLength(2);
    expect((await ck('schedule', 'preview', '--svg')).out).toMatch(/^<svg /);
    expect((await ck('schedule', 'pause', id, '--why', 'moving')).out).toMatch(/paused since .*: moving/);
    expect((await ck('schedule', 'resume', id)).out).toMatch(/next: 2/);
    expect((await ck('events', '--schedule', id)).out).toMatch(/resumed[^]*paused/);
    expect(await ck('schedule', 'remove', id)).toMatchObject({ code: 0, out: `removed ${id}\n` });
    expect(await ck('schedule', 'show', id)).toMatchObject({
      code: 10,
      err: expect.stringContaining('schedule.not-found') as string,
    });
    expect(await ck('schedule', 'add', '--vm', service.vm, '--cron', '0 0 31 2 *')).toMatchObject({
      code: 2,
      err: expect.stringContaining('never comes') as string,
    });

    const rules = await ck(
      'start-rules',
      'offering',
      'daily',
      '--window',
      '22:00-06:00',
      '--window',
      'sun 00:00-24:00',
      '--at-end',
      'stop',
    );
    expect(rules.out).toBe(
      'scheduled backups start 22:00-06:00 and sun 00:00-24:00 (UTC)\nwhat goes on when the window closes is stopped\n',
    );
    expect((await ck('start-rules', 'offering', 'daily')).out).toBe(rules.out);
    expect((await ck('start-rules', 'offering', 'daily', '--any-time')).out).toBe('scheduled backups start at any time\n');
    expect((await ck('start-rules', 'vm', 'x')).code).toBe(2);
    expect((await ck('offering', 'change', 'daily', '--full-weekday', 'sun', '--json')).out).toContain('"fullWeekday": "sun"');
    expect((await ck('offering', 'change', 'daily', '--no-full-weekday', '--json')).out).toContain('"fullWeekday": null');
  });

  it('a restart of a host is forecast: which VMs would need a full, why, and when each can begin; one that happened is told', async () => {
    const forecast = async (query = ''): Promise<RestartForecastDto> =>
      (await service.get(`/hosts/kvm1/restart-forecast${query}`)).body as RestartForecastDto;
    await service.backup({ mode: 'full' });
    expect(await forecast()).toEqual({
      ...{ host: 'kvm1', crash: false, sentence: '0 of 1 VMs need a full.', fulls: [] },
      spared: [{ vm: service.vm, sentence: 'Its bitmap was written back when it was shut down, and is registered again.' }],
    });
    const lost = { vm: service.vm, sentence: 'Its bitmap went down with the host.' };
    expect(await forecast('?crash=true')).toMatchObject({ crash: true, fulls: [{ ...lost, startsAt: null }], spared: [] });
    const made = await added({ vm: service.vm, cron: '0 0 1 1 *' });
    const crashed = await forecast('?crash=true');
    expect(crashed.sentence).toMatch(/^1 of 1 VMs need a full: 6 at once at most \(places of one orchestrator\), and the last/);
    expect(Math.abs(Date.parse(crashed.fulls[0]?.startsAt ?? '') - Date.parse(made.next ?? ''))).toBeLessThan(2000);
    const ck = (...args: string[]) => runCli(args, { CHAINKEEPER_URL: service.url });
    expect(JSON.parse((await ck('host', 'forecast', 'kvm1', '--json')).out)).toEqual(await forecast());
    expect((await ck('host', 'forecast', 'kvm1', '--crash')).out).toMatch(
      /^1 of 1 VMs need a full[^]*\ni-2-10-VM +20\d\d-.* Its bitmap went down with the host\.\n$/,
    );
    await service.call('PATCH', '/offerings/daily', { body: { onLostBitmap: 'rescue' } });
    expect((await forecast('?crash=true')).spared).toMatchObject([{ sentence: expect.stringContaining('compared') as string }]);
    await service.call('PATCH', '/offerings/daily', { body: { onLostBitmap: 'full', fullEvery: 1 } });
    expect((await forecast()).fulls).toMatchObject([{ sentence: 'Its offering takes no incrementals, restart or not.' }]);
    await service.call('PATCH', '/offerings/daily', { body: { fullEvery: 100 } });
    // It happens, and whoever looks first tells of it.
    const restarts = (): Promise<EventDto[]> => eventsOf('kind=host-restarted');
    expect(await restarts()).toEqual([]);
    service.lab.host.reboot();
    await service.lab.vmStart(service.vm);
    const said = /^Host kvm1 was restarted since it was last seen\. 1 of 1 VMs need a full: 6 at once at most/;
    const { body: plan } = await service.call('POST', '/backups?dryRun=true', { body: { vm: service.vm } });
    expect(plan).toMatchObject({ kind: 'full', restart: expect.stringMatching(said) as string });
    expect((await ck('backup', service.vm, '--dry-run')).out).toContain(plan.restart);
    expect(await restarts()).toEqual([]);
    const [first, second] = [await service.backup(), await service.backup()];
    expect([first.type, second.type]).toEqual(['FULL', 'INCREMENTAL']);
    expect(await restarts()).toMatchObject([
      { runId: first.runId, vm: service.vm, message: expect.stringMatching(said) as string },
    ]);
    const { body: next } = await service.call('POST', '/backups?dryRun=true', { body: { vm: service.vm } });
    expect(next.restart).toBeNull();
    expect((await service.get('/hosts/nobody/restart-forecast')).body.code).toBe('host.not-found');
    expect((await service.get('/hosts/kvm1/restart-forecast?crash=perhaps')).status).toBe(400);
    await remove(made.id);
  });

  it.each<[object, number, string]>([
    [{}, 400, 'schedule.of-what'],
    [{ vm: 'i-2-10-VM', offering: 'daily', cron: '0 0 * * *' }, 400, 'schedule.of-what'],
    [{ vm: 'i-2-10-VM' }, 400, 'schedule.bad-time'],
    [{ vm: 'i-2-10-VM', every: 'daily' }, 400, 'schedule.bad-time'],
    [{ vm: 'i-2-10-VM', every: 'daily', at: '30:02', cron: '0 0 * * *' }, 400, 'schedule.bad-time'],
    [{ vm: 'i-2-10-VM', every: 'daily', at: '02:30:1' }, 400, 'schedule.bad-time'],
    [{ vm: 'i-2-10-VM', every: 'daily', at: '61:02' }, 400, 'schedule.bad-time'],
    [{ vm: 'i-2-10-VM', every: 'yearly', at: '61:02' }, 400, 'request.invalid'],
    [{ vm: 'i-2-10-VM', cron: '* * * * * *' }, 400, 'schedule.bad-cron'],
    [{ vm: 'i-2-10-VM', cron: '$(reboot) * * * *' }, 400, 'schedule.bad-cron'],
    [{ vm: 'i-2-10-VM', cron: '0 0 31 2 *' }, 400, 'schedule.never'],
    [{ vm: 'i-2-10-VM', cron: '0 0 * * *', timezone: 'Mars/Olympus' }, 400, 'schedule.unknown-zone'],
    [{ vm: 'i-2-10-VM', cron: '0 0 * * *', maxBackups: 3 }, 400, 'schedule.no-count'],
    [{ offering: 'daily', every: 'daily', at: '30:02' }, 400, 'schedule.bad-time'],
    [{ vm: 'i-9-9-VM', cron: '0 0 * * *' }, 404, 'vm.not-found'],
    [{ offering: 'none', cron: '0 0 * * *' }, 404, 'offering.not-found'],
  ])('refuses %j: %d %s, and nothing is there', async (body, status, code) => {
    const answer = await add(body);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(answer.body.next).toMatch(/\S/);
    expect((await service.get('/schedules')).body.items).toEqual([]);
  });

  it('refuses to make one of the other kind, and a change that means nothing', async () => {
    const [cron, daily] = [
      await added({ vm: service.vm, cron: '0 0 * * *' }),
      await added({ vm: service.vm, every: 'daily', at: '00:01' }),
    ];
    const change = async ({ id }: ScheduleDto, body: object): Promise<unknown> =>
      (await service.call('PATCH', `/schedules/${id}`, { body })).body.code;
    expect(await change(cron, { every: 'daily', at: '00:01' })).toBe('schedule.bad-time');
    expect(await change(daily, { cron: '0 0 * * *' })).toBe('schedule.bad-time');
    expect(await change(cron, { maxBackups: 3 })).toBe('schedule.no-count');
    expect(await change(daily, { at: '00' })).toBe('schedule.bad-time');
    expect(await change(cron, { timezone: 'nowhere' })).toBe('schedule.unknown-zone');
    for (const { id, ...rest } of [cron, daily]) expect((await service.get(`/schedules/${id}`)).body).toEqual({ id, ...rest });
    for (const { id } of [cron, daily]) await remove(id);
  });
});
