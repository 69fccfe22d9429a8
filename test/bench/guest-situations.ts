import { setTimeout as sleep } from 'node:timers/promises';
import type { Scene } from './guest-scene';
import type { Agent } from './watched-guest';

/** A trouble that a guest is taken through, by push and by pull: a full of its 64 MiB. */
export interface Situation {
  readonly name: string;
  /** In words for people: the title of its row. */
  readonly title: string;
  /** Bytes a second to the NAS. */
  readonly speed: string;
  readonly agent?: Agent;
  /** Bytes of NAS and scratch that the host script keeps free; 0 unless said. */
  readonly reserve?: number;
  /** MiB that NAS or scratch directory have at all. */
  readonly nasMiB?: number;
  readonly scratchMiB?: number;
  play(scene: Scene): Promise<void>;
}

const scratchFills = async (scene: Scene): Promise<void> => {
  await scene.fails(scene.full(), 'scratch-full');
  scene.mark('the backup is ended');
};

export const SITUATIONS: readonly Situation[] = [
  {
    name: 'none',
    title: 'No trouble: a quick NAS',
    speed: 'unlimited',
    play: async (scene) => scene.point(scene.full()),
  },
  {
    name: 'slow',
    title: 'The NAS is slow: 4 MiB/s',
    speed: '4M',
    play: async (scene) => scene.point(scene.full()),
  },
  {
    name: 'hangs',
    title: 'The NAS hangs for 6 s and comes back',
    speed: '16M',
    play: async (scene) => {
      const backup = scene.full();
      await scene.copying();
      await scene.speed('0');
      const back = scene.mark('the NAS does not answer');
      await sleep(6_000);
      await scene.speed('16M');
      back();
      await scene.point(backup);
    },
  },
  {
    name: 'fills',
    title: 'Another one fills the NAS: the reserve ends the backup',
    speed: '4M',
    reserve: 20_000_000,
    nasMiB: 300,
    play: async (scene) => {
      const backup = scene.full();
      await scene.copying();
      scene.mark('the NAS fills');
      await scene.fillNas(8_000_000);
      await scene.fails(backup, 'target-full');
    },
  },
  {
    name: 'scratch',
    title: 'The scratch directory fills: the reserve ends the backup',
    speed: '1M',
    reserve: 3_000_000,
    scratchMiB: 12,
    play: scratchFills,
  },
  {
    name: 'scratch-to-the-last-byte',
    title: 'The scratch directory fills to the last byte: the guest is paused, and resumed',
    speed: '1M',
    scratchMiB: 12,
    play: scratchFills,
  },
  {
    name: 'suspended',
    title: 'Suspended by its user while the backup is taken',
    speed: 'unlimited',
    play: async (scene) => {
      await scene.guest.virsh('suspend');
      const resumed = scene.mark('suspended');
      await scene.point(scene.full());
      const state = await scene.guest.virsh('domstate', '--reason');
      if (state !== 'paused (user)') throw new Error(`after the backup the VM was ${state}`);
      await sleep(1_000);
      await scene.guest.virsh('resume');
      resumed();
    },
  },
  {
    name: 'agent-works',
    title: 'Quiesced: the guest agent freezes and thaws',
    speed: 'unlimited',
    agent: 'works',
    play: async (scene) => scene.point(scene.full('-q', 'true')),
  },
  {
    name: 'agent-missing',
    title: 'Quiesced, but there is no guest agent: refused',
    speed: 'unlimited',
    agent: 'missing',
    play: async (scene) => {
      await scene.fails(scene.full('-q', 'true'), 'agent-missing');
      scene.mark('refused');
    },
  },
  {
    name: 'agent-mute',
    title: 'Quiesced, but the guest agent is mute: given up',
    speed: 'unlimited',
    agent: 'mute',
    play: async (scene) => {
      await scene.fails(scene.full('-q', 'true'), 'agent-missing');
      scene.mark('given up');
    },
  },
  {
    name: 'agent-refuses',
    title: 'Quiesced, and the guest agent refuses three times to thaw: it is asked until it does',
    speed: 'unlimited',
    agent: 'refuses',
    play: async (scene) => scene.point(scene.full('-q', 'true')),
  },
];
