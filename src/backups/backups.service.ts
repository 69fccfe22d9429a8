import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { ManifestRow } from '../database/entities/manifest-row';
import { Backups } from '../database/repositories/backups';
import { Evidence } from '../database/repositories/evidence';
import { Runs } from '../database/repositories/runs';
import { Vms } from '../database/repositories/vms';
import type { Facts } from '../domain/agent/facts';
import type { BackupPlan, BackupRequest } from '../domain/chain/backup-plan';
import { readChainKeys } from '../domain/chain/chain-keys';
import { explainBackup } from '../domain/chain/explain-backup';
import type { Reason } from '../domain/chain/reasons';
import { type ChainLink, readChains } from '../domain/chain/read-chain';
import { type BackupInBooks, BookReader } from '../engine/book-reader';
import { Planner, refusalError, refuseMaintenance } from '../engine/planner';
import { RestartForecaster } from '../engine/restart-forecaster';
import { found } from '../platform/found';
import { type Page, toPage, toPart } from '../platform/page';
import type { AskedBy } from '../runs/asked-by';
import type { RunDto } from '../runs/dto/run.dto';
import { RunPresenter } from '../runs/present-run';
import type { BackupDto, BackupsQuery, BackupWithEvidenceDto, CreateBackupDto, ExplanationDto, PlanDto } from './dto/backup.dto';
import { presentBackup, presentDisks } from './present-backup';

@Injectable()
export class BackupsService {
  constructor(
    private readonly backups: Backups,
    private readonly runs: Runs,
    private readonly vms: Vms,
    private readonly evidence: Evidence,
    private readonly reader: BookReader,
    private readonly planner: Planner,
    private readonly restarts: RestartForecaster,
    private readonly runPresenter: RunPresenter,
  ) {}

  /** What a run would do now, and why. Asks the host; changes nothing. */
  async plan({ vm: id, ...wishes }: CreateBackupDto): Promise<PlanDto> {
    const vm = found(await this.vms.find(id), 'vm', id);
    const around = await this.planner.surroundings(vm);
    const { decision, facts } = await this.planner.decide(vm, around, requestOf(wishes));
    if (decision.kind === 'refused') throw refusalError(decision);
    return {
      kind: decision.kind,
      reason: decision.reason,
      sentence: decision.sentence,
      bitmapNew: decision.bitmapNew,
      path: decision.backupPath,
      chainId: decision.chainId,
      position: decision.position,
      parentId: decision.parent?.uuid ?? null,
      transfer: decision.transfer,
      transferFrom: decision.transferFrom,
      bandwidth: decision.bandwidth,
      bandwidthFrom: decision.bandwidthFrom,
      warnings: [...decision.warnings],
      restart: await this.restarts.news(around.host, facts, decision),
      disks: decision.disks.map(({ target, mode: diskMode, parentFile }) => ({ target, mode: diskMode, parentFile })),
    };
  }

  /**
   * Writes a run down; the engine takes it from there.
   * @throws UserError `run.active` while another run of the VM goes on, `run.key-reused`, `host.maintenance`,
   * `repository.maintenance`, `backup.push-unlimited`, `backup.stock-unlimited`
   */
  async create({ vm: id, ...wishes }: CreateBackupDto, { idempotencyKey, trigger }: AskedBy): Promise<RunDto> {
    const vm = found(await this.vms.find(id), 'vm', id);
    const around = await this.planner.surroundings(vm);
    const request = requestOf(wishes);
    refuseMaintenance(around.host, around.repository);
    // Whoever asks is still there to be told; the run asks again.
    const unlimited = this.planner.refuseUnlimited(around, request);
    if (unlimited !== null) throw refusalError(unlimited);
    const run = await this.runs.request({
      id: randomUUID(),
      vmId: vm.id,
      kind: 'backup',
      triggeredBy: trigger,
      idempotencyKey: idempotencyKey ?? null,
      requested: { ...request },
    });
    return this.runPresenter.present(run);
  }

  async list({ vm: id, ...query }: BackupsQuery): Promise<Page<BackupDto>> {
    const vmId = id === undefined ? undefined : found(await this.vms.find(id), 'vm', id).id;
    const listed = await this.backups.page(toPart(query), { vmId });
    const shown = await this.#present(listed.items.map(({ vmId: owner, uuid }) => ({ vmId: owner, uuid })));
    return toPage({ items: shown.map(({ dto }) => dto), next: listed.next }, (dto) => dto);
  }

  async show(id: string): Promise<BackupWithEvidenceDto> {
    const { vmId, uuid } = found(await this.backups.findByUuid(id), 'backup', id);
    const [{ dto, inBooks }] = (await this.#present([{ vmId, uuid }])) as [Shown];
    const text = inBooks.evidence === undefined ? null : await this.evidence.verbatim(inBooks.evidence.id);
    return {
      ...dto,
      runId: inBooks.row.link?.runId ?? null,
      disks: presentDisks(inBooks),
      facts: text === null ? null : (JSON.parse(text) as Record<string, unknown>),
    };
  }

  /** Why it was full or incremental, why this large, and how we know. */
  async explain(id: string): Promise<ExplanationDto> {
    const row = found(await this.backups.findByUuid(id), 'backup', id);
    const { link, manifest } = row;
    const [{ booked, evidence }] = (await this.reader.attach([row])) as [BackupInBooks];
    const text = evidence === undefined ? null : await this.evidence.verbatim(evidence.id);
    const { keys } = readChainKeys(row.details, booked);
    const explanation = explainBackup({
      type: booked.type,
      reason: (link?.reason ?? null) as Reason | null,
      size: booked.size,
      plan: (link?.planned ?? null) as BackupPlan | null,
      recreation:
        keys.bitmapRecreated === null ? null : { bitmap: keys.bitmapRecreated, method: keys.recreateMethod ?? 'unknown' },
      facts: text === null ? null : (JSON.parse(text) as Facts),
      assurance: booked.assurance,
      findings: [...damageOf(manifest), ...(link?.assuranceWhy ? [link.assuranceWhy] : [])],
    });
    return { backupId: row.uuid, ...explanation };
  }

  /** Restorable and assurance hang on the whole chain, so all backups of each VM are read once. */
  async #present(wanted: readonly { vmId: number; uuid: string }[]): Promise<Shown[]> {
    const byVm = new Map<
      number,
      { name: { id: string; name: string }; all: Map<string, BackupInBooks>; links: Map<string, ChainLink> }
    >();
    for (const vmId of new Set(wanted.map((one) => one.vmId))) {
      const vm = await this.vms.findById(vmId);
      const all = await this.reader.ofVm(vmId);
      const links = readChains(all.map(({ booked }) => booked)).flatMap((chain) => chain.links);
      byVm.set(vmId, {
        name: { id: vm?.uuid ?? '', name: vm?.instanceName ?? '' },
        all: new Map(all.map((one) => [one.booked.uuid, one])),
        links: new Map(links.map((link) => [link.backup.uuid, link])),
      });
    }
    return wanted.flatMap(({ vmId, uuid }) => {
      const vm = byVm.get(vmId);
      const inBooks = vm?.all.get(uuid);
      return vm && inBooks ? [{ inBooks, dto: presentBackup(inBooks, vm.name, vm.links.get(uuid)) }] : [];
    });
  }
}

interface Shown {
  readonly inBooks: BackupInBooks;
  readonly dto: BackupDto;
}

const damageOf = (manifest: ManifestRow | undefined): string[] => [
  ...(manifest?.missing == null ? [] : [`files are not there any more: ${manifest.missing.join(', ')}`]),
  ...(manifest?.damaged == null
    ? []
    : [
        `files are not what they were when their checksums were taken: ${manifest.damaged.join(', ')}, seen ${manifest.verified?.toISOString()}`,
      ]),
];

const requestOf = ({ mode, quiesce, transfer, bandwidth, onLostBitmap }: Omit<CreateBackupDto, 'vm'>): BackupRequest => ({
  mode: mode ?? 'auto',
  quiesce: quiesce ?? false,
  ...(transfer === undefined ? {} : { transfer }),
  ...(bandwidth === undefined ? {} : { bandwidth }),
  ...(onLostBitmap === undefined ? {} : { onLostBitmap }),
});
