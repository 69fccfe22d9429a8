import { Injectable } from '@nestjs/common';
import { Hosts } from '../database/repositories/hosts';
import { Offerings } from '../database/repositories/offerings';
import { type RuleOwner, StartRules } from '../database/repositories/start-rules';
import { isRefusal } from '../domain/chain/refusal';
import { readStartRules } from '../domain/schedule/read-start-rules';
import { refusalError } from '../engine/planner';
import { found } from '../platform/found';
import type { StartRulesDto, StartRulesWishDto } from './dto/start-rules.dto';

const ANY_TIME = { windows: [], blackouts: [], zone: 'UTC', atEnd: 'finish' } as const;

/** When the backups of an offering or on a host may start, as somebody says. */
@Injectable()
export class StartRulesService {
  constructor(
    private readonly rules: StartRules,
    private readonly offerings: Offerings,
    private readonly hosts: Hosts,
  ) {}

  async show(owner: RuleOwner['owner'], id: string): Promise<StartRulesDto> {
    const row = await this.rules.find(await this.#owner(owner, id));
    const { windows, blackouts, zone, atEnd } = row ?? ANY_TIME;
    return { windows: [...windows], blackouts: [...blackouts], zone, atEnd, changed: row?.changed.toISOString() ?? null };
  }

  /** @throws UserError `schedule.bad-window`, `schedule.bad-blackout`, `schedule.unknown-zone` */
  async set(owner: RuleOwner['owner'], id: string, wish: StartRulesWishDto): Promise<StartRulesDto> {
    const said = { ...ANY_TIME, ...wish };
    const read = readStartRules({ owner: `${owner} ${id}`, ...said });
    if (isRefusal(read)) throw refusalError(read);
    await this.rules.set(await this.#owner(owner, id), { ...said, windows: [...said.windows], blackouts: [...said.blackouts] });
    return this.show(owner, id);
  }

  /** Nothing said already is nothing said. */
  async clear(owner: RuleOwner['owner'], id: string): Promise<StartRulesDto> {
    await this.rules.clear(await this.#owner(owner, id));
    return this.show(owner, id);
  }

  async #owner(owner: RuleOwner['owner'], id: string): Promise<RuleOwner> {
    const row =
      owner === 'host' ? found(await this.hosts.find(id), 'host', id) : found(await this.offerings.find(id), 'offering', id);
    return { owner, ownerId: row.id };
  }
}
