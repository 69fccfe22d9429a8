import type { Evidence } from './backup-plan';
import type { FullReason } from './reasons';

/** Something that speaks against an incremental. */
export interface Obstacle extends Evidence {
  readonly fact: FullReason;
}

/** Makes an obstacle: the reason of the full, the disk (null: the VM or the books), and what was seen. */
export function obstacle(fact: FullReason, target: string | null, detail: string): Obstacle {
  return { fact, target, detail };
}
