/**
 * Whole seconds from 0 to `most` by which a VM is later than its schedule says. They hang on both names alone: the load of a schedule is
 * spread evenly over its VMs, and each keeps its place.
 */
export const jitterOf = (schedule: string, vm: string, most: number): number =>
  Math.floor((hash(`${schedule}/${vm}`) / 2 ** 32) * (most + 1));

/** FNV-1a, and murmur's last mix: names that differ in one digit must not lie side by side. */
function hash(text: string): number {
  let mixed = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) mixed = Math.imul(mixed ^ text.charCodeAt(index), 0x01000193);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
