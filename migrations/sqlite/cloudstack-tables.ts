import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The tables that CloudStack has too, as far as SQLite can say it: names, keys and cascades are the same, types are
 * words to SQLite. The real types are in the MySQL migration of the same name. Ids are never used twice (AUTOINCREMENT).
 * The pending migrations run as one transaction: all of them or none.
 */
export class CloudstackTables1795500000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const statement of STATEMENTS) await runner.query(statement);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}

const STATEMENTS = [
  `CREATE TABLE host (
    id integer PRIMARY KEY AUTOINCREMENT,
    name varchar(255) NOT NULL,
    uuid varchar(40) NULL,
    status varchar(32) NOT NULL,
    type varchar(32) NOT NULL,
    private_ip_address varchar(40) NOT NULL,
    cluster_id bigint NULL,
    pod_id bigint NULL,
    data_center_id bigint NOT NULL,
    hypervisor_type varchar(32) NULL,
    resource_state varchar(32) NOT NULL DEFAULT 'Enabled',
    mgmt_server_id bigint NULL,
    last_mgmt_server_id bigint NULL,
    arch varchar(8) NULL DEFAULT 'x86_64',
    storage_access_groups varchar(255) NULL,
    removed datetime NULL,
    UNIQUE (uuid)
  )`,
  `CREATE TABLE storage_pool (
    id integer PRIMARY KEY AUTOINCREMENT,
    name varchar(255) NULL,
    uuid varchar(255) NULL,
    pool_type varchar(32) NOT NULL,
    data_center_id bigint NOT NULL,
    pod_id bigint NULL,
    cluster_id bigint NULL,
    host_address varchar(255) NOT NULL,
    path varchar(255) NOT NULL,
    scope varchar(255) NULL,
    status varchar(32) NULL,
    removed datetime NULL,
    UNIQUE (uuid)
  )`,
  `CREATE TABLE backup_repository (
    id integer PRIMARY KEY AUTOINCREMENT,
    uuid varchar(255) NOT NULL,
    name varchar(255) NOT NULL,
    zone_id bigint NOT NULL,
    provider varchar(255) NOT NULL,
    type varchar(255) NOT NULL,
    address varchar(1024) NOT NULL,
    mount_opts varchar(1024) NOT NULL,
    used_bytes bigint NULL,
    capacity_bytes bigint NULL,
    cross_zone_instance_creation boolean NULL,
    created datetime NULL,
    removed datetime NULL
  )`,
  `CREATE INDEX i_backup_repository__uuid ON backup_repository (uuid)`,
  `CREATE INDEX i_backup_repository__zone_id_provider ON backup_repository (zone_id, provider)`,
  `CREATE TABLE backup_offering (
    id integer PRIMARY KEY AUTOINCREMENT,
    uuid varchar(40) NOT NULL,
    name varchar(255) NOT NULL,
    description varchar(255) NULL,
    external_id varchar(255) NULL,
    user_driven_backup boolean NOT NULL DEFAULT 0,
    zone_id bigint NOT NULL,
    provider varchar(255) NOT NULL,
    created datetime NULL,
    removed datetime NULL,
    UNIQUE (uuid)
  )`,
  `CREATE TABLE backup_offering_details (
    id integer PRIMARY KEY AUTOINCREMENT,
    backup_offering_id bigint NOT NULL,
    name varchar(255) NOT NULL,
    value varchar(1024) NOT NULL,
    display boolean NOT NULL DEFAULT 1,
    CONSTRAINT fk_offering_details__backup_offering_id FOREIGN KEY (backup_offering_id)
      REFERENCES backup_offering (id) ON DELETE CASCADE
  )`,
  `CREATE TABLE vm_instance (
    id integer PRIMARY KEY AUTOINCREMENT,
    name varchar(255) NOT NULL,
    uuid varchar(40) NULL,
    instance_name varchar(255) NOT NULL,
    state varchar(32) NOT NULL,
    vm_template_id bigint NULL,
    pod_id bigint NULL,
    data_center_id bigint NOT NULL,
    host_id bigint NULL,
    last_host_id bigint NULL,
    account_id bigint NOT NULL,
    domain_id bigint NOT NULL,
    service_offering_id bigint NOT NULL,
    hypervisor_type varchar(32) NULL,
    power_state varchar(74) NULL DEFAULT 'PowerUnknown',
    power_state_update_time datetime NULL,
    power_host bigint NULL,
    backup_offering_id bigint NULL,
    backup_external_id varchar(255) NULL,
    backup_volumes text NULL,
    removed datetime NULL,
    UNIQUE (uuid),
    CONSTRAINT fk_vm_instance__host_id FOREIGN KEY (host_id) REFERENCES host (id),
    CONSTRAINT fk_vm_instance__last_host_id FOREIGN KEY (last_host_id) REFERENCES host (id)
  )`,
  `CREATE INDEX i_vm_instance__instance_name ON vm_instance (instance_name)`,
  `CREATE TABLE vm_instance_details (
    id integer PRIMARY KEY AUTOINCREMENT,
    vm_id bigint NOT NULL,
    name varchar(255) NOT NULL,
    value varchar(5120) NOT NULL,
    display boolean NOT NULL DEFAULT 1,
    CONSTRAINT fk_vm_instance_details__vm_id FOREIGN KEY (vm_id) REFERENCES vm_instance (id) ON DELETE CASCADE
  )`,
  `CREATE TABLE volumes (
    id integer PRIMARY KEY AUTOINCREMENT,
    account_id bigint NOT NULL,
    domain_id bigint NOT NULL,
    pool_id bigint NULL,
    instance_id bigint NULL,
    device_id bigint NULL,
    name varchar(255) NULL,
    uuid varchar(40) NULL,
    size bigint NOT NULL,
    path varchar(255) NULL,
    data_center_id bigint NOT NULL,
    volume_type varchar(64) NOT NULL,
    pool_type varchar(64) NULL,
    disk_offering_id bigint NOT NULL,
    state varchar(32) NULL,
    removed datetime NULL,
    UNIQUE (uuid),
    CONSTRAINT fk_volumes__pool_id FOREIGN KEY (pool_id) REFERENCES storage_pool (id),
    CONSTRAINT fk_volumes__instance_id FOREIGN KEY (instance_id) REFERENCES vm_instance (id) ON DELETE CASCADE
  )`,
  `CREATE TABLE backup_schedule (
    id integer PRIMARY KEY AUTOINCREMENT,
    uuid varchar(40) NOT NULL,
    vm_id bigint NOT NULL,
    schedule_type integer NULL,
    schedule varchar(100) NULL,
    timezone varchar(100) NULL,
    scheduled_timestamp datetime NULL,
    async_job_id bigint NULL,
    max_backups integer NOT NULL DEFAULT 0,
    quiescevm boolean NULL,
    domain_id bigint NULL,
    account_id bigint NULL,
    UNIQUE (uuid),
    CONSTRAINT fk_backup_schedule__vm_id FOREIGN KEY (vm_id) REFERENCES vm_instance (id) ON DELETE CASCADE
  )`,
  `CREATE TABLE backups (
    id integer PRIMARY KEY AUTOINCREMENT,
    uuid varchar(40) NOT NULL,
    name varchar(255) NOT NULL,
    description varchar(1024) NULL,
    vm_id bigint NOT NULL,
    external_id varchar(255) NULL,
    type varchar(255) NOT NULL,
    date datetime NULL,
    size bigint NULL DEFAULT 0,
    protected_size bigint NULL DEFAULT 0,
    status varchar(32) NULL,
    backup_offering_id bigint NOT NULL,
    backup_schedule_id bigint NULL,
    account_id bigint NOT NULL,
    domain_id bigint NOT NULL,
    zone_id bigint NOT NULL,
    backed_volumes text NULL,
    removed datetime NULL,
    UNIQUE (uuid),
    CONSTRAINT fk_backup__vm_id FOREIGN KEY (vm_id) REFERENCES vm_instance (id) ON DELETE CASCADE
  )`,
  `CREATE TABLE backup_details (
    id integer PRIMARY KEY AUTOINCREMENT,
    backup_id bigint NOT NULL,
    name varchar(255) NOT NULL,
    value text NOT NULL,
    display boolean NOT NULL DEFAULT 1,
    CONSTRAINT fk_backup_details__backup_id FOREIGN KEY (backup_id) REFERENCES backups (id) ON DELETE CASCADE
  )`,
  `CREATE INDEX ck_backup_details__name_value ON backup_details (name, value)`,
  // MySQL makes these by itself for its foreign keys; SQLite does not.
  `CREATE INDEX fk_backup_details__backup_id ON backup_details (backup_id)`,
  `CREATE INDEX fk_backup__vm_id ON backups (vm_id)`,
  `CREATE INDEX fk_backup_schedule__vm_id ON backup_schedule (vm_id)`,
  `CREATE INDEX fk_vm_instance_details__vm_id ON vm_instance_details (vm_id)`,
  `CREATE INDEX fk_volumes__instance_id ON volumes (instance_id)`,
  `CREATE INDEX fk_offering_details__backup_offering_id ON backup_offering_details (backup_offering_id)`,
];
