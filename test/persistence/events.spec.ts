import { setTimeout as sleep } from 'node:timers/promises';
import { EventRow } from '../../src/database/entities/event-row';
import { Events } from '../../src/database/repositories/events';
import { type Books, describeDatabases } from '../support/databases';

/** From when on an event is told. */
const SETTLED_MS = 1100;

describeDatabases('listeners', (databases) => {
  let books: Books;
  let events: Events;
  beforeAll(async () => {
    books = await databases.open();
    events = new Events(books.work);
  });
  const tell = (...kinds: string[]): Promise<void> => events.addMany(kinds.map((kind) => ({ kind, message: kind })));
  const since = async (seq: number, kind?: string): Promise<string[]> =>
    (await events.settledSince(seq, 10, kind === undefined ? {} : { kind })).map((event) => event.kind);

  it('wait for what took its number earlier and is not there yet, and no longer than it can come', async () => {
    const before = await events.last();
    await tell('first', 'slow', 'third');
    await sleep(SETTLED_MS);
    expect(await since(before)).toEqual(['first', 'slow', 'third']);
    const { manager } = books.dataSource;
    const slow = await manager.findOneByOrFail(EventRow, { kind: 'slow' });
    // As others see it until its transaction commits.
    await manager.delete(EventRow, { seq: slow.seq });
    expect([await since(before), await since(before, 'third')]).toEqual([['first'], []]);
    await manager.insert(EventRow, slow);
    expect(await since(before)).toEqual(['first', 'slow', 'third']);
    // It never comes.
    await manager.delete(EventRow, { seq: slow.seq });
    const [row] = (await events.page({ limit: 1 }, { kind: 'third' })).items;
    await manager.update(EventRow, { kind: 'third' }, { at: new Date((row?.at.getTime() ?? 0) - 61_000) });
    expect(await since(before)).toEqual(['first', 'third']);
  });

  it('do not wait where what they have seen last is gone', async () => {
    await tell('old', 'new');
    await sleep(SETTLED_MS);
    const { seq } = await books.dataSource.manager.findOneByOrFail(EventRow, { kind: 'old' });
    await books.dataSource.manager.delete(EventRow, { seq });
    expect(await since(seq)).toEqual(['new']);
    expect(await since(seq - 1)).toEqual([]);
  });
});

describeDatabases(
  'listeners, while a transaction stands still',
  (databases) => {
    it('miss nothing of what it tells when it goes on', async () => {
      const books = await databases.open();
      const [events, slow] = [new Events(books.work), await databases.reopen(books.config)];
      const heard: string[] = [];
      let seq = await events.last();
      const listen = async (): Promise<void> => {
        const rows = await events.settledSince(seq, 10);
        heard.push(...rows.map(({ kind }) => kind));
        seq = rows.at(-1)?.seq ?? seq;
      };
      await slow.work.run(async () => {
        await new Events(slow.work).add({ kind: 'slow', message: 'It took its number first.' });
        await events.add({ kind: 'quick', message: 'It was there first.' });
        await sleep(SETTLED_MS);
        await listen();
      });
      await listen();
      expect(heard).toEqual(['slow', 'quick']);
    });
  },
  ['mariadb'],
);
