import { Injectable } from '@nestjs/common';
import { In, MoreThan, type FindOptionsWhere } from 'typeorm';
import type { Facts, InspectFacts } from '../../domain/agent/facts';
import { now } from '../database-time';
import { EvidenceDiskRow } from '../entities/evidence-disk-row';
import { EvidenceRow } from '../entities/evidence-row';
import { UnitOfWork } from '../unit-of-work';
import { diskOfInspect, diskOfRun, inspectColumns, runColumns } from './evidence-columns';

/** A piece of evidence with its disks, without the facts word for word. */
export type MeasuredEvidence = Omit<EvidenceRow, 'facts'> & { readonly disks: EvidenceDiskRow[] };

/** What an inspection found before or after a run, or without one. */
export interface InspectEvidence {
  readonly vmId: number;
  readonly runId: string | null;
  /** The bitmap whose dirty count and granularity are of interest: the active checkpoint; null: none. */
  readonly bitmap: string | null;
  readonly facts: InspectFacts;
  /** The JSON as it was printed. */
  readonly verbatim: string;
}

/** What a run said about itself, and what we made of it. */
export interface RunEvidence {
  readonly vmId: number;
  readonly runId: string;
  /** Null: the run made no backup. */
  readonly backupId: number | null;
  readonly facts: Facts;
  /** The JSON as it was printed. */
  readonly verbatim: string;
  readonly reason: string | null;
  readonly assurance: string | null;
}

/** What was measured: only ever added to. What is not recorded today cannot be audited in a year. */
@Injectable()
export class Evidence {
  constructor(private readonly work: UnitOfWork) {}

  keepInspect({ vmId, runId, bitmap, facts, verbatim }: InspectEvidence): Promise<number> {
    const disks = facts.disks.map((disk) => diskOfInspect(disk, bitmap));
    return this.#keep({ vmId, runId, backupId: null, kind: 'inspect', facts: verbatim, ...inspectColumns(facts, bitmap) }, disks);
  }

  keepRun({ facts, verbatim, ...about }: RunEvidence): Promise<number> {
    return this.#keep(
      { ...about, kind: 'run', facts: verbatim, ...runColumns(facts, about.reason) },
      facts.disks.map((disk) => diskOfRun(disk, facts)),
    );
  }

  /** All of a VM, oldest first; with `afterId` only what came later. */
  ofVm(vmId: number, afterId = 0): Promise<MeasuredEvidence[]> {
    return this.#find({ vmId, id: MoreThan(afterId) });
  }

  /** What the runs that made these backups said, oldest first. */
  ofBackups(backupIds: readonly number[]): Promise<MeasuredEvidence[]> {
    return this.#find({ backupId: In([...backupIds]) });
  }

  /** All of a run, oldest first. */
  ofRun(runId: string): Promise<MeasuredEvidence[]> {
    return this.#find({ runId });
  }

  /** The JSON as the host printed it; null: no such evidence. */
  verbatim(id: number): Promise<string | null> {
    return this.work.read(async (manager) => {
      const row = await manager.findOne(EvidenceRow, { where: { id }, select: { id: true, facts: true } });
      return row && row.facts;
    });
  }

  #keep(row: Omit<EvidenceRow, 'id' | 'at'>, disks: readonly DiskColumns[]): Promise<number> {
    return this.work.run(async (manager) => {
      const { identifiers } = await manager.insert(EvidenceRow, { ...row, at: () => now(manager) });
      const { id } = identifiers[0] as { id: number };
      // A target that is named twice must not cost us the evidence; both are in the facts.
      const rows = new Map(disks.map((disk) => [disk.target, { ...disk, evidenceId: id }]));
      if (rows.size > 0) await manager.insert(EvidenceDiskRow, [...rows.values()]);
      return id;
    });
  }

  #find(where: FindOptionsWhere<EvidenceRow>): Promise<MeasuredEvidence[]> {
    return this.work.read(
      (manager) =>
        manager
          .createQueryBuilder(EvidenceRow, 'evidence')
          .leftJoinAndMapMany('evidence.disks', EvidenceDiskRow, 'disk', 'disk.evidenceId = evidence.id')
          .where(where)
          .orderBy('evidence.id', 'ASC')
          .addOrderBy('disk.target', 'ASC')
          .getMany() as Promise<Rows>,
    );
  }
}

/** As the join makes them. */
type Rows = (EvidenceRow & { readonly disks: EvidenceDiskRow[] })[];
type DiskColumns = Omit<EvidenceDiskRow, 'evidenceId'>;
