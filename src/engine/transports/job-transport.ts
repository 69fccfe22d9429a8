/**
 * How a worker hears that a run may be there to be claimed. A transport carries run ids and nothing else, and may lose, repeat or invent
 * them: the books say what a run is and whose, and whoever hears of one claims it there. What nobody heard of is found by looking.
 */
export interface JobTransport {
  /** How long a worker that hears nothing rests between two looks into the books. It may be another one at the next look. */
  readonly restMs: number;
  /** Why it carries nothing just now, for people; null: it does, or has nothing to carry. */
  readonly trouble: string | null;
  /** Tells of a run that is in the books. It neither fails nor waits. */
  tell(runId: string): void;
  /** From now on hears of ids: each one here or at another listener, and the next when `hear` has ended. */
  listen(hear: Hear): void;
  /** Hears no more, and still tells; what was heard and not taken in goes to another listener. It takes a moment, as `close` does. */
  leave(): Promise<void>;
  /** Hears and tells no more. It takes a moment, in whatever state the other side is. */
  close(): Promise<void>;
}

/** Takes an id in. False: nobody looks here any more, another listener should hear of it. */
export type Hear = (runId: string) => Promise<boolean>;

/** Injection token of the transport. */
export const JOB_TRANSPORT = Symbol('job transport');
