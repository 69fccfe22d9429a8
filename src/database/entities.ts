import { BackupDetailRow } from './entities/backup-detail-row';
import { BackupOfferingDetailRow } from './entities/backup-offering-detail-row';
import { BackupOfferingRow } from './entities/backup-offering-row';
import { BackupRepositoryRow } from './entities/backup-repository-row';
import { BackupRow } from './entities/backup-row';
import { BackupScheduleRow } from './entities/backup-schedule-row';
import { DueRow } from './entities/due-row';
import { EventRow } from './entities/event-row';
import { EvidenceDiskRow } from './entities/evidence-disk-row';
import { EvidenceRow } from './entities/evidence-row';
import { HostAccessRow } from './entities/host-access-row';
import { HostRow } from './entities/host-row';
import { LinkRow } from './entities/link-row';
import { MaintenanceRow } from './entities/maintenance-row';
import { ManifestRow } from './entities/manifest-row';
import { ProtectionRow } from './entities/protection-row';
import { ResizeRow } from './entities/resize-row';
import { RepositoryWayRow } from './entities/repository-way-row';
import { RetentionPolicyRow } from './entities/retention-policy-row';
import { RestoreRow } from './entities/restore-row';
import { RunRow } from './entities/run-row';
import { ScheduleRow } from './entities/schedule-row';
import { StartRuleRow } from './entities/start-rule-row';
import { StoragePoolRow } from './entities/storage-pool-row';
import { VmDetailRow } from './entities/vm-detail-row';
import { VmLeaseRow } from './entities/vm-lease-row';
import { VmRow } from './entities/vm-row';
import { VolumePlaceRow } from './entities/volume-place-row';
import { VolumeRow } from './entities/volume-row';

/** Every entity, for the data source. */
export const ENTITIES = [
  BackupRow,
  BackupDetailRow,
  BackupScheduleRow,
  BackupOfferingRow,
  BackupOfferingDetailRow,
  BackupRepositoryRow,
  VmRow,
  VmDetailRow,
  HostRow,
  VolumeRow,
  StoragePoolRow,
  RunRow,
  VmLeaseRow,
  EvidenceRow,
  EvidenceDiskRow,
  HostAccessRow,
  VolumePlaceRow,
  LinkRow,
  ManifestRow,
  ProtectionRow,
  ResizeRow,
  RepositoryWayRow,
  RetentionPolicyRow,
  RestoreRow,
  ScheduleRow,
  DueRow,
  StartRuleRow,
  MaintenanceRow,
  EventRow,
];
