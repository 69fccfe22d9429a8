import { isRefusal, type Refusal } from '../chain/refusal';
import { checkZone } from './check-zone';
import { readBlackout } from './read-blackout';
import { readWindow } from './read-window';
import type { StartRules } from './start-rules';

/** What was said of when backups may start: texts as people write them. */
export type StartWish = Omit<StartRules, 'windows' | 'blackouts'> & {
  readonly windows: readonly string[];
  readonly blackouts: readonly string[];
};

/** The rules that were meant, or the first text that means nothing. */
export function readStartRules(wish: StartWish): StartRules | Refusal {
  const windows = wish.windows.map(readWindow);
  const blackouts = wish.blackouts.map(readBlackout);
  const refused = checkZone(wish.zone) ?? [...windows, ...blackouts].find((text) => isRefusal(text));
  if (refused) return refused;
  return { ...wish, windows: windows.filter(isMeant), blackouts: blackouts.filter(isMeant) };
}

const isMeant = <T extends object>(text: T | Refusal): text is T => !isRefusal(text);
