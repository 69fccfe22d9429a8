import { isName } from '../agent/names';
import type { DecideInput } from './decide-input';
import { refusal, type Refusal } from './refusal';

/** Why no backup at all can be taken now; null when one can. Nothing has been changed yet. */
export function refuseBackup({ facts, books }: DecideInput): Refusal | null {
  const { vm, job, disks } = facts;
  if (!isName('vm', vm.name)) {
    return refusal(
      'vm.bad-name',
      'refused',
      `The name ${JSON.stringify(vm.name)} cannot stand in a path.`,
      'Rename the domain: letters, digits and _ . + @ : - only, no dash or dot in front.',
    );
  }
  if (vm.state === 'absent') {
    return refusal(
      'vm.absent',
      'not-found',
      `The host does not know the VM ${vm.name}.`,
      'Check which host it runs on and where its disks lie.',
    );
  }
  if (job.active) {
    const operation = job.operation ?? 'a job';
    return /migration/i.test(operation)
      ? refusal('vm.migrating', 'busy', `The VM ${vm.name} is being migrated.`, 'Try again when it has arrived.')
      : refusal('vm.busy', 'busy', `The host is at work on the VM ${vm.name}: ${operation}.`, 'Try again when that has ended.');
  }
  const unfinished = books.backups.find(({ status }) => status === 'BackingUp' || status === 'Restoring');
  if (unfinished !== undefined) {
    return unfinished.status === 'Restoring'
      ? refusal(
          'vm.restoring',
          'busy',
          `Backup ${unfinished.uuid} of the VM ${vm.name} is being restored.`,
          'Try again when that has ended.',
        )
      : refusal(
          'backup.in-progress',
          'busy',
          `Backup ${unfinished.uuid} of the VM ${vm.name} is being taken.`,
          'Wait for it, or reconcile it when nobody is at it any more.',
        );
  }
  if (disks.length === 0) {
    return refusal(
      'vm.no-disks',
      'conflict',
      `The host found no disks of the VM ${vm.name}.`,
      'For a stopped VM the paths of its disks must be known to the books.',
    );
  }
  if (new Set(disks.map(({ target }) => target)).size !== disks.length) {
    return refusal(
      'vm.disks-ambiguous',
      'conflict',
      `Two disks of the VM ${vm.name} have the same target.`,
      'Check the domain and the volumes in the books.',
    );
  }
  return null;
}
