import { isName } from '../agent/names';
import type { DecideInput } from './decide-input';
import { refusal, type Refusal } from './refusal';
import { refuseUnlimited } from './refuse-unlimited';

/** Why no backup at all can be taken now; null when one can. Nothing has been changed yet. */
export function refuseBackup({ request, policy, script, facts, books, looked }: DecideInput): Refusal | null {
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
  const unlimited = refuseUnlimited(request, policy, script);
  if (unlimited !== null) return unlimited;
  return looked && vm.state === 'shut off' ? refuseOtherFormat(facts, books) : null;
}

/**
 * A stopped VM's disks say themselves what they are, and a guest can write the begin of a qcow2 into a raw one: what was copied then would not
 * be the disk. While it runs, its definition says it.
 */
function refuseOtherFormat({ vm, disks }: DecideInput['facts'], { backups }: DecideInput['books']): Refusal | null {
  for (const { target, path, format } of disks) {
    const known = backups
      .filter(({ status }) => status === 'BackedUp')
      .flatMap((backup) => backup.disks.find((disk) => disk.path !== null && disk.path === path)?.format ?? [])[0];
    if (known !== undefined && format !== null && known !== format)
      return refusal(
        'backup.other-format',
        'refused',
        `Disk ${target} of the VM ${vm.name} was ${known} at its last backup, and looks like ${format} now that the VM is stopped.`,
        'Start the VM and back it up while it runs: then its definition says what the disk is.',
      );
  }
  return null;
}
