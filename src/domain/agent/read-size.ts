import { clip } from './transcript';

/** Whether the script took the running or the stopped path: they print sizes differently. */
export type RunPath = 'running' | 'stopped';

/** Bytes as the script printed them, exact; or why there are none. */
export type SizeReading =
  | { readonly ok: true; readonly size: number; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly code: SizeProblem; readonly message: string };

/** Why there is no size. Stable. */
export type SizeProblem = 'size-missing' | 'size-not-last' | 'size-interrupted' | 'size-count' | 'size-too-large' | 'size-zero';

const refuse = (code: SizeProblem, message: string): SizeReading => ({ ok: false, code, message });

/** Nothing but digits: "23.000 GiB", "1e9", "-1" and "24,696" are not sizes. */
const isSize = (line: string): boolean => /^[0-9]+$/.test(line);

// Warnings, and what the tools say about the end of a mount. Where stderr was mixed in, they follow a size that is good.
const AFTERWORD = /^(?:umount(?:\.\w+)?|rmdir): |^Failed to (?:unmount|remove mount point) |^(?:[\w.-]+: )?warning\b/i;

/** What a job block looks like; labels differ by libvirt's version, so its first line alone tells. */
const JOB_TYPE = /^Job type:\s*(\S+)/;

const shown = (line: string): string => JSON.stringify(clip(line));

/** Adds numbers exactly. Above 2^53-1 a JavaScript number would round, so the sum is refused. */
function sum(sizes: readonly string[], warnings: readonly string[]): SizeReading {
  const tooLarge = (bytes: string): SizeReading =>
    refuse('size-too-large', `${shown(bytes)} bytes is more than can be counted exactly (2^53-1).`);
  // Not even a BigInt may be made of megabytes of digits: it would take minutes.
  const endless = sizes.find((size) => size.replace(/^0+/, '').length > 16);
  if (endless !== undefined) return tooLarge(endless);
  const total = sizes.reduce((bytes, size) => bytes + BigInt(size), 0n);
  return total > BigInt(Number.MAX_SAFE_INTEGER) ? tooLarge(String(total)) : { ok: true, size: Number(total), warnings };
}

/**
 * Running VM: one number, the bytes of the backup's directory. It is the last line that is left; mount messages and libvirt's
 * job block come before it, and after it at most a warning or a word about unmounting. Nothing else before it is looked at: a number that
 * stands further up is not the size.
 */
export function readRunningSize(lines: readonly string[]): SizeReading {
  const at = lines.findLastIndex((line) => !AFTERWORD.test(line));
  const last = lines[at];
  if (last === undefined) return refuse('size-missing', 'The script printed no size.');
  if (!isSize(last)) {
    return lines.some(isSize)
      ? refuse('size-not-last', `After the size stands ${shown(last)}, so it may not be the size.`)
      : refuse('size-missing', `The script printed no size; its last line is ${shown(last)}.`);
  }
  // The directory holds at least the descriptions of the VM: nought is what the final script prints when measuring failed.
  if (/^0+$/.test(last)) return refuse('size-zero', 'A size of 0 means that the script could not measure the backup.');
  const others = lines.slice(0, at).filter(isSize).length;
  const warnings = others === 0 ? [] : [`several-sizes: ${others} more number(s) before the size of a running VM`];
  if (at < lines.length - 1) warnings.push(`after-size: ${clip(lines.slice(at + 1).join('; '))}`);
  return sum([last], warnings);
}

/**
 * Stopped VM: one number for each file, name-sorted. Noise may come before the first; after it everything has to be a number,
 * because a line that is none could have been one.
 * @param disks how many there must be, when it is known.
 */
export function readStoppedSize(lines: readonly string[], disks: number | null): SizeReading {
  const first = lines.findIndex(isSize);
  if (first < 0) return refuse('size-missing', 'The script printed no size.');
  const sizes = lines.slice(first);
  const stranger = sizes.find((line) => !isSize(line));
  if (stranger !== undefined) return refuse('size-interrupted', `Among the sizes stands ${shown(stranger)}.`);
  if (disks !== null && sizes.length !== disks) {
    return refuse('size-count', `The script printed ${sizes.length} size(s) for ${disks} disk(s).`);
  }
  // Not even an empty image has no bytes.
  if (sizes.some((size) => /^0+$/.test(size))) return refuse('size-zero', 'A file of the backup is empty.');
  return sum(sizes, []);
}

/** What libvirt said about the job: the word after `Job type:`, the last one when there are several. Null without a block. */
export const readJobType = (lines: readonly string[]): string | null =>
  lines.map((line) => JOB_TYPE.exec(line)?.[1]).findLast((type) => type !== undefined) ?? null;
