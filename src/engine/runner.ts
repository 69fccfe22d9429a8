import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { isOfBooks } from '../database/database-error';
import type { RunRow } from '../database/entities/run-row';
import type { VmRow } from '../database/entities/vm-row';
import { Evidence, type InspectEvidence } from '../database/repositories/evidence';
import type { Lease } from '../database/repositories/leases';
import { Runs } from '../database/repositories/runs';
import { Vms } from '../database/repositories/vms';
import { type VmDisk, Volumes } from '../database/repositories/volumes';
import type { InspectFacts } from '../domain/agent/facts';
import { buildBackup, buildDelete, buildDiscard, type HostCommand, secretsOf } from '../domain/agent/build-argv';
import { parseOutput } from '../domain/agent/parse-output';
import type { BackupPlan, BackupRequest } from '../domain/chain/backup-plan';
import { settleBackup } from '../domain/chain/settle-backup';
import { type PutBack, settleLost } from '../domain/chain/settle-lost';
import type { FailedBackup, Looks, Settlement, UnknownOutcome } from '../domain/chain/settlement';
import { ChainkeeperError, InvariantError } from '../domain/errors';
import { canLook, type HostAccess, hostScript } from '../hosts/host-access';
import type { HostClient } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { redact } from '../hosts/redact';
import { hostAccess } from '../inventory/host-access';
import { Config } from '../platform/config/load-config';
import { LOG, type Log } from '../platform/log';
import { type BackupInBooks, BookReader } from './book-reader';
import { claimOf, leaseLost } from './claim';
import { Describer, type KnownToRun } from './describer';
import { type DrivenEnd, type DrivenJob, type Hears, JobDriver, leftOnHost } from './job-driver';
import { Planner, refusalError, type Surroundings } from './planner';
import { type Again, type EndedRun, Recorder } from './recorder';
import { RestartForecaster } from './restart-forecaster';
import { Retainer } from './retainer';
import { jobOf, retryOf } from './retry-of';

/** One backup under its lease. */
interface Drive extends DrivenJob {
  readonly vm: VmRow;
}

/** Characters of each stream that are kept of a job that is dispatched again. */
const LAST_WORDS = 500;

/**
 * Drives one run from its claim to its end: inspect, decide, dispatch, parse, settle, record, retire. Every step is
 * written down before the next, so that whoever adopts the run goes on where it stands.
 */
@Injectable()
export class Runner {
  constructor(
    private readonly planner: Planner,
    private readonly recorder: Recorder,
    private readonly reader: BookReader,
    private readonly describer: Describer,
    private readonly jobs: JobDriver,
    private readonly runs: Runs,
    private readonly vms: Vms,
    private readonly volumes: Volumes,
    private readonly evidence: Evidence,
    private readonly retainer: Retainer,
    private readonly restarts: RestartForecaster,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** @throws when the run cannot go on under this lease; it stays in the books and is looked at again. */
  async drive(run: RunRow, lease: Lease, signal: AbortSignal, hears: Hears): Promise<void> {
    const vm = await this.vms.findById(run.vmId);
    if (!vm) throw new InvariantError('run.without-vm', `The VM of run ${run.id} is not in the books.`);
    const drive: Drive = {
      run,
      jobId: run.jobId ?? jobOf(run),
      adopted: run.plan !== null,
      vm,
      lease,
      signal,
      hears,
      log: this.log.child({ runId: run.id, vm: vm.instanceName, epoch: lease.epoch }),
    };
    const prepared = await this.#prepare(drive).catch((error: unknown) => this.jobs.giveUp(drive, error));
    if (prepared === null) return;
    const { plan, around } = prepared;
    const access = hostAccess(around.host, this.config.ssh);
    const again = await this.#attempt(drive, plan, around, access);
    if (again === null) return;
    const { jobId, warnings } = again;
    await this.#attempt({ ...drive, run: { ...run, warnings }, jobId, adopted: false }, again.plan, around, access);
  }

  /** One job on the host, to the books. Answers what is to be dispatched instead, if it failed in a way that a full does not share. */
  async #attempt(drive: Drive, plan: BackupPlan, around: Surroundings, access: HostAccess): Promise<Again | null> {
    const log = drive.log.child({ host: access.name, chainId: plan.chainId });
    if (await this.jobs.cancelled({ ...drive, log })) return null;
    const job = await this.jobs.carry({ ...drive, log }, access, () => backupCommand(plan, around, access));
    return job && this.#finish({ ...drive, log }, plan, around, job);
  }

  /** Inspect and decide, or find what was decided: a plan that was written down is never decided again. */
  async #prepare({ run, vm, lease, log }: Drive): Promise<{ plan: BackupPlan; around: Surroundings }> {
    const around = await this.planner.surroundings(vm, run);
    if (run.plan !== null) {
      log.info({ plannedKind: (run.plan as BackupPlan).kind }, 'run adopted: its plan stands');
      return { plan: run.plan as BackupPlan, around };
    }
    const request: BackupRequest = { quiesce: false, ...(run.requested as Partial<BackupRequest> & { mode: 'auto' | 'full' }) };
    const { decision, facts, looked, activeCheckpoint } = await this.planner.decide(vm, around, request);
    const seen = looked ? lookOf(run, vm, activeCheckpoint, facts) : null;
    const news = looked ? await this.restarts.news(around.host, facts, decision) : null;
    const learnt =
      decision.kind === 'refused' ? null : { hostId: around.host.id, plan: decision, jobId: jobOf(run), reason: decision.reason };
    await this.recorder.decided(lease, seen, learnt, async () => {
      if (!looked) return;
      // What is older than the restart tells nothing of the bitmaps any more.
      await this.restarts.notice(run, around.host, facts, news);
      await this.#noteDisks(vm, around.disks, facts);
    });
    if (decision.kind === 'refused') throw refusalError(decision);
    log.info({ kind: decision.kind, reason: decision.reason, chainId: decision.chainId, position: decision.position }, 'decided');
    return { plan: decision, around };
  }

  /** What libvirt shows of a VM that is up is what its disks are, also when it is stopped the next time. */
  async #noteDisks(vm: VmRow, booked: readonly VmDisk[], { vm: { state }, disks }: InspectFacts): Promise<void> {
    if ((state !== 'running' && state !== 'paused') || disks.length === 0) return;
    const known = disks.every(({ target, path, virtualSize }) =>
      booked.some((disk) => disk.target === target && disk.path === path && disk.size === virtualSize),
    );
    if (known && booked.length === disks.length) return;
    await this.volumes.replace(
      vm.id,
      disks.map(({ target, path, virtualSize }) => ({ uuid: randomUUID(), target, path: path ?? '', size: virtualSize })),
    );
  }

  /** Parse, settle, record, retire. */
  async #finish(drive: Drive, plan: BackupPlan, around: Surroundings, job: DrivenEnd): Promise<Again | null> {
    const { run, vm, lease, log } = drive;
    const { access } = job;
    const { stock } = access;
    const parsed = parseOutput({
      dialect: access.dialect,
      vmState: stock !== null ? null : plan.vmState === 'shut off' ? 'stopped' : 'running',
      stdout: job.stdout,
      stderr: job.stderr,
      exitCode: job.exit,
      disks: plan.disks.length,
      ...(plan.bitmapNew === null ? {} : { bitmapRequested: plan.bitmapNew }),
    });
    // No program is supposed to repeat a secret. If one does, it stays here.
    const hide = (text: string): string => redact(text, secretsOf(around.mount));
    let ended: EndedRun = {
      run,
      vm,
      lease,
      offeringId: around.offering.id,
      plan,
      facts: parsed.facts,
      output: { stdout: hide(job.stdout), stderr: hide(job.stderr), exitCode: job.exit },
      // Good data and a good cleanup are two things: what stayed behind has to be looked at, and fails nothing.
      warnings: [
        ...new Set([...(run.warnings ?? []), ...(plan.warnings ?? [])]),
        ...parsed.warnings,
        ...warningsOf([...new Set([...(parsed.facts?.cleanup.left ?? []), ...job.left])]),
      ].map(hide),
    };
    const looks = stock === null ? undefined : await this.#looks(drive, plan, around, access, parsed.result);
    let settled: Settlement = settleBackup(plan, parsed, parsed.facts, looks, stock === null);
    if (settled.outcome === 'unknown') {
      const putBack = stock === null ? await this.#putBack(drive, plan, around, access, settled) : null;
      ended = { ...ended, warnings: [...new Set([...ended.warnings, ...warningsOf(putBack?.left).map(hide)])] };
      settled = settleLost(plan, settled, putBack);
    }
    if (settled.outcome === 'failed') {
      settled = { ...settled, sentence: hide(settled.sentence), findings: settled.findings.map(hide) };
      const again = await this.#planAgain(drive, plan, around, ended, settled);
      // Only of our script is it certain that nothing was left.
      const clean = stock === null && settled.status === 'Failed' && settled.activeCheckpoint.change === 'unchanged';
      const failure = { family: 'operational', code: settled.code, message: settled.sentence } as const;
      const history = { ...run, warnings: [...ended.warnings, ...settled.findings] };
      const later = again === null && clean ? retryOf(history, failure, this.config.engine) : null;
      const triedAgain = await this.recorder.failed(ended, settled, again, later);
      // Our script has finished it and the books refuse it: whoever finds it there would take it for a restore point. Only after the
      // record, which asks for the lease: an orchestrator that overslept must not remove what another one has booked.
      if (stock === null && (job.exit === 0 || (parsed.facts !== null && parsed.facts.done.mode !== 'none')))
        await this.#remove(drive, plan, access, buildDelete(hostScript(access), around.mount, plan.backupPath));
      const words = triedAgain
        ? 'the run failed; it is tried again later'
        : again === null
          ? 'the run failed'
          : 'the incremental failed in a way that a full does not share: dispatched again';
      log.warn({ code: settled.code, detail: settled.sentence, because: settled.retry?.because }, words);
      await this.#retire(drive, plan, access, settled.retire);
      return again;
    } else {
      const { uuid: backupId, id, run: asEnded, next } = await this.recorder.backedUp(ended, settled);
      log.info(
        { backupId, type: settled.type, reason: settled.reason, size: settled.size, assurance: settled.assurance },
        'backed up',
      );
      if (settled.recreation !== null)
        log.info(
          { backupId, bitmap: settled.recreation.bitmap, method: settled.recreation.method },
          'the parent bitmap was recreated before this incremental; lay it beside VM restarts when its size surprises',
        );
      if (next !== null) log.info({ backupId, nextRunId: next.id, detail: next.cause }, 'the next backup is taken at once');
      await this.#retire(drive, plan, access, settled.retire);
      // Nobody else writes into the VM's books while we have its lease.
      const inBooks = await this.reader.ofVm(vm.id);
      const { host, repository } = around;
      await this.#describe(drive, id, { vm, run: asEnded, facts: parsed.facts, host, repository, inBooks });
      await this.#letGo({ ...drive, log }, backupId, inBooks, asEnded.ended);
      return null;
    }
  }

  /** A backup that does not say of itself what it is can be restored all the same; the upkeep asks for it again. So a failure is a warning. */
  async #describe({ run, log }: Drive, backupId: number, ofRun: KnownToRun): Promise<void> {
    const whyNot = await this.describer.describe(backupId, ofRun);
    if (whyNot === null) return;
    log.warn({ detail: whyNot }, 'the manifest could not be written; the upkeep tries again');
    await this.runs.warn(run.id, `no manifest beside its files yet: ${whyNot}`);
  }

  /** What the new backup has pushed out goes in a run of its own: the backup is taken, whatever becomes of that. */
  async #letGo({ vm, log }: Drive, backupId: string, inBooks: readonly BackupInBooks[], at: Date | null): Promise<void> {
    try {
      const run = await this.retainer.askFor(vm, `backup ${backupId} was taken`, inBooks, at);
      if (run !== null) log.info({ backupId, nextRunId: run.id }, 'restore points that no rule keeps any more are let go');
    } catch (error) {
      log.warn({ err: error, backupId }, 'what is to be let go could not be planned; it is after the next backup');
    }
  }

  /** What our script, beside the stock one, saw before the run and sees now. */
  async #looks(
    { run, vm, lease, log }: Drive,
    plan: BackupPlan,
    { mount, disks }: Surroundings,
    access: HostAccess,
    worthIt: boolean,
  ): Promise<Looks> {
    if (!canLook(access)) return { before: null, after: null };
    // Of this attempt: what one before it saw is out of date.
    const since = run.started?.getTime() ?? 0;
    const [first] = (await this.evidence.ofRun(run.id)).filter(({ kind, at }) => kind === 'inspect' && at.getTime() >= since);
    const text = first === undefined ? null : await this.evidence.verbatim(first.id);
    const before = text === null ? null : (JSON.parse(text) as InspectFacts);
    if (!worthIt) return { before, after: null };
    try {
      const after = await this.planner.look(vm, access, mount, disks);
      await this.recorder.decided(lease, lookOf(run, vm, plan.bitmapNew, after), null);
      return { before, after };
    } catch (error) {
      if (!(error instanceof ChainkeeperError) || isOfBooks(error)) throw error;
      log.warn({ err: error }, 'nobody could look at the VM after the run, so nothing is confirmed');
      return { before, after: null };
    }
  }

  /** The plan of the full that is taken instead, in the same run; null: there is none to be taken. */
  async #planAgain(
    { run, jobId, vm, lease, log }: Drive,
    plan: BackupPlan,
    around: Surroundings,
    { output, warnings }: EndedRun,
    { code, sentence, retry }: FailedBackup,
  ): Promise<Again | null> {
    if (retry === null || jobId !== jobOf(run)) return null;
    try {
      const { decision, facts, looked, activeCheckpoint } = await this.planner.decide(vm, around, retry);
      if (looked) await this.recorder.decided(lease, lookOf(run, vm, activeCheckpoint, facts), null);
      if (decision.kind === 'refused') return null;
      const said = [output.stdout, output.stderr].map((text) => text.trim().slice(-LAST_WORDS)).filter((text) => text !== '');
      const words = [`first dispatched as ${plan.kind}, exit ${output.exitCode}: ${code}: ${sentence}`, ...said];
      return { plan: decision, jobId: `${jobId}-full`, warnings: [...warnings, ...words] };
    } catch (error) {
      if (!(error instanceof ChainkeeperError) || isOfBooks(error)) throw error;
      log.warn({ err: error }, 'the full could not be planned');
      return null;
    }
  }

  /** The script is gone without a word: whatever it left is put back, and the incremental is taken again from the parent. */
  async #putBack(
    drive: Drive,
    plan: BackupPlan,
    { mount }: Surroundings,
    access: HostAccess,
    { code, sentence }: UnknownOutcome,
  ): Promise<PutBack> {
    const { lease, jobId } = drive;
    // Asks for the lease: what an orchestrator that overslept takes for lost, another one may have booked.
    if (!(await this.runs.markUnknown(claimOf(lease), code, sentence))) throw leaseLost(lease);
    const { abort } = await this.client.abort(access, jobId);
    const discarded = await this.#remove(drive, plan, access, buildDiscard(mount, plan.backupPath, jobId));
    return { left: abort?.left ?? [], discarded };
  }

  /** Takes from the NAS what is no backup. What cannot be removed now is told, and left to the sweep: false. */
  async #remove({ log }: Drive, { backupPath }: BackupPlan, access: HostAccess, command: HostCommand): Promise<boolean> {
    try {
      const { exit, stderr } = await this.client.run(access, command);
      if (exit !== 0) log.warn({ exit, stderr, backupPath }, 'what a failed run has left on the NAS could not be removed');
      return exit === 0;
    } catch (error) {
      if (!(error instanceof ChainkeeperError)) throw error;
      log.warn({ err: error, backupPath }, 'what a failed run has left on the NAS could not be removed');
      return false;
    }
  }

  /** A bitmap that stays costs a little; the next plan names it again. So a failure here is a warning. */
  async #retire({ lease, log }: Drive, plan: BackupPlan, access: HostAccess, bitmaps: readonly string[]): Promise<void> {
    // CloudStack's own never retired a bitmap before the final script, which does it by itself; ours beside it only looks.
    if (access.stock !== null) return;
    const diskPaths = plan.disks.flatMap(({ path }) => path ?? []);
    for (const bitmap of bitmaps)
      await this.client
        .retire(access, { vm: plan.vm, bitmap, fence: lease.epoch, diskPaths })
        .catch((error: unknown) =>
          log.warn({ err: error, bitmap }, 'a bitmap that nobody needs could not be retired; the next run tries again'),
        );
  }
}

const warningsOf = (left: readonly string[] = []): string[] => left.map(leftOnHost);

const lookOf = (run: RunRow, vm: VmRow, bitmap: string | null, facts: InspectFacts): InspectEvidence => ({
  ...{ vmId: vm.id, runId: run.id, bitmap, facts, verbatim: JSON.stringify(facts) },
});

/** A stock script takes the way of a stopped VM whenever it is not running, and asks by itself. */
const needsDiskPaths = ({ vmState }: BackupPlan, access: HostAccess): boolean =>
  access.stock === null ? vmState === 'shut off' : !canLook(access) || vmState !== 'running';

function backupCommand(plan: BackupPlan, { mount }: Surroundings, access: HostAccess): HostCommand {
  return buildBackup(hostScript(access), {
    vm: plan.vm,
    repository: mount,
    path: plan.backupPath,
    quiesce: plan.quiesce,
    // A plan of an older version does not say.
    transfer: plan.transfer ?? 'push',
    onLostBitmap: plan.onLostBitmap ?? 'full',
    bandwidth: plan.bandwidth ?? null,
    diskPaths: needsDiskPaths(plan, access) ? plan.disks.map(({ path }) => path ?? '') : [],
    mode: plan.kind,
    bitmapNew: plan.bitmapNew,
    bitmapParent: plan.parent?.bitmap ?? null,
    disks: plan.disks.map(({ target, mode, parentFile, path, format }) => ({
      target,
      mode,
      parentFile,
      ...(path === null ? {} : { path }),
      ...(format === 'qcow2' || format === 'raw' ? { format } : {}),
    })),
  });
}
