import { type EntityManager, type EntityTarget, In, type ObjectLiteral } from 'typeorm';
import { UserError } from '../../domain/errors';
import { cut, type Listed, type Part } from '../page';

/** Rows that people name, and that are marked as removed instead of deleted. */
interface Named extends ObjectLiteral {
  readonly id: number;
  readonly uuid: string | null;
  readonly removed: Date | null;
}

/** Reads such rows with what belongs to them, by a condition and what comes after it; the rows' alias is `own`. */
export type ReadOwn<T> = (rest: string, parameters: readonly unknown[]) => Promise<T[]>;

/** The living row with this uuid, else the one with this name. */
export async function findLive<T extends Named>(
  read: ReadOwn<T>,
  uuidOrName: string,
  nameColumn: 'name' | 'instance_name',
): Promise<T | null> {
  const rows = await read(`own.removed IS NULL AND (own.uuid = ? OR own.${nameColumn} = ?)`, [uuidOrName, uuidOrName]);
  return rows.find(({ uuid }) => uuid === uuidOrName) ?? rows[0] ?? null;
}

/** Living rows, newest first. */
export async function pageLive<T extends Named>(read: ReadOwn<T>, { after, limit }: Part): Promise<Listed<T>> {
  const older = after === undefined ? '' : ' AND own.id < ?';
  const rows = await read(
    `own.removed IS NULL${older} ORDER BY own.id DESC LIMIT ${limit + 1}`,
    after === undefined ? [] : [after],
  );
  return cut(rows, limit, ({ id }) => id);
}

/**
 * Refuses a name that another living row has. There is no unique key upstream, since removed rows keep their names; so a
 * server locks what it looked at until the transaction ends, and the second of two at once loses.
 * @throws UserError `code`
 */
export async function refuseTaken<T extends Named>(
  manager: EntityManager,
  entity: EntityTarget<T>,
  nameField: keyof T & string,
  name: string,
  code: string,
  except?: number,
): Promise<void> {
  const query = manager
    .createQueryBuilder(entity, 'row')
    .where(`row.removed IS NULL AND row.${nameField} = :name`, { name })
    .andWhere('row.id <> :except', { except: except ?? 0 });
  if (manager.dataSource.options.type !== 'better-sqlite3') query.setLock('pessimistic_write');
  if ((await query.getMany()).length > 0) throw new UserError(code, 'conflict', `There is one named ${name} already.`);
}

/** @throws UserError `code` when `count` things still need it */
export function refuseNeeded(count: number, code: string, by: string): void {
  if (count > 0) throw new UserError(code, 'conflict', `It is still needed by ${count} ${by}.`);
}

/** Names by id, removed rows too. */
export async function namesOf(
  manager: EntityManager,
  entity: EntityTarget<Named & { name: string }>,
  ids: readonly number[],
): Promise<Map<number, string>> {
  const rows = await manager.findBy(entity, { id: In([...new Set(ids)]) });
  return new Map(rows.map(({ id, name }) => [id, name]));
}
