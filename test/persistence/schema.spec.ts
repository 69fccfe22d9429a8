import type { DataSource } from 'typeorm';
import { createDataSource } from '../../src/database/data-source';
import { migrate } from '../../src/database/migrate';
import { startMariadb, type Mariadb } from '../support/mariadb';

/*
 * The columns of CloudStack's tables as they are in the field (4.21 and 4.22; `backup_offering_details` 4.23), written
 * down here a second time and by hand: type, `null` or `not null`, default. `?` is what no source tells.
 */
const CLOUDSTACK: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  backups: {
    id: 'bigint unsigned, not null, auto_increment',
    uuid: 'varchar(40), not null',
    vm_id: 'bigint unsigned, not null',
    external_id: 'varchar(255), null',
    type: 'varchar(255), not null',
    date: 'datetime, null',
    size: 'bigint, null, default 0',
    protected_size: 'bigint, null, default 0',
    status: 'varchar(32), null',
    backup_offering_id: 'bigint unsigned, not null',
    account_id: 'bigint unsigned, not null',
    domain_id: 'bigint unsigned, not null',
    zone_id: 'bigint unsigned, not null',
    removed: 'datetime, null',
    backed_volumes: 'text, null',
    backup_schedule_id: 'bigint unsigned, null',
    name: 'varchar(255), not null',
    description: 'varchar(1024), null',
  },
  backup_details: {
    id: 'bigint unsigned, not null, auto_increment',
    backup_id: 'bigint unsigned, not null',
    name: 'varchar(255), not null',
    value: 'text, not null',
    display: 'tinyint(1), not null, default 1',
  },
  backup_schedule: {
    id: 'bigint unsigned, not null, auto_increment',
    vm_id: 'bigint unsigned, not null',
    schedule_type: 'int, null',
    schedule: 'varchar(100), null',
    timezone: 'varchar(100), null',
    scheduled_timestamp: 'datetime, null',
    async_job_id: 'bigint unsigned, null',
    max_backups: 'int unsigned, not null, default 0',
    quiescevm: 'tinyint(1), null',
    uuid: 'varchar(40), not null',
    domain_id: 'bigint, null',
    account_id: 'bigint, null',
  },
  backup_offering: {
    id: 'bigint unsigned, not null, auto_increment',
    uuid: 'varchar(40), ?',
    name: 'varchar(255), ?',
    description: 'varchar(255), ?',
    external_id: 'varchar(255), ?',
    user_driven_backup: 'tinyint(1) unsigned, ?, default 0',
    zone_id: 'bigint unsigned, not null',
    provider: 'varchar(255), not null',
    created: 'datetime, null',
    removed: 'datetime, null',
  },
  backup_offering_details: {
    id: 'bigint unsigned, not null, auto_increment',
    backup_offering_id: 'bigint unsigned, not null',
    name: 'varchar(255), not null',
    value: 'varchar(1024), not null',
    display: 'tinyint(1), not null, default 1',
  },
  backup_repository: {
    id: 'bigint unsigned, not null, auto_increment',
    uuid: 'varchar(255), not null',
    name: 'varchar(255), not null',
    zone_id: 'bigint unsigned, not null',
    provider: 'varchar(255), not null',
    type: 'varchar(255), not null',
    address: 'varchar(1024), not null',
    mount_opts: 'varchar(1024), not null',
    used_bytes: 'bigint unsigned, null',
    capacity_bytes: 'bigint unsigned, null',
    created: 'datetime, null',
    removed: 'datetime, null',
    cross_zone_instance_creation: 'tinyint(1), null',
  },
  vm_instance: {
    id: 'bigint unsigned, not null, auto_increment',
    name: 'varchar(255), not null',
    uuid: 'varchar(40), null',
    instance_name: 'varchar(255), not null',
    state: 'varchar(32), not null',
    vm_template_id: 'bigint unsigned, null',
    pod_id: 'bigint unsigned, null',
    data_center_id: 'bigint unsigned, not null',
    host_id: 'bigint unsigned, null',
    last_host_id: 'bigint unsigned, null',
    account_id: 'bigint unsigned, not null',
    domain_id: 'bigint unsigned, not null',
    service_offering_id: 'bigint unsigned, not null',
    hypervisor_type: 'char(32), null',
    power_state: 'varchar(74), null, default PowerUnknown',
    power_state_update_time: 'datetime, null',
    power_host: 'bigint unsigned, null',
    backup_offering_id: 'bigint unsigned, null',
    backup_external_id: 'varchar(255), null',
    backup_volumes: 'text, null',
    removed: 'datetime, null',
  },
  vm_instance_details: {
    id: 'bigint unsigned, not null, auto_increment',
    vm_id: 'bigint unsigned, not null',
    name: 'varchar(255), not null',
    value: 'varchar(5120), not null',
    display: 'tinyint(1), not null, default 1',
  },
  host: {
    id: 'bigint unsigned, not null, auto_increment',
    name: 'varchar(255), not null',
    uuid: 'varchar(40), null',
    status: 'varchar(32), not null',
    type: 'varchar(32), not null',
    private_ip_address: 'char(40), not null',
    cluster_id: 'bigint unsigned, null',
    pod_id: 'bigint unsigned, null',
    data_center_id: 'bigint unsigned, not null',
    hypervisor_type: 'varchar(32), null',
    resource_state: 'varchar(32), not null, default Enabled',
    mgmt_server_id: 'bigint unsigned, null',
    removed: 'datetime, null',
    arch: 'varchar(8), null, default x86_64',
    last_mgmt_server_id: 'bigint unsigned, null',
    storage_access_groups: 'varchar(255), null',
  },
  volumes: {
    id: 'bigint unsigned, not null, auto_increment',
    account_id: 'bigint unsigned, not null',
    domain_id: 'bigint unsigned, not null',
    pool_id: 'bigint unsigned, null',
    instance_id: 'bigint unsigned, null',
    device_id: 'bigint unsigned, null',
    name: 'varchar(255), null',
    uuid: 'varchar(40), null',
    size: 'bigint unsigned, not null',
    path: 'varchar(255), null',
    data_center_id: 'bigint unsigned, not null',
    volume_type: 'varchar(64), not null',
    pool_type: 'varchar(64), null',
    disk_offering_id: 'bigint unsigned, not null',
    state: 'varchar(32), null',
    removed: 'datetime, null',
  },
  storage_pool: {
    id: 'bigint unsigned, not null, auto_increment',
    name: 'varchar(255), null',
    uuid: 'varchar(255), null',
    pool_type: 'varchar(32), not null',
    data_center_id: 'bigint unsigned, not null',
    pod_id: 'bigint unsigned, null',
    cluster_id: 'bigint unsigned, null',
    host_address: 'varchar(255), not null',
    path: 'varchar(255), not null',
    scope: 'varchar(255), null',
    status: 'varchar(32), null',
    removed: 'datetime, null',
  },
};

/** `table.name -> referenced table(column), rule`. */
const FOREIGN_KEYS = {
  'backups.fk_backup__vm_id': 'vm_id -> vm_instance.id CASCADE',
  'backup_details.fk_backup_details__backup_id': 'backup_id -> backups.id CASCADE',
  'backup_schedule.fk_backup_schedule__vm_id': 'vm_id -> vm_instance.id CASCADE',
  'backup_offering_details.fk_offering_details__backup_offering_id': 'backup_offering_id -> backup_offering.id CASCADE',
  'volumes.fk_volumes__instance_id': 'instance_id -> vm_instance.id CASCADE',
  'volumes.fk_volumes__pool_id': 'pool_id -> storage_pool.id RESTRICT',
};

interface Column {
  readonly tableName: string;
  readonly columnName: string;
  readonly columnType: string;
  readonly isNullable: 'YES' | 'NO';
  readonly columnDefault: string | null;
  readonly extra: string;
}

describe('the schema on MariaDB, by information_schema', () => {
  let server: Mariadb;
  let source: DataSource;
  let columns: Column[];
  const ask = <T>(sql: string): Promise<T[]> => source.query(sql);

  beforeAll(async () => {
    server = await startMariadb();
    source = await createDataSource(await server.newDatabase());
    await migrate(source);
    columns = await ask<Column>(
      `SELECT table_name AS tableName, column_name AS columnName, column_type AS columnType, is_nullable AS isNullable,
         column_default AS columnDefault, extra FROM information_schema.columns WHERE table_schema = DATABASE()`,
    );
  }, 60_000);
  afterAll(async () => {
    await source?.destroy();
    await server?.stop();
  });

  for (const [table, expected] of Object.entries(CLOUDSTACK)) {
    it(`has ${table} as CloudStack has it`, () => {
      const actual = Object.fromEntries(
        columns.filter(({ tableName }) => tableName === table).map((column) => [column.columnName, describeColumn(column)]),
      );
      expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
      for (const [name, wanted] of Object.entries(expected))
        expect({ [name]: wanted.includes('?') ? (actual[name] ?? '').replace(/(not )?null/, '?') : actual[name] }).toEqual({
          [name]: wanted,
        });
    });
  }

  it('has the foreign keys under their names', async () => {
    const keys = await ask<{ name: string; key: string }>(
      `SELECT CONCAT(k.table_name, '.', k.constraint_name) AS name,
         CONCAT(k.column_name, ' -> ', k.referenced_table_name, '.', k.referenced_column_name, ' ', r.delete_rule) AS \`key\`
       FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r
         ON r.constraint_schema = k.table_schema AND r.table_name = k.table_name AND r.constraint_name = k.constraint_name
       WHERE k.table_schema = DATABASE()`,
    );
    expect(Object.fromEntries(keys.map(({ name, key }) => [name, key]))).toMatchObject(FOREIGN_KEYS);
  });

  it('is InnoDB and utf8mb4 throughout, whatever the server would have taken', async () => {
    const tables = await ask<{ name: string; engine: string; collation: string }>(
      `SELECT table_name AS name, engine, table_collation AS collation FROM information_schema.tables
       WHERE table_schema = DATABASE() AND table_name <> 'ck_migrations'`,
    );
    expect(tables.length).toBe(29);
    expect(tables.filter(({ engine, collation }) => engine !== 'InnoDB' || collation !== 'utf8mb4_bin')).toEqual([]);
  });

  it('finds a chain by its id without reading the whole table', async () => {
    const [plan] = await ask<{ key: string }>(
      `EXPLAIN SELECT backup_id FROM backup_details WHERE name = 'nas.chain_id' AND value = '5d1c8a3e-0000-4000-8000-000000000000'`,
    );
    expect(plan?.key).toBe('ck_backup_details__name_value');
  });
});

/** MySQL 8 leaves out the width of integers that MariaDB prints; only that of a flag means anything. */
function describeColumn({ columnType, isNullable, columnDefault, extra }: Column): string {
  const type = columnType.replace(/\b(bigint|int)\(\d+\)/, '$1');
  const value = columnDefault === null || columnDefault === 'NULL' ? '' : `, default ${columnDefault.replaceAll(`'`, '')}`;
  return `${type}, ${isNullable === 'YES' ? 'null' : 'not null'}${value}${extra === '' ? '' : `, ${extra}`}`;
}
