import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import type { Adapters } from '../../src/app.module';
import type { Client } from '../../src/cli/client';
import { FakeLab } from '../../src/hosts/fake/fake-lab';
import type { LabHost } from '../../src/hosts/fake/lab-host';
import type { HostAccess } from '../../src/hosts/host-access';
import type { HostDto } from '../../src/inventory/dto/host.dto';
import { RealLab } from '../lab/lab';
import type { StoryStage } from './story';

/** A lab host of this machine, or a model of one in memory. */
export type StageKind = 'real' | 'fake';

/** What a stage is set up with. */
export interface StageOptions {
  readonly kind: StageKind;
  /** The stage's own folder; the lab makes one in it. */
  readonly folder: string;
  /** Tells stages on one machine apart: part of VM, user and NAS names. */
  readonly name: string;
}

const MIB = 1024 * 1024;
const DISKS = [
  { target: 'vda', size: 64 * MIB },
  { target: 'vdb', size: 48 * MIB },
];

/** A host with one running VM of two disks, and the service's way to it. */
export class Stage {
  readonly vm: string;
  readonly targets = DISKS.map(({ target }) => target);
  readonly nas: string;

  private constructor(
    readonly lab: LabHost,
    /** What the service needs to reach this host instead of a real one over SSH; empty for a real one. */
    readonly adapters: Partial<Adapters>,
    name: string,
  ) {
    this.vm = `i-2-10-${name}-VM`;
    this.nas = `nas-${name}`;
  }

  static async open({ kind, folder, name }: StageOptions): Promise<Stage> {
    // QEMU runs as its own user and must be able to pass through to its disks.
    await chmod(folder, 0o711);
    const stage = kind === 'real' ? new Stage(new RealLab(join(folder, 'lab'), `ck-${name}`), {}, name) : fakeStage(name);
    try {
      await stage.lab.up();
      await stage.lab.vmCreate(stage.vm, DISKS);
      await stage.lab.vmStart(stage.vm);
    } catch (error) {
      // Where nothing could be set up there may be nothing to take down: what went wrong first is what counts.
      await stage.lab.down().catch(() => undefined);
      throw error;
    }
    return stage;

    function fakeStage(of: string): Stage {
      const lab = new FakeLab();
      return new Stage(lab, { hostClient: lab.client() }, of);
    }
  }

  /** Tells the service about the host, the NAS, an offering and the VM, as an operator would. */
  async register(client: Client, { dialect, fullEvery }: { dialect: 'seed' | 'final'; fullEvery: number }): Promise<HostDto> {
    const host = await addHost(client, await this.lab.access(), dialect);
    await client.send('POST', '/repositories', { name: this.nas, type: 'dir', address: await this.lab.nas(this.nas) });
    await client.send('POST', '/offerings', { name: 'story', repository: this.nas, fullEvery });
    await client.send('POST', '/vms', { name: this.vm, host: host.id });
    await client.send('PUT', `/vms/${this.vm}/offering`, { offering: 'story' });
    return host;
  }

  /** What the story is played on. */
  story(client: Client, say: (text: string) => void): StoryStage {
    return { client, lab: this.lab, vm: this.vm, targets: this.targets, nas: this.nas, say };
  }

  async close(): Promise<void> {
    await this.lab.down();
  }
}

/** Tells the service about a host of the lab. */
export async function addHost(client: Client, access: HostAccess, dialect: 'seed' | 'final'): Promise<HostDto> {
  const { name, address, port, user, scriptPath, privateKeyFile, fingerprint } = access;
  const { body } = await client.send<HostDto>('POST', '/hosts', {
    ...{ name, address, port, user, dialect, scriptPath },
    ...(privateKeyFile === null ? {} : { privateKeyFile }),
    ...(fingerprint === null ? {} : { fingerprint }),
  });
  return body;
}
