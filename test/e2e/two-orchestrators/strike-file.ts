import { appendFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Moment, Strike } from './draw-rounds';

/** That an orchestrator came to the moment of a strike first. */
export interface Struck {
  readonly owner: string;
  readonly round: number;
}

/** A strike as the orchestrators see it. */
export interface OrderedStrike extends Strike {
  readonly round: number;
}

/** The strike of a round lies in a folder that all processes see, and whoever comes to its moment first takes it away. */
export class StrikeFile {
  constructor(private readonly folder: string) {}

  order(strike: OrderedStrike): void {
    writeFileSync(`${this.#file}.new`, JSON.stringify(strike));
    renameSync(`${this.#file}.new`, this.#file);
  }

  /** What nobody came to is not to be met in the next round. */
  withdraw(): void {
    rmSync(this.#file, { force: true });
  }

  /** For whoever is at a moment: the strike, if it is this one and nobody else has met it. */
  take(owner: string, moment: Moment, share = 1): OrderedStrike | null {
    try {
      const strike = JSON.parse(readFileSync(this.#file, 'utf8')) as OrderedStrike;
      if (strike.moment !== moment || (moment === 'copying' && share < strike.share)) return null;
      renameSync(this.#file, `${this.#file}.${owner}`);
      appendFileSync(this.#log, `${JSON.stringify({ owner, round: strike.round } satisfies Struck)}\n`);
      return strike;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  /** Who was struck in a round; null: nobody yet. */
  struck(round: number): Struck | null {
    if (!existsSync(this.#log)) return null;
    // Written in one piece each, by one process after the other.
    const lines = readFileSync(this.#log, 'utf8').split('\n');
    const struck = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Struck);
    return struck.find((one) => one.round === round) ?? null;
  }

  get #file(): string {
    return join(this.folder, 'strike');
  }
  get #log(): string {
    return join(this.folder, 'struck');
  }
}
