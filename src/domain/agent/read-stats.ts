/** Size and use of a repository. */
export interface RepositoryStats {
  readonly capacityBytes: number;
  readonly usedBytes: number;
}

/** Reads what `stats` printed, the same in every dialect: the mount point, then total and used in KiB. Null: it is not that. */
export function readStats(stdout: string): RepositoryStats | null {
  const [, total, used] = /^\S.*\n(\d{1,12}) (\d{1,12})\n?$/.exec(stdout) ?? [];
  if (total === undefined || used === undefined) return null;
  return { capacityBytes: Number(total) * 1024, usedBytes: Number(used) * 1024 };
}
