import { Injectable } from '@nestjs/common';
import { Offerings } from '../database/repositories/offerings';
import { type PolicyOwner, RetentionPolicies } from '../database/repositories/retention-policies';
import { Vms } from '../database/repositories/vms';
import { NO_WISH, settleRules } from '../domain/retention/retention-rules';
import { Retainer } from '../engine/retainer';
import { found } from '../platform/found';
import type { RetentionPolicyDto, RetentionWishDto } from './dto/policy.dto';
import { presentRules } from './present-rules';

/** What somebody says about the restore points of a VM, or of all VMs of an offering. */
@Injectable()
export class PoliciesService {
  constructor(
    private readonly policies: RetentionPolicies,
    private readonly offerings: Offerings,
    private readonly vms: Vms,
    private readonly retainer: Retainer,
  ) {}

  async show(owner: PolicyOwner['owner'], id: string): Promise<RetentionPolicyDto> {
    const row = await this.policies.find(await this.#owner(owner, id));
    const { changed, owner: _owner, ownerId: _ownerId, ...said } = row ?? { ...NO_WISH, changed: null, owner, ownerId: 0 };
    const rules =
      owner === 'offering' ? settleRules(null, said) : await this.retainer.rules(found(await this.vms.find(id), 'vm', id));
    return { ...said, changed: changed?.toISOString() ?? null, holds: presentRules(rules) };
  }

  /** In place of all that was said before. */
  async set(owner: PolicyOwner['owner'], id: string, wish: RetentionWishDto): Promise<RetentionPolicyDto> {
    await this.policies.set(await this.#owner(owner, id), { ...NO_WISH, ...wish });
    return this.show(owner, id);
  }

  /** Nothing said already is nothing said. */
  async clear(owner: PolicyOwner['owner'], id: string): Promise<RetentionPolicyDto> {
    await this.policies.clear(await this.#owner(owner, id));
    return this.show(owner, id);
  }

  async #owner(owner: PolicyOwner['owner'], id: string): Promise<PolicyOwner> {
    const row = owner === 'vm' ? found(await this.vms.find(id), 'vm', id) : found(await this.offerings.find(id), 'offering', id);
    return { owner, ownerId: row.id };
  }
}
