import type { RawMoment } from '../database-time';
import type { RunRow } from '../entities/run-row';

type Moments = 'notBefore' | 'startUntil' | 'abortAsked';

/** A run that has not ended, with all that places are given by. */
export interface PlacedRow extends Pick<
  RunRow,
  'id' | 'vmId' | 'state' | 'kind' | 'triggeredBy' | 'requested' | 'plan' | 'created' | Moments | 'attempt'
> {
  /**
   * Names; null: the books do not say. The repository is that of the VM's offering, unless it needs another that is in maintenance, or does
   * not need that one which is.
   */
  readonly host: string | null;
  readonly repository: string | null;
  readonly zone: string | null;
  /** Of those in maintenance: the host that it cannot do without, and the repositories that it writes to or reads from. */
  readonly resting: { readonly host: string | null; readonly repositories: readonly string[] };
  /** The VM has a bitmap that an incremental can build on, by the books. */
  readonly hasCheckpoint: boolean;
  /** Its host was restarted, and nobody has looked at the VM since: whether that bitmap has survived is not known. */
  readonly restarted: boolean;
  /** Somebody holds the lease on its VM. */
  readonly leased: boolean;
}

/** The same as it is read. */
export type RawRow = Omit<
  PlacedRow,
  'requested' | 'plan' | 'created' | Moments | 'attempt' | 'resting' | 'hasCheckpoint' | 'restarted' | 'leased'
> & {
  readonly requested: string;
  readonly plan: string | null;
  readonly created: RawMoment;
  readonly notBefore: RawMoment | null;
  readonly startUntil: RawMoment | null;
  readonly abortAsked: RawMoment | null;
  readonly attempt: number | string;
  readonly hostId: string | null;
  readonly repositoryId: string | null;
  readonly checkpoint: string | null;
  readonly restarted: number | string;
  readonly leased: number | string;
};
