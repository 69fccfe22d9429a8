import { Column, Entity, PrimaryColumn } from 'typeorm';
import { COUNT, MOMENT, TEXT, WORD } from '../columns';

/** Somebody said that nothing is begun on a host or in a repository for now. */
@Entity('ck_maintenances')
export class MaintenanceRow {
  @PrimaryColumn(WORD) owner!: 'host' | 'repository';
  /** Row id of the host or repository. */
  @PrimaryColumn(COUNT) ownerId!: number;
  @Column(WORD) begunBy!: string;
  @Column(TEXT) why!: string;
  /** What becomes of runs that went on there when it was said. */
  @Column(WORD) running!: 'finish' | 'abort';
  @Column(MOMENT) since!: Date;
}
