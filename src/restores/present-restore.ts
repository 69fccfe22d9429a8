import { ASSURANCE_SENTENCES } from '../domain/chain/assurance';
import type { RestoreFacts } from '../domain/agent/read-restore';
import type { RestorePlan } from '../domain/restore/restore-plan';
import type { RestorePlanDto, RestoreResultDto } from './dto/restore.dto';

/** A plan as the API shows it; what it is worth comes first. */
export const presentPlan = (plan: RestorePlan, host: string): RestorePlanDto => ({
  assurance: plan.assurance,
  sentence: ASSURANCE_SENTENCES[plan.assurance],
  accepted: plan.accepted,
  backup: plan.backup,
  vm: plan.vm,
  host,
  way: plan.way,
  externalId: plan.externalId,
  disks: [...plan.disks],
  bytes: plan.bytes,
  overwrite: plan.overwrite,
  newName: plan.newName,
  networks: plan.networks,
  attachTo: plan.attachTo,
  bandwidth: plan.bandwidth,
  warnings: [...plan.warnings],
});

/** What the host script said, as the API shows it. */
export const presentResult = ({
  disks,
  swapped,
  domain,
  attached,
  damaged,
  cleanup,
  timings,
}: RestoreFacts): RestoreResultDto => ({
  disks: disks.map(({ file: _file, format: _format, ...disk }) => disk),
  swapped,
  domain,
  attached,
  damaged: [...damaged],
  left: [...cleanup.left],
  timings,
});
