import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { RunRow } from '../database/entities/run-row';
import type { VmRow } from '../database/entities/vm-row';
import { BackupRepositories, type RepositoryWithWay } from '../database/repositories/backup-repositories';
import { Hosts, isInMaintenance, type ReachableHost } from '../database/repositories/hosts';
import { Maintenances } from '../database/repositories/maintenances';
import { Offerings, type OfferingWithDetails } from '../database/repositories/offerings';
import { type VmDisk, Volumes } from '../database/repositories/volumes';
import type { InspectFacts } from '../domain/agent/facts';
import { lastFull } from '../domain/chain/last-full';
import type { BackupPlan, BackupRequest } from '../domain/chain/backup-plan';
import type { Refusal } from '../domain/chain/refusal';
import { refuseUnlimited } from '../domain/chain/refuse-unlimited';
import { decideBackup } from '../domain/chain/decide-backup';
import { fullDueAt } from '../domain/schedule/full-due-at';
import { OperationalError, UserError } from '../domain/errors';
import { canLook, type HostAccess, hostScript } from '../hosts/host-access';
import type { HostClient, Mount } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { hostAccess } from '../inventory/host-access';
import { readPolicy } from '../inventory/offering-policy';
import { Config } from '../platform/config/load-config';
import { BookReader } from './book-reader';

/** What a run works with, found out before it decides anything. */
export interface Surroundings {
  readonly host: ReachableHost;
  readonly repository: RepositoryWithWay;
  readonly offering: OfferingWithDetails;
  readonly mount: Mount;
  /** The VM's disks by the books, in its order. */
  readonly disks: readonly VmDisk[];
}

/** A decision and the facts that it was made on. */
export interface Decided {
  readonly decision: BackupPlan | Refusal;
  readonly facts: InspectFacts;
  /** False: nobody could look, and the facts are what the books say. */
  readonly looked: boolean;
  readonly activeCheckpoint: string | null;
}

/** From a VM to a plan: who and where by the books, what is by the host, what to do by `decideBackup`. */
@Injectable()
export class Planner {
  constructor(
    private readonly reader: BookReader,
    private readonly hosts: Hosts,
    private readonly offerings: Offerings,
    private readonly repositories: BackupRepositories,
    private readonly volumes: Volumes,
    private readonly maintenances: Maintenances,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
  ) {}

  /**
   * Who and where, by the books.
   * @param planned a run whose plan, if it has one, was made on its host and goes to its repository, wherever the VM is and whatever its
   * offering points at by now
   * @throws UserError `vm.no-offering`, `vm.no-host`, `offering.no-repository`
   */
  async surroundings(vm: VmRow, planned?: Pick<RunRow, 'plan' | 'hostId'>): Promise<Surroundings> {
    const plan = (planned?.plan ?? null) as BackupPlan | null;
    const offering = vm.backupOfferingId === null ? null : await this.offerings.findById(vm.backupOfferingId);
    if (offering === null)
      throw new UserError(
        'vm.no-offering',
        'refused',
        `VM ${vm.instanceName} has no offering, so nobody said where its backups go.`,
        {
          next: `Give it one: chainkeeper vm assign ${vm.instanceName} OFFERING`,
        },
      );
    const repository = await this.repositories.find(plan?.repositoryId ?? offering.externalId ?? '');
    if (repository === null)
      throw new UserError('offering.no-repository', 'refused', `The repository of offering ${offering.name} is gone.`);
    return {
      host: (plan === null ? null : await this.hosts.findById(planned?.hostId ?? 0)) ?? (await this.hosts.ofVm(vm)),
      repository,
      offering,
      mount: mountOf(repository),
      disks: await this.volumes.ofVm(vm.id),
    };
  }

  /** Asks the host, reads the books and decides. Changes nothing. @throws UserError `host.maintenance`, `repository.maintenance` */
  async decide(vm: VmRow, { host, repository, offering, mount, disks }: Surroundings, request: BackupRequest): Promise<Decided> {
    refuseMaintenance(host, repository);
    const access = hostAccess(host, this.config.ssh);
    const looked = canLook(access);
    const facts = looked ? await this.look(vm, access, mount, disks) : byTheBooks(vm, host, disks);
    // A look takes its time.
    refuseMaintenance(...(await this.maintenances.again(host, repository)));
    const { now, ...books } = await this.reader.books(vm.id);
    const offered = readPolicy(offering.details);
    const decision = decideBackup({
      request,
      policy: {
        ...offered,
        repositoryTransfer: repository.transfer,
        repositoryBandwidth: repository.bandwidth,
        fullDueAt: fullDueAt(
          { weekday: offered.fullWeekday, everyDays: offered.fullEveryDays, zone: offered.fullZone },
          lastFull(books.backups),
        ),
        // Nothing supports a backup of a stock script, so where they are taken the next one builds on such a one, as CloudStack's.
        acceptUnprovenParent: access.stock !== null,
      },
      books,
      facts,
      repositoryId: repository.uuid,
      looked,
      script: hostScript(access),
      now,
      newChainId: randomUUID(),
    });
    return { decision, facts, looked, activeCheckpoint: books.activeCheckpointId };
  }

  /** What of a call cannot be kept to, as far as it can be said without asking the host; null: nothing. */
  refuseUnlimited({ host, repository, offering }: Surroundings, request: BackupRequest): Refusal | null {
    const policy = { ...readPolicy(offering.details), repositoryBandwidth: repository.bandwidth };
    return refuseUnlimited(request, policy, hostScript(hostAccess(host, this.config.ssh)));
  }

  /** Looks at a VM on its host, with the names that the books have for its disks. */
  async look(vm: VmRow, access: HostAccess, mount: Mount, disks: readonly VmDisk[]): Promise<InspectFacts> {
    const diskPaths = disks.map(({ path }) => path);
    return nameDisks(await this.client.inspect(access, { vm: vm.instanceName, diskPaths, repository: mount }), disks);
  }
}

/** A repository as the host script mounts it. */
export const mountOf = ({ type, address, mountOpts }: RepositoryWithWay): Mount => ({
  type,
  address,
  options: mountOpts === '' ? null : mountOpts,
});

/** A run that goes on is finished in maintenance, and none is begun. @throws UserError `host.maintenance`, `repository.maintenance` */
export function refuseMaintenance(host: ReachableHost | null, repository: RepositoryWithWay | null): void {
  if (host !== null && isInMaintenance(host))
    throw new UserError('host.maintenance', 'refused', `Host ${host.name} is in maintenance: no new run starts there.`, {
      next: 'Move the VM, or end the maintenance.',
      facts: saidBy(host),
    });
  if (repository !== null && repository.maintenance !== null)
    throw new UserError(
      'repository.maintenance',
      'refused',
      `Repository ${repository.name} is in maintenance: no new run starts there.`,
      {
        next: `End it: chainkeeper repo maintenance end ${repository.name}`,
        facts: saidBy(repository),
      },
    );
}

const saidBy = ({ maintenance }: Pick<ReachableHost, 'maintenance'>): Record<string, string> =>
  maintenance === null ? {} : { by: maintenance.begunBy, why: maintenance.why };

/** A refusal as an error for people. */
export function refusalError({ code, errorKind, message, next }: Refusal): UserError | OperationalError {
  return new UserError(code, errorKind, message, { next });
}

/** All that is known of a VM where nothing can look at it. Whether it runs the stock script finds out by itself. */
const byTheBooks = ({ instanceName }: VmRow, host: ReachableHost, disks: readonly VmDisk[]): InspectFacts => ({
  v: 1,
  script: null,
  host: { name: host.name, bootId: null, libvirt: null, qemu: null },
  vm: { name: instanceName, state: 'running', uuid: null, qemuStarted: null },
  job: { active: false, operation: null },
  checkpoints: [],
  space: null,
  disks: disks.map(({ target, path, size }) => ({
    target,
    path,
    inode: null,
    type: null,
    format: null,
    compat: null,
    virtualSize: size,
    clusterSize: null,
    errorPolicy: null,
    bitmaps: null,
    writtenBytes: null,
  })),
  problems: [],
});

/** libvirt has forgotten a stopped transient VM, and its disks have only paths there; the books know which is which. */
function nameDisks(facts: InspectFacts, booked: readonly VmDisk[]): InspectFacts {
  if (facts.vm.state !== 'shut off') return facts;
  const disks = facts.disks.map((disk) => ({
    ...disk,
    target: booked.find(({ path }) => path === disk.path)?.target ?? disk.target,
  }));
  return { ...facts, disks };
}
