import { followJob, type FollowedJob } from '../../src/engine/follow-job';
import type { HostAccess } from '../../src/hosts/host-access';
import type { HostClient } from '../../src/hosts/host-client';

/** Follows a job to its end, as the engine does. */
export const follow = (client: HostClient, host: HostAccess, jobId: string): Promise<FollowedJob> =>
  followJob(
    client,
    host,
    jobId,
    { onStatus: () => Promise.resolve(), onSilence: () => Promise.resolve() },
    AbortSignal.timeout(100_000),
  );
