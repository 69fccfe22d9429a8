import type { DecideInput } from './decide-input';
import { obstacle, type Obstacle } from './obstacle';

/**
 * Storage and images that cannot carry a dirty bitmap. Only what is known to be incapable counts:
 * the host script looks again, and falls back by itself.
 */
export function checkCapability({ facts }: DecideInput): Obstacle[] {
  const storage = facts.disks.filter(({ type }) => type === 'block' || type === 'network');
  const images = facts.disks.filter(({ format, compat }) => (format !== null && format !== 'qcow2') || compat === '0.10');
  return [
    ...storage.map(({ target, type }) => obstacle('storage-unsupported', target, `the disk is of type ${type}`)),
    ...images.map(({ target, format, compat }) =>
      obstacle('image-unsupported', target, `the format is ${format}${compat === null ? '' : `, version ${compat}`}`),
    ),
  ];
}

/** What was asked for, what the offering allows, and the one state of a VM that is always copied in full. */
export function checkWishes({ request, policy, facts }: DecideInput): Obstacle[] {
  if (request.mode === 'full') return [obstacle(request.because ?? 'requested', null, 'the request asks for a full')];
  if (!policy.incrementalEnabled) return [obstacle('incremental-disabled', null, 'incrementals are switched off')];
  if ((policy.fullEvery ?? 1) <= 1) return [obstacle('incremental-disabled', null, 'the policy makes every backup a full')];
  if (facts.vm.state === 'shut off') return [obstacle('vm-stopped', null, 'the host says that the VM is shut off')];
  return [];
}
