import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Backups } from '../database/repositories/backups';
import { Hosts } from '../database/repositories/hosts';
import { Restores, type RestoreWithRun } from '../database/repositories/restores';
import { Runs } from '../database/repositories/runs';
import { Vms } from '../database/repositories/vms';
import type { VmRow } from '../database/entities/vm-row';
import { checkName } from '../domain/agent/names';
import type { RestoreFacts } from '../domain/agent/read-restore';
import { UserError } from '../domain/errors';
import type { RestorePlan } from '../domain/restore/restore-plan';
import { refusalError } from '../engine/planner';
import { Restorer, type RestoreWishes } from '../engine/restorer';
import { found } from '../platform/found';
import { type Page, toPage, toPart } from '../platform/page';
import type { AskedBy } from '../runs/asked-by';
import type { RunDto } from '../runs/dto/run.dto';
import { RunPresenter } from '../runs/present-run';
import type { CreateRestoreDto } from './dto/create-restore.dto';
import type { RestoreDto, RestorePlanDto, RestoresQuery } from './dto/restore.dto';
import { presentPlan, presentResult } from './present-restore';

@Injectable()
export class RestoresService {
  constructor(
    private readonly backups: Backups,
    private readonly vms: Vms,
    private readonly hosts: Hosts,
    private readonly runs: Runs,
    private readonly restores: Restores,
    private readonly restorer: Restorer,
    private readonly runPresenter: RunPresenter,
  ) {}

  /** What a restore would do now, and what the point is worth. Asks the host; changes nothing. @throws UserError `restore.*`, `name.*` */
  async plan(asked: CreateRestoreDto): Promise<RestorePlanDto> {
    return this.#plan(await this.#vmOf(asked), wishesOf(asked));
  }

  /**
   * Writes a run down that restores; what is refused is refused at once.
   * @throws UserError `run.active` while another run of the VM goes on, `run.key-reused`, `restore.*`, `name.*`
   */
  async create(asked: CreateRestoreDto, { idempotencyKey, trigger }: AskedBy): Promise<RunDto> {
    const vm = await this.#vmOf(asked);
    const requested = wishesOf(asked);
    const run = {
      vmId: vm.id,
      kind: 'restore',
      triggeredBy: trigger,
      idempotencyKey: idempotencyKey ?? null,
      requested,
    } as const;
    const before = await this.runs.repeated(run);
    // A retry is answered with what it was: meanwhile the VM may run again, or the files be there.
    if (before !== null) return this.runPresenter.present(before);
    await this.#plan(vm, requested);
    return this.runPresenter.present(await this.runs.request({ id: randomUUID(), ...run }));
  }

  async list({ vm, backup, ...query }: RestoresQuery): Promise<Page<RestoreDto>> {
    const vmId = vm === undefined ? undefined : found(await this.vms.find(vm), 'vm', vm).id;
    const { items, next } = await this.restores.page(toPart(query), { vmId, backup });
    return toPage({ items: await Promise.all(items.map((item) => this.#present(item))), next }, (item) => item);
  }

  async show(id: string): Promise<RestoreDto> {
    return this.#present(found(await this.restores.find(id), 'restore', id));
  }

  async #plan(vm: VmRow, wishes: RestoreWishes): Promise<RestorePlanDto> {
    const { plan, host } = await this.restorer.plan(vm, wishes);
    if (plan.kind === 'refused') throw refusalError(plan);
    return presentPlan(plan, host.name);
  }

  async #vmOf({ backup: id }: CreateRestoreDto): Promise<VmRow> {
    const backup = found(await this.backups.findByUuid(id), 'backup', id);
    return found(await this.vms.findById(backup.vmId), 'vm', id);
  }

  async #present({ run, restore }: RestoreWithRun): Promise<RestoreDto> {
    const requested = run.requested as RestoreWishes;
    const plan = run.plan as RestorePlan | null;
    const host = run.hostId === null ? null : await this.hosts.findById(run.hostId);
    const outcome = restore?.outcome as RestoreFacts | null | undefined;
    return {
      id: run.id,
      run: await this.runPresenter.present(run),
      backup: requested.backup,
      way: requested.way,
      assurance: restore?.assurance ?? null,
      accepted: requested.accepted,
      identical: restore?.identical ?? null,
      vmTouched: restore?.vmTouched?.toISOString() ?? null,
      plan: plan === null ? null : presentPlan(plan, host?.name ?? ''),
      result: outcome ? presentResult(outcome) : null,
    };
  }
}

/** Every name is one, before anything is asked of anybody. @throws UserError `name.*`, `restore.named-twice` */
function wishesOf(asked: CreateRestoreDto): RestoreWishes {
  const { backup, way, disks, to, places, files, format, overwrite, newName, networks, attachTo, bandwidth, host, accept } =
    asked;
  // The directory by the rule of what goes into it: it may end with a slash.
  if (to !== undefined) checkName('disk', `${to}/vda`);
  return {
    backup,
    way,
    disks: disks?.map((target) => checkName('target', target)) ?? null,
    to: to ?? null,
    paths: byTarget(places ?? [], ({ path }) => checkName('disk', path)),
    files: byTarget(files ?? [], ({ file }) => checkName('file', file)),
    format: format ?? null,
    overwrite: overwrite ?? false,
    newName: newName === undefined ? null : checkName('vm', newName),
    networks: networks ?? false,
    attachTo: attachTo === undefined ? null : checkName('vm', attachTo),
    bandwidth: bandwidth ?? null,
    host: host ?? null,
    accepted: accept === undefined ? null : { level: accept.level, by: accept.by, why: accept.why },
  };
}

function byTarget<T extends { readonly target: string }>(
  items: readonly T[],
  valueOf: (item: T) => string,
): Record<string, string> {
  const twice = items.find(({ target }, index) => items.findIndex((other) => other.target === target) !== index);
  if (twice !== undefined)
    throw new UserError('restore.named-twice', 'invalid', `Disk ${JSON.stringify(twice.target)} is named twice.`);
  return Object.fromEntries(items.map((item) => [checkName('target', item.target), valueOf(item)]));
}
