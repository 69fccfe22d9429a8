import { Injectable } from '@nestjs/common';
import { Hosts } from '../database/repositories/hosts';
import { Offerings } from '../database/repositories/offerings';
import { type RuleOwner, StartRules } from '../database/repositories/start-rules';
import { UnitOfWork } from '../database/unit-of-work';
import { isRefusal } from '../domain/chain/refusal';
import { readStartRules } from '../domain/schedule/read-start-rules';
import { refusalError } from '../engine/planner';
import { StartTimes } from '../engine/start-times';
import { found } from '../platform/found';
import type { StartRulesDto, StartRulesWishDto } from './dto/start-rules.dto';

const ANY_TIME = { windows: [], blackouts: [], zone: 'UTC', atEnd: 'finish' } as const;

/** When the backups of an offering or on a host may start, as somebody says. */
@Injectable()
export class StartRulesService {
  constructor(
    private readonly work: UnitOfWork,
    private readonly rules: StartRules,
    private readonly startTimes: StartTimes,
    private readonly offerings: Offerings,
    private readonly hosts: Hosts,
  ) {}

  async show(owner: RuleOwner['owner'], id: string): Promise<StartRulesDto> {
    const row = await this.rules.find(await this.#owner(owner, id));
    const { windows, blackouts, zone, atEnd } = row ?? ANY_TIME;
    return { windows: [...windows], blackouts: [...blackouts], zone, atEnd, changed: row?.changed.toISOString() ?? null };
  }

  /** Holds for what waits already too. @throws UserError `schedule.bad-window`, `schedule.bad-blackout`, `schedule.unknown-zone` */
  async set(owner: RuleOwner['owner'], id: string, wish: StartRulesWishDto): Promise<StartRulesDto> {
    const said = { ...ANY_TIME, ...wish };
    const read = readStartRules({ owner: `${owner} ${id}`, ...said });
    if (isRefusal(read)) throw refusalError(read);
    const of = await this.#owner(owner, id);
    await this.work.run(async () => {
      await this.rules.set(of, { ...said, windows: [...said.windows], blackouts: [...said.blackouts] });
      await this.startTimes.rulesChanged(of);
    });
    return this.show(owner, id);
  }

  /** Nothing said already is nothing said. */
  async clear(owner: RuleOwner['owner'], id: string): Promise<StartRulesDto> {
    const of = await this.#owner(owner, id);
    await this.work.run(async () => {
      if (await this.rules.clear(of)) await this.startTimes.rulesChanged(of);
    });
    return this.show(owner, id);
  }

  async #owner(owner: RuleOwner['owner'], id: string): Promise<RuleOwner> {
    const row =
      owner === 'host' ? found(await this.hosts.find(id), 'host', id) : found(await this.offerings.find(id), 'offering', id);
    return { owner, ownerId: row.id };
  }
}
