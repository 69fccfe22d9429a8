import { Injectable } from '@nestjs/common';
import type { Facts, InspectFacts } from '../../domain/agent/facts';
import { now } from '../database-time';
import { EvidenceDiskRow } from '../entities/evidence-disk-row';
import { EvidenceRow } from '../entities/evidence-row';
import { addRow, addRows, joinedRows, marks, rowsOf, type Where } from '../rows';
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
    return this.#find(['evidence.vm_id = ? AND evidence.id > ?', vmId, afterId]);
  }

  /** What the runs that made these backups said, oldest first. */
  ofBackups(backupIds: readonly number[]): Promise<MeasuredEvidence[]> {
    return this.#find([`evidence.backup_id IN (${marks(backupIds)})`, ...backupIds]);
  }

  /** All of a run, oldest first. */
  ofRun(runId: string): Promise<MeasuredEvidence[]> {
    return this.#find(['evidence.run_id = ?', runId]);
  }

  /** The JSON as the host printed it; null: no such evidence. */
  verbatim(id: number): Promise<string | null> {
    return this.work.read(async (manager) => {
      const [row] = await rowsOf(manager, EvidenceRow, 'id = ?', [id], ['facts']);
      return row?.facts ?? null;
    });
  }

  #keep(row: Omit<EvidenceRow, 'id' | 'at'>, disks: readonly DiskColumns[]): Promise<number> {
    return this.work.run(async (manager) => {
      const id = await addRow(manager, EvidenceRow, { ...row, at: () => now(manager) });
      // A target that is named twice must not cost us the evidence; both are in the facts.
      const rows = new Map(disks.map((disk) => [disk.target, { ...disk, evidenceId: id }]));
      await addRows(manager, EvidenceDiskRow, [...rows.values()]);
      return id;
    });
  }

  #find([condition, ...parameters]: Where): Promise<MeasuredEvidence[]> {
    return this.work.read(async (manager) => {
      const rows = await joinedRows(
        manager,
        { evidence: EvidenceRow },
        { disk: EvidenceDiskRow },
        `FROM ck_evidence evidence LEFT JOIN ck_evidence_disks disk ON disk.evidence_id = evidence.id
         WHERE ${condition} ORDER BY evidence.id, disk.target`,
        parameters,
      );
      const found = new Map<number, MeasuredEvidence>();
      for (const { evidence, disk } of rows) {
        const known = found.get(evidence.id) ?? Object.assign(evidence, { disks: [] });
        found.set(evidence.id, known);
        if (disk !== null) known.disks.push(disk);
      }
      return [...found.values()];
    });
  }
}

type DiskColumns = Omit<EvidenceDiskRow, 'evidenceId'>;
