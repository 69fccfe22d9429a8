import type { Call, Said } from './call';
import { settleRestore } from './jobs';
import { jsonAnswer } from './print';

/** `sweep`: mounts that a killed run left go; libvirt's jobs of dead runs and guests that an I/O error paused are told. */
export function sweep({ host, options: { dryRun } }: Call): Said {
  const items: { code: string; subject: string; action: string; text: string }[] = [];
  const running = [...host.jobs.values()].some(({ state }) => state === 'running');
  for (const { name, job, state, reason } of host.vms.values()) {
    if (host.locked.has(name)) continue;
    if (job !== null)
      items.push({
        code: 'libvirt-job',
        subject: name,
        action: 'left',
        text: `libvirt's backup job of ${name} goes on without its script`,
      });
    if (state === 'paused' && reason === 'I/O error')
      items.push({
        code: 'paused-guest',
        subject: name,
        action: 'left',
        text: `an I/O error stopped it; when its storage is well: virsh resume ${name}`,
      });
  }
  for (const [job, vm] of [...host.restoring]) {
    if (host.jobs.get(job)?.state === 'running') continue;
    const text = `what the restore of job ${job} has begun and not ended`;
    if (dryRun) items.push({ code: 'restore', subject: vm, action: 'would-be-removed', text });
    else items.push({ code: 'restore', subject: vm, action: 'removed', text: `${text}: ${settleRestore(host, job)}` });
  }
  const used = running || items.some(({ code }) => code === 'libvirt-job');
  for (const subject of host.mounts) {
    const action = used ? 'left' : dryRun ? 'would-be-removed' : 'removed';
    items.push({ code: 'mount', subject, action, text: 'it belongs to a job, which has ended' });
    if (action === 'removed') host.mounts.delete(subject);
  }
  return jsonAnswer({ v: 1, dryRun, items });
}
