import { Column, Entity, PrimaryColumn } from 'typeorm';
import { COUNT, WORD } from '../columns';

/** What CloudStack's `volumes` has no room for: libvirt's target and the whole path of the image on the host. */
@Entity('ck_volumes')
export class VolumePlaceRow {
  @PrimaryColumn(COUNT) volumeId!: number;
  /** libvirt's target name, for example `vda`. */
  @Column(WORD) target!: string;
  @Column(WORD) path!: string;
}
