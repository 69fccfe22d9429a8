import type { Lease, Leases } from '../database/repositories/leases';
import type { Log } from '../platform/log';

/** A lease that is renewed until told otherwise. */
export interface KeptLease {
  /** Aborts when the lease is not ours any more: stop changing anything. */
  readonly lost: AbortSignal;
  /** Renews it no more and gives it back. */
  giveBack(): Promise<void>;
}

/** Renews a lease every third of its time. One missed renewal is harmless, a refused one is final. */
export function keepLease(lease: Lease, leases: Pick<Leases, 'renew' | 'release'>, forMs: number, log: Log): KeptLease {
  const lost = new AbortController();
  const timer = setInterval(() => {
    leases.renew(lease, forMs).then(
      (kept) => {
        if (kept) return;
        log.warn({ epoch: lease.epoch }, 'the lease was lost: another orchestrator may have taken the run over');
        clearInterval(timer);
        lost.abort();
      },
      (error: unknown) => log.warn({ err: error }, 'the lease could not be renewed this time'),
    );
  }, forMs / 3);
  timer.unref();
  return {
    lost: lost.signal,
    giveBack: async () => {
      clearInterval(timer);
      await leases
        .release(lease)
        .catch((error: unknown) => log.warn({ err: error }, 'the lease could not be given back; it runs out'));
    },
  };
}
