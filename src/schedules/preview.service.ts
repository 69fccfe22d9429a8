import { Injectable } from '@nestjs/common';
import type { DueRow } from '../database/entities/due-row';
import type { VmRow } from '../database/entities/vm-row';
import { Dues } from '../database/repositories/dues';
import { Hosts } from '../database/repositories/hosts';
import { Offerings } from '../database/repositories/offerings';
import { Runs } from '../database/repositories/runs';
import { Schedules } from '../database/repositories/schedules';
import { Vms } from '../database/repositories/vms';
import { predictLoad, type UsualRun } from '../domain/schedule/predict-load';
import { type PreviewedRun, type PreviewSchedule, previewRuns } from '../domain/schedule/preview-runs';
import { Rhythms } from '../engine/rhythms';
import { StartRuleReader } from '../engine/start-rule-reader';
import { found } from '../platform/found';
import type { PreviewDto, PreviewQuery } from './dto/preview.dto';

/** Schedules of VMs that are looked at at most: SQLite takes 32,766 values of one statement, and others wait for answers meanwhile. */
const MOST = 20_000;
/** Runs of one VM that its usual one is told from. */
const LOOKED_AT = 15;

/** What is to come. */
@Injectable()
export class PreviewService {
  constructor(
    private readonly schedules: Schedules,
    private readonly dues: Dues,
    private readonly vms: Vms,
    private readonly hosts: Hosts,
    private readonly offerings: Offerings,
    private readonly runs: Runs,
    private readonly rhythms: Rhythms,
    private readonly startRules: StartRuleReader,
  ) {}

  /** The next backups of a VM, of an offering's VMs or of all. */
  async preview({ vm, offering, count = 20 }: PreviewQuery): Promise<PreviewDto> {
    const now = await this.dues.now();
    const runs = await this.#runs(vm, offering, now, count);
    return {
      from: now.toISOString(),
      runs: runs.map((run) => ({
        ...run,
        schedules: [...run.schedules],
        scheduledFor: run.scheduledFor.toISOString(),
        startsAt: run.startsAt.toISOString(),
        because: run.because?.sentence ?? null,
      })),
      load: predictLoad(runs, await this.#usual(new Set(runs.map((run) => run.vm)))).map((load) => ({
        ...load,
        hour: load.hour.toISOString(),
        seconds: Math.round(load.seconds),
        bytes: Math.round(load.bytes),
      })),
    };
  }

  /** What is due first may wait for a window, and what is due later start at once: looks at all that are due before the last one starts. */
  async #runs(vm: string | undefined, offering: string | undefined, now: Date, count: number): Promise<PreviewedRun[]> {
    const of = {
      ...(vm === undefined ? {} : { vmId: found(await this.vms.find(vm), 'vm', vm).id }),
      ...(offering === undefined ? {} : { offeringId: found(await this.offerings.find(offering), 'offering', offering).id }),
    };
    for (let limit = count; ; limit = Math.min(2 * limit, MOST)) {
      const next = await this.dues.next(limit, of);
      const runs = previewRuns(await this.#asking(next), now, count);
      const [lastDue, last] = [next.at(-1)?.dueAt, runs.at(-1)];
      const all = next.length < limit || limit === MOST;
      if (all || (runs.length === count && last !== undefined && lastDue && lastDue >= last.startsAt)) return runs;
    }
  }

  async #asking(next: readonly DueRow[]): Promise<PreviewSchedule[]> {
    const vms = new Map((await this.vms.findMany(next.map(({ vmId }) => vmId))).map((row) => [row.id, row]));
    const schedules = new Map(
      (await this.schedules.bySeqs(next.map(({ scheduleSeq }) => scheduleSeq))).map((row) => [row.seq, row]),
    );
    const hosts = await this.hosts.names([...vms.values()].flatMap(({ hostId }) => hostId ?? []));
    const rules = await this.startRules.ofVms([...vms.values()]);
    // As the scheduler takes them.
    const inOrder = [...next].sort((a, b) => a.scheduleSeq - b.scheduleSeq);
    return inOrder.flatMap(({ scheduleSeq, vmId, instant, dueAt }): PreviewSchedule[] => {
      const [schedule, row] = [schedules.get(scheduleSeq), vms.get(vmId)];
      const rhythm = schedule && row ? this.rhythms.of(schedule, row) : null;
      if (schedule === undefined || row === undefined || rhythm === null || instant === null || dueAt === null) return [];
      const { id, missed, graceSeconds } = schedule;
      const host = hosts.get(row.hostId ?? 0) ?? null;
      return [{ id, vm: row.instanceName, host, ...rhythm, rules: rules(row), due: { instant, dueAt }, missed, graceSeconds }];
    });
  }

  /** The middle one of each VM's newest. */
  async #usual(names: ReadonlySet<string>): Promise<Map<string, UsualRun>> {
    const usual = new Map<string, UsualRun>();
    for (const name of names) {
      const vm = (await this.vms.find(name)) as VmRow;
      const ended = (await this.runs.lastBackups(vm.id, LOOKED_AT)).flatMap(({ started, ended, progress }) =>
        started && ended
          ? [{ seconds: (ended.getTime() - started.getTime()) / 1000, bytes: (progress as { done?: number } | null)?.done ?? 0 }]
          : [],
      );
      if (ended.length > 0)
        usual.set(name, { seconds: median(ended.map((run) => run.seconds)), bytes: median(ended.map((run) => run.bytes)) });
    }
    return usual;
  }
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
