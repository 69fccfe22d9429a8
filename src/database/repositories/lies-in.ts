import type { ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import { BackupOfferingRow } from '../entities/backup-offering-row';
import { LinkRow } from '../entities/link-row';

/**
 * Joins what says where each `backup` of a query lies: the plan of its run, for offerings move; a backup of which no run of ours is known lies
 * where its offering points.
 */
export const withPlace = <T extends ObjectLiteral>(query: SelectQueryBuilder<T>): SelectQueryBuilder<T> =>
  query
    .leftJoin(LinkRow, 'link', 'link.backupId = backup.id')
    .leftJoin(BackupOfferingRow, 'offering', 'offering.id = backup.backupOfferingId');

/** Whether such a backup lies in that repository: a condition that is never unknown, and its parameters. `nth` names them apart. */
export const liesIn = (repositoryId: string, nth = 0): [condition: string, parameters: Record<string, string>] => [
  `COALESCE(link.planned LIKE :planned${nth} OR (link.planned IS NULL AND offering.externalId = :repository${nth}), 0) = 1`,
  { [`repository${nth}`]: repositoryId, [`planned${nth}`]: `%"repositoryId":"${repositoryId}"%` },
];
