/**
 * What supports a restore point. Restorable says that it can be restored; assurance says what the result is worth.
 * From weak to strong:
 * - `broken`: a witness contradicts it;
 * - `unproven`: nothing contradicts it, and too little supports it;
 * - `accounted`: the books know the lineage and the bytes agree;
 * - `proven`: compared with the disk, or a restore drill matched.
 */
export const ASSURANCES = ['broken', 'unproven', 'accounted', 'proven'] as const;
/** What supports one link, or a point as the weakest link under it. */
export type Assurance = (typeof ASSURANCES)[number];

/** One sentence for people on each assurance. */
export const ASSURANCE_SENTENCES: Readonly<Record<Assurance, string>> = {
  broken: 'A witness contradicts it: it does not hold what the disk held.',
  unproven: 'Nothing contradicts it, and too little supports it.',
  accounted: 'The lineage holds in the books, and the bytes agree.',
  proven: 'It was compared with the disk, or restored and matched.',
};

/** A point is worth no more than the weakest link under it; nothing at all is worth `unproven`. */
export function weakest(assurances: readonly Assurance[]): Assurance {
  return ASSURANCES.find((level) => assurances.includes(level)) ?? 'unproven';
}
