import type { RepositoryWithWay } from '../database/repositories/backup-repositories';
import type { HostFinding, Looked, Severity } from '../domain/agent/host-finding';
import { judgeMountOptions } from '../domain/agent/judge-mount-options';
import type { LookedRepository } from '../domain/agent/judge-repository';
import { ChainkeeperError } from '../domain/errors';
import { mountOf } from '../engine/planner';
import type { HostAccess } from '../hosts/host-access';
import type { HostClient } from '../hosts/host-client';
import { mountWishOf } from '../inventory/mount-wish';

/** What cannot be answered is a finding. An error that is not ours is thrown on. */
export async function looking<T>(look: () => Promise<T>): Promise<Looked<T>> {
  try {
    return { facts: await look() };
  } catch (error) {
    if (!(error instanceof ChainkeeperError)) throw error;
    return { failed: { code: error.code, message: error.message, next: error.next ?? null } };
  }
}

/** A repository as a host sees it. */
export async function lookAtRepository(
  client: HostClient,
  access: HostAccess,
  repository: RepositoryWithWay,
): Promise<LookedRepository> {
  const { name, type, address } = repository;
  const advice = judgeMountOptions(mountWishOf(repository));
  return { name, type, address, advice, look: await looking(() => client.check(access, mountOf(repository))) };
}

/** The worst of all findings. */
export const worstOf = (findings: readonly HostFinding[]): Severity =>
  (['error', 'warning'] as const).find((severity) => findings.some((finding) => finding.severity === severity)) ?? 'ok';
