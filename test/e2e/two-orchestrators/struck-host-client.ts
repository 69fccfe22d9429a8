import { setTimeout as sleep } from 'node:timers/promises';
import { ScriptHostClient } from '../../../src/hosts/script-host-client';
import type { Moment } from './draw-rounds';

/** Is told of a moment, and may not come back from it. */
export type Meets = (moment: Moment, share?: number) => void;

/** Long enough for the host to have the order, and often too short for its answer. */
const ON_THE_WAY_MS = 40;

/** The way to the host, with the moments at which it is struck. */
export class StruckHostClient extends ScriptHostClient {
  constructor(
    private readonly meets: Meets,
    ...parts: ConstructorParameters<typeof ScriptHostClient>
  ) {
    super(...parts);
  }

  override async start(...args: Parameters<ScriptHostClient['start']>): ReturnType<ScriptHostClient['start']> {
    this.meets('decided');
    const answer = await this.#onTheWay(super.start(...args), 'starting');
    this.meets('begun');
    return answer;
  }

  override async status(...args: Parameters<ScriptHostClient['status']>): ReturnType<ScriptHostClient['status']> {
    const status = await super.status(...args);
    const { processed, total } = status.progress ?? {};
    if (status.state === 'running' && processed && total) this.meets('copying', processed / total);
    if (status.state === 'done') this.meets('done');
    return status;
  }

  override async retire(...args: Parameters<ScriptHostClient['retire']>): ReturnType<ScriptHostClient['retire']> {
    await this.#onTheWay(super.retire(...args), 'retiring');
    this.meets('retired');
  }

  async #onTheWay<T>(call: Promise<T>, moment: Moment): Promise<T> {
    // Whoever waits for it here hears of an error; the struck one does not.
    call.catch(() => undefined);
    await sleep(ON_THE_WAY_MS);
    this.meets(moment);
    return call;
  }
}
