import { randomUUID } from 'node:crypto';
import { aRun, aVm } from '../support/books';
import { until } from '../support/brake';
import { freePort } from '../support/free-port';
import { startRedis, type Redis } from '../support/redis';
import { describeTransport, type Instance } from './job-transport.contract';

let redis: Redis;
beforeAll(async () => {
  redis = await startRedis();
}, 60_000);
afterAll(() => redis.stop());

const news = (instance: Instance): string[] =>
  instance.said().flatMap((line) => /^Redis (?:is away|is back|tells)/.exec(line)?.[0] ?? []);
const isAway = (instance: Instance) => (): boolean => instance.transport.trouble !== null;
const isThere = (instance: Instance) => (): boolean => instance.transport.trouble === null;

describeTransport(
  'ids over Redis',
  () => ({ CHAINKEEPER_REDIS_URL: redis.url }),
  ({ fleet }) => {
    // With this the first look by itself is in ten minutes.
    const told = { CHAINKEEPER_POLL_MS: '60000' };

    it('tells of a run at once: nobody has to look', async () => {
      const all = await fleet(told);
      const api = await all.api();
      for (const name of ['first', 'second']) await all.worker(name);
      await all.expectOnce(await all.ask(api, 30));
    });

    it('leaves what a full worker hears of to one that has a place', async () => {
      const all = await fleet({ ...told, CHAINKEEPER_RUNS_AT_ONCE: '1' });
      const api = await all.api();
      await all.worker('full');
      all.hold();
      await all.ask(api, 1);
      await until(() => all.starts.length === 1, 'the first is full');
      await all.worker('idle', { CHAINKEEPER_RUNS_AT_ONCE: '8' });
      // The full one keeps the id of one of them, and no more; whoever is told of the other finds both.
      await all.ask(api, 2);
      await until(() => all.starts.length === 3, 'the idle one has begun both');
      expect(all.starts.map(({ by }) => by)).toEqual(['full', 'idle', 'idle']);
    });

    it('tells of the runs that it lets go, so that another adopts them at once', async () => {
      const all = await fleet(told);
      const api = await all.api();
      const leaving = await all.worker('leaving');
      all.hold();
      const ids = await all.ask(api, 2);
      await until(() => all.starts.length === 2, 'it drives both');
      await all.worker('staying');
      await leaving.close();
      await until(() => all.starts.length === 4, 'the other one drives both');
      all.letGo();
      await until(async () => (await api.runs.find(ids[0] ?? ''))?.state === 'succeeded', 'it has ended');
    });

    it('hands the id that it keeps to others when it closes', async () => {
      const all = await fleet({ ...told, CHAINKEEPER_RUNS_AT_ONCE: '1' });
      const api = await all.api();
      const leaving = await all.worker('leaving');
      all.hold();
      const [first = ''] = await all.ask(api, 1);
      await until(() => all.startsOf(first) === 1, 'it is full');
      const vm = await aVm(all.books);
      const held = await api.leases.acquire(vm.id, randomUUID(), 'somebody', 60_000);
      if (held.kind !== 'held') throw new Error('nobody else has it');
      const { id } = await api.runs.request(aRun(vm.id));
      const moment = (): Promise<unknown> => new Promise((wake) => setTimeout(wake, 500));
      await moment();
      // By itself it looks once, when it starts: nothing can be taken yet.
      await all.worker('staying', { CHAINKEEPER_RUNS_AT_ONCE: '8' });
      await moment();
      await api.leases.release(held.lease);
      expect(all.startsOf(id)).toBe(0);
      await leaving.close();
      all.letGo();
      await all.expectOnce([id]);
    });

    it('loses nothing when Redis is flushed in the middle', async () => {
      const all = await fleet({ CHAINKEEPER_RUNS_AT_ONCE: '2' });
      const api = await all.api();
      const worker = await all.worker('first');
      await all.worker('second');
      all.hold();
      const ids = await all.ask(api, 20);
      await until(() => all.starts.length === 4, 'both are full');
      await redis.flush();
      all.letGo();
      await all.expectOnce([...ids, ...(await all.ask(api, 10))]);
      expect(news(worker)).toEqual(['Redis tells']);
    });

    it('goes on without a Redis that was killed, with one that came back, and says each once', async () => {
      const all = await fleet({ CHAINKEEPER_RUNS_AT_ONCE: '2' });
      const api = await all.api();
      const worker = await all.worker('first');
      await all.worker('second');
      all.hold();
      const ids = await all.ask(api, 10);
      await until(() => all.starts.length === 4, 'both are full');
      expect(worker.transport.restMs).toBe(500);
      await redis.kill();
      all.letGo();
      await all.expectOnce([...ids, ...(await all.ask(api, 10))]);
      await until(isAway(worker), 'it has seen it');
      expect(worker.transport.restMs).toBe(50);
      // The connection breaks first; why there is no other one is known once that was tried.
      const why = async (): Promise<string> => JSON.stringify(await worker.health.ready());
      await until(async () => /ECONNREFUSED/.test(await why()), 'it says why');
      expect(await worker.health.ready()).toEqual({
        status: 'degraded',
        checks: ['books', 'redis'],
        degraded: [expect.stringMatching(/^redis: Redis takes no run ids: .*ECONNREFUSED/)],
      });
      await new Promise((wake) => setTimeout(wake, 2_500));
      await redis.startAgain();
      await until(isThere(worker), 'it has found it again');
      await until(isThere(api), 'so has the api');
      await all.expectOnce(await all.ask(api, 10));
      expect(news(worker)).toEqual(['Redis tells', 'Redis is away', 'Redis is back']);
      expect(await worker.health.ready()).toEqual({ status: 'ok', checks: ['books', 'redis'] });
    });

    it('carries ids again after a Redis came back empty', async () => {
      const all = await fleet(told);
      const api = await all.api();
      const worker = await all.worker('only');
      await all.expectOnce(await all.ask(api, 1));
      await redis.kill();
      await until(() => isAway(worker)() && isAway(api)(), 'both have seen it');
      await redis.startAgain();
      await until(() => isThere(worker)() && isThere(api)(), 'both have found it again');
      await all.expectOnce(await all.ask(api, 5));
    });

    it('goes on while Redis answers nobody, and starts nothing again when it does', async () => {
      const all = await fleet({ CHAINKEEPER_RUNS_AT_ONCE: '2' });
      const api = await all.api();
      const worker = await all.worker('first');
      await all.worker('second');
      all.hold();
      const ids = await all.ask(api, 8);
      await until(() => all.starts.length === 4, 'both are full');
      redis.freeze();
      try {
        const before = Date.now();
        ids.push(...(await all.ask(api, 8)));
        expect(Date.now() - before).toBeLessThan(5_000);
        all.letGo();
        await all.expectOnce(ids);
        await until(isAway(worker), 'it has seen it');
      } finally {
        redis.thaw();
      }
      await until(isThere(worker), 'it has found it again');
      await all.expectOnce([...ids, ...(await all.ask(api, 8))]);
      expect(all.starts).toHaveLength(24);
      expect(news(worker)).toEqual(['Redis tells', 'Redis is away', 'Redis is back']);
    });

    it('closes promptly while Redis answers nobody', async () => {
      const all = await fleet({ CHAINKEEPER_RUNS_AT_ONCE: '1' });
      const api = await all.api();
      const worker = await all.worker('only');
      all.hold();
      // It keeps the id of one, and cannot hand it back.
      await all.ask(api, 3);
      await until(() => all.starts.length === 1, 'it is full');
      await new Promise((wake) => setTimeout(wake, 300));
      redis.freeze();
      try {
        const before = Date.now();
        await worker.close();
        expect(Date.now() - before).toBeLessThan(3_000);
      } finally {
        redis.thaw();
      }
    });

    it('starts and works where there is no Redis', async () => {
      const all = await fleet({ CHAINKEEPER_REDIS_URL: `redis://127.0.0.1:${await freePort()}` });
      const api = await all.api();
      const worker = await all.worker('only');
      await all.expectOnce(await all.ask(api, 3));
      expect((await worker.health.ready()).status).toBe('degraded');
      expect(news(worker)).toEqual(['Redis is away']);
      const before = Date.now();
      await worker.close();
      expect(Date.now() - before).toBeLessThan(2_000);
    });

    it('never says the password, right or wrong', async () => {
      const locked = await startRedis('hunter22');
      try {
        const open = await (await fleet({ CHAINKEEPER_REDIS_URL: locked.url })).worker('open');
        expect(news(open)).toEqual(['Redis tells']);
        const all = await fleet({ CHAINKEEPER_REDIS_URL: locked.url.replace('hunter22', 'hunter23') });
        const api = await all.api();
        const shut = await all.worker('shut');
        await all.expectOnce(await all.ask(api, 2));
        expect(news(shut)).toEqual(['Redis is away']);
        expect((await shut.health.ready()).degraded?.[0]).toMatch(/WRONGPASS|NOAUTH/);
        const said = [...open.lines, ...shut.lines, ...api.lines, JSON.stringify(await shut.health.ready())].join('');
        expect(said).not.toMatch(/hunter2/);
      } finally {
        await locked.stop();
      }
    });
  },
);
