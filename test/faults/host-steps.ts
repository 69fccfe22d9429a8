import type { ToolCall } from './standing-tool';

/** Steps of the host script that the service does not see, and the call that each begins with. */
const HOST_STEPS = {
  // of a backup: libvirt's job is over, or the readers are, and nobody has looked at what they made; the result is certain and not yet said
  'data complete': { tool: 'qemu-img', words: '^check -q ' },
  // A job's mount points lie in a folder of the job; those of other calls do not.
  'in cleanup': { tool: 'umount', words: '/csbackup[.].*/csbackup[.]' },
  // of a restore
  'a disk is written': { tool: 'qemu-img', words: '^compare ' },
  'a disk is compared': { tool: 'sync', words: '^-- .*[.]restore-' },
  'before the swap': { tool: 'ln', words: '[.]before-' },
  'before the second swap': { tool: 'ln', words: '' },
  'all swapped, not noted': { tool: 'mv', words: '/restored$' },
  'swapped, old ones there': { tool: 'rm', words: '[.]before-' },
  'names are given': { tool: 'ln', words: '[.]restore-.*-vdb[.]qcow2$' },
  // of a deletion
  'files go': { tool: 'rm', words: '-fv --one-file-system /' },
  'its directory goes': { tool: 'rm', words: '-fv --one-file-system -d ' },
  // of a sweep
  'before it unmounts': { tool: 'umount', words: '-c -- /tmp/csbackup' },
  'before a mount point goes': { tool: 'rm', words: '-rf --one-file-system -- /tmp/csbackup' },
  'before the note goes': { tool: 'rm', words: '-rf --one-file-system -- .*/work[.]' },
  'what a run left goes': { tool: 'rm', words: '-fv --one-file-system -r ' },
} as const satisfies Record<string, ToolCall>;

export type HostStep = keyof typeof HOST_STEPS;

/** The call that a step begins with; `second`: path of the second disk; `byReaders`: of a pull, which removes its scratch files first. */
export function callOf(step: HostStep, second: string, byReaders: boolean): ToolCall {
  const { tool, words } = HOST_STEPS[step];
  if (step === 'in cleanup' && byReaders) return { tool: 'rm', words: '/host/scratch/' };
  return { tool, words: step === 'before the second swap' ? `-T -- ${second} ` : words };
}

export const isHostStep = (step: string): step is HostStep => step in HOST_STEPS;
