import { fractionOf } from '../fraction-of';

/**
 * Whole seconds from 0 to `most` by which a VM is later than its schedule says. They hang on both names alone: the load of a schedule is
 * spread evenly over its VMs, and each keeps its place.
 */
export const jitterOf = (schedule: string, vm: string, most: number): number =>
  Math.floor(fractionOf(`${schedule}/${vm}`) * (most + 1));
