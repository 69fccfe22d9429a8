import type { RestoreWay } from '../../src/domain/restore/restore-plan';
import type { Asks, Errand, Step, Stricken } from './stricken';

/** What books are kept in. */
export type BooksKind = 'sqlite' | 'mariadb';

/** Something that goes wrong at a step of a run. */
export interface Fault {
  readonly what: string;
  readonly step: Step;
  /** What the struck run may come to, as `succeeded` or `failed CODE`. */
  readonly outcomes: RegExp;
  /** What is asked of the struck run, and of the backup after it, besides that it be taken. */
  readonly asks?: Asks;
  /** The struck run is no backup but a restore of the last point but one, like this. */
  readonly restores?: RestoreWay;
  /** What else such a restore is told. */
  readonly wishes?: (host: Stricken) => Promise<object>;
  /** The struck one is neither a backup nor such a restore. */
  readonly errand?: Errand;
  /** What the struck run may have made, as `TYPE REASON`, where that is part of the fault. */
  readonly made?: RegExp;
  /** What the backup after it may be; an incremental as any other unless told. */
  readonly next?: RegExp;
  /** One of those that are tried in every run of the tests: the worst step of its kind. */
  readonly quick?: boolean;
  /** The books that it can strike; as of its family unless told. */
  readonly books?: readonly BooksKind[];
  /** What has to be so before the run begins. */
  before?(host: Stricken): Promise<void>;
  strike(host: Stricken, job: string, moment: string): Promise<void>;
  /** Once the service goes on: what somebody does about it. */
  mend?(host: Stricken, job: string): Promise<void>;
  /** When all was looked at: what else must be true, and what the next fault does not expect is put back. */
  afterwards?(host: Stricken): Promise<void>;
}

/** Starts the VM again, as its owner would. */
export const restart = ({ lab, vm }: Stricken): Promise<void> => lab.vmStart(vm);
