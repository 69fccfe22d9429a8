import { Injectable } from '@nestjs/common';
import type { StartRuleRow } from '../database/entities/start-rule-row';
import type { VmRow } from '../database/entities/vm-row';
import { Hosts } from '../database/repositories/hosts';
import { Offerings } from '../database/repositories/offerings';
import { StartRules as StartRuleRows } from '../database/repositories/start-rules';
import { isRefusal } from '../domain/chain/refusal';
import { readStartRules } from '../domain/schedule/read-start-rules';
import type { StartRules } from '../domain/schedule/start-rules';

/** When the offerings and hosts of VMs let backups start. */
@Injectable()
export class StartRuleReader {
  constructor(
    private readonly rows: StartRuleRows,
    private readonly offerings: Offerings,
    private readonly hosts: Hosts,
  ) {}

  /** The rules of any of these VMs. */
  async ofVms(vms: readonly VmRow[]): Promise<(vm: VmRow) => StartRules[]> {
    const idsOf = (key: 'backupOfferingId' | 'hostId'): number[] => [...new Set(vms.flatMap((vm) => vm[key] ?? []))];
    const [offerings, hosts] = [
      await this.rows.ofMany('offering', idsOf('backupOfferingId')),
      await this.rows.ofMany('host', idsOf('hostId')),
    ];
    const offeringNames = await this.offerings.names(offerings.map(({ ownerId }) => ownerId));
    const hostNames = await this.hosts.names(hosts.map(({ ownerId }) => ownerId));
    const read = (rows: StartRuleRow[], what: string, names: ReadonlyMap<number, string>): Map<number, StartRules> =>
      new Map(
        rows.flatMap(({ ownerId, zone, windows, blackouts, atEnd }) => {
          const rules = readStartRules({ owner: `${what} ${names.get(ownerId) ?? ownerId}`, zone, windows, blackouts, atEnd });
          // What was written was read before; a zone that this Node does not know any more keeps nothing from starting.
          return isRefusal(rules) ? [] : [[ownerId, rules] as const];
        }),
      );
    const byOffering = read(offerings, 'offering', offeringNames);
    const byHost = read(hosts, 'host', hostNames);
    return ({ backupOfferingId, hostId }) => [byOffering.get(backupOfferingId ?? 0) ?? [], byHost.get(hostId ?? 0) ?? []].flat();
  }
}
