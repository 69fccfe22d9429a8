import type { DeletionStep } from '../domain/chain/plan-deletion';
import type { DeletionStepDto } from './dto/deletion.dto';

/** A step of a deletion as the API shows it. */
export const presentStep = ({ kind, backup, why, ...more }: DeletionStep): DeletionStepDto => ({
  kind,
  backup,
  why,
  externalId: 'externalId' in more ? more.externalId : null,
  bytes: 'bytes' in more ? more.bytes : 0,
});
