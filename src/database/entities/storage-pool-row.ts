import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { COUNT, SECOND, WORD } from '../columns';

/** Primary storage that volumes lie on. */
@Entity('storage_pool')
export class StoragePoolRow {
  @PrimaryGeneratedColumn({ type: 'integer' }) id!: number;
  @Column(WORD) name!: string | null;
  @Column(WORD) uuid!: string | null;
  @Column(WORD) poolType!: string;
  @Column(COUNT) dataCenterId!: number;
  @Column(COUNT) podId!: number | null;
  @Column(COUNT) clusterId!: number | null;
  @Column(WORD) hostAddress!: string;
  @Column(WORD) path!: string;
  @Column(WORD) scope!: string | null;
  @Column(WORD) status!: string | null;
  @Column(SECOND) removed!: Date | null;
}
