import { Injectable } from '@nestjs/common';
import { BackupScheduleRow } from '../entities/backup-schedule-row';
import { UnitOfWork } from '../unit-of-work';

/** When VMs are backed up. */
@Injectable()
export class Schedules {
  constructor(private readonly work: UnitOfWork) {}

  ofVm(vmId: number): Promise<BackupScheduleRow[]> {
    return this.work.read((manager) => manager.find(BackupScheduleRow, { where: { vmId }, order: { id: 'ASC' } }));
  }
}
