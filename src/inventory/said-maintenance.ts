import type { MaintenanceRow } from '../database/entities/maintenance-row';
import type { SaidMaintenanceDto } from './dto/maintenance.dto';

/** As the API shows it beside a host or repository. */
export const saidMaintenance = (row: MaintenanceRow | null): SaidMaintenanceDto | null =>
  row && { by: row.begunBy, why: row.why, since: row.since.toISOString() };
