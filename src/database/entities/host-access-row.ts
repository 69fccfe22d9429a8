import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { Dialect } from '../../domain/agent/facts';
import { COUNT, FLAG, MOMENT, NUMBER, WORD } from '../columns';

/** How a host is reached over SSH, and which host script lies there. Paths of keys only, never a key. */
@Entity('ck_hosts')
export class HostAccessRow {
  @PrimaryColumn(COUNT) hostId!: number;
  @Column(WORD) address!: string;
  @Column(NUMBER) port!: number;
  @Column(WORD) sshUser!: string;
  @Column(WORD) privateKeyFile!: string | null;
  @Column(WORD) agentSocket!: string | null;
  @Column(WORD) knownHostsFile!: string | null;
  /** SHA256 fingerprint of the pinned host key. */
  @Column(WORD) fingerprint!: string | null;
  @Column(WORD) scriptPath!: string;
  /** The stock script that takes the backups; null: ours does. */
  @Column(WORD) stockPath!: string | null;
  /** Ours lies beside a stock one. */
  @Column(FLAG) beside!: boolean;
  /** Of the script that takes the backups. */
  @Column(WORD) dialect!: Dialect;
  @Column(WORD) scriptVersion!: string | null;
  @Column(WORD) scriptSha256!: string | null;
  @Column(MOMENT) installedAt!: Date | null;
  /** The kernel's name of the boot that was seen last; null: nobody has looked. */
  @Column(WORD) bootId!: string | null;
  /** When that was first seen in place of another, in the database's time; null: never. */
  @Column(MOMENT) restarted!: Date | null;
}
