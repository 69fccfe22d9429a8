import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The tables that CloudStack has too: same names, same column types, same names of keys.
 * Left out, because the tables they point at are CloudStack's alone: the foreign keys to `account`, `domain`,
 * `data_center`, `cluster`, `host_pod_ref` and `disk_offering`. Different on purpose: utf8mb4 with
 * binary collation instead of utf8, because libvirt's `web` and `Web` are two VMs, and because SQLite compares so too;
 * ids that count up by themselves where CloudStack draws them from its `sequence` table (`vm_instance`, `storage_pool`);
 * and an index on (name, value) of the details, without which a chain lookup reads the whole table.
 *
 * DDL commits at once here, so each statement can be repeated after a failure half way.
 */
export class CloudstackTables1795500000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const table of TABLES) await runner.query(`${table} ${TABLE_OPTIONS}`);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}

const TABLE_OPTIONS = 'ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin';

const TABLES = [
  `CREATE TABLE IF NOT EXISTS host (
    id bigint unsigned NOT NULL AUTO_INCREMENT,
    name varchar(255) NOT NULL,
    uuid varchar(40) NULL,
    status varchar(32) NOT NULL,
    type varchar(32) NOT NULL,
    private_ip_address char(40) NOT NULL,
    cluster_id bigint unsigned NULL,
    pod_id bigint unsigned NULL,
    data_center_id bigint unsigned NOT NULL,
    hypervisor_type varchar(32) NULL,
    resource_state varchar(32) NOT NULL DEFAULT 'Enabled',
    mgmt_server_id bigint unsigned NULL,
    last_mgmt_server_id bigint unsigned NULL,
    arch varchar(8) NULL DEFAULT 'x86_64',
    storage_access_groups varchar(255) NULL,
    removed datetime NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uc_host__uuid (uuid)
  )`,
  `CREATE TABLE IF NOT EXISTS storage_pool (
    id bigint unsigned NOT NULL AUTO_INCREMENT,
    name varchar(255) NULL,
    uuid varchar(255) NULL,
    pool_type varchar(32) NOT NULL,
    data_center_id bigint unsigned NOT NULL,
    pod_id bigint unsigned NULL,
    cluster_id bigint unsigned NULL,
    host_address varchar(255) NOT NULL,
    path varchar(255) NOT NULL,
    scope varchar(255) NULL,
    status varchar(32) NULL,
    removed datetime NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uuid (uuid)
  )`,
  `CREATE TABLE IF NOT EXISTS backup_repository (
    id bigint unsigned NOT NULL AUTO_INCREMENT,
    uuid varchar(255) NOT NULL,
    name varchar(255) NOT NULL,
    zone_id bigint unsigned NOT NULL,
    provider varchar(255) NOT NULL,
    type varchar(255) NOT NULL,
    address varchar(1024) NOT NULL,
    mount_opts varchar(1024) NOT NULL,
    used_bytes bigint unsigned NULL,
    capacity_bytes bigint unsigned NULL,
    cross_zone_instance_creation tinyint(1) NULL,
    created datetime NULL,
    removed datetime NULL,
    PRIMARY KEY (id),
    KEY i_backup_repository__uuid (uuid),
    KEY i_backup_repository__zone_id_provider (zone_id, provider)
  )`,
  `CREATE TABLE IF NOT EXISTS backup_offering (
    id bigint(20) unsigned NOT NULL AUTO_INCREMENT,
    uuid varchar(40) NOT NULL,
    name varchar(255) NOT NULL,
    description varchar(255) NULL,
    external_id varchar(255) NULL,
    user_driven_backup tinyint(1) unsigned NOT NULL DEFAULT 0,
    zone_id bigint(20) unsigned NOT NULL,
    provider varchar(255) NOT NULL,
    created datetime NULL,
    removed datetime NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uuid (uuid)
  )`,
  `CREATE TABLE IF NOT EXISTS backup_offering_details (
    id bigint unsigned NOT NULL AUTO_INCREMENT,
    backup_offering_id bigint unsigned NOT NULL,
    name varchar(255) NOT NULL,
    value varchar(1024) NOT NULL,
    display tinyint(1) NOT NULL DEFAULT 1,
    PRIMARY KEY (id),
    CONSTRAINT fk_offering_details__backup_offering_id FOREIGN KEY (backup_offering_id)
      REFERENCES backup_offering (id) ON DELETE CASCADE
  )`,
  `CREATE TABLE IF NOT EXISTS vm_instance (
    id bigint unsigned NOT NULL AUTO_INCREMENT,
    name varchar(255) NOT NULL,
    uuid varchar(40) NULL,
    instance_name varchar(255) NOT NULL,
    state varchar(32) NOT NULL,
    vm_template_id bigint unsigned NULL,
    pod_id bigint unsigned NULL,
    data_center_id bigint unsigned NOT NULL,
    host_id bigint unsigned NULL,
    last_host_id bigint unsigned NULL,
    account_id bigint unsigned NOT NULL,
    domain_id bigint unsigned NOT NULL,
    service_offering_id bigint unsigned NOT NULL,
    hypervisor_type char(32) NULL,
    power_state varchar(74) NULL DEFAULT 'PowerUnknown',
    power_state_update_time datetime NULL,
    power_host bigint unsigned NULL,
    backup_offering_id bigint unsigned NULL,
    backup_external_id varchar(255) NULL,
    backup_volumes text NULL,
    removed datetime NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uc_vm_instance__uuid (uuid),
    KEY i_vm_instance__instance_name (instance_name),
    CONSTRAINT fk_vm_instance__host_id FOREIGN KEY (host_id) REFERENCES host (id),
    CONSTRAINT fk_vm_instance__last_host_id FOREIGN KEY (last_host_id) REFERENCES host (id)
  )`,
  `CREATE TABLE IF NOT EXISTS vm_instance_details (
    id bigint unsigned NOT NULL AUTO_INCREMENT,
    vm_id bigint unsigned NOT NULL,
    name varchar(255) NOT NULL,
    value varchar(5120) NOT NULL,
    display tinyint(1) NOT NULL DEFAULT 1,
    PRIMARY KEY (id),
    CONSTRAINT fk_vm_instance_details__vm_id FOREIGN KEY (vm_id) REFERENCES vm_instance (id) ON DELETE CASCADE
  )`,
  `CREATE TABLE IF NOT EXISTS volumes (
    id bigint unsigned NOT NULL AUTO_INCREMENT,
    account_id bigint unsigned NOT NULL,
    domain_id bigint unsigned NOT NULL,
    pool_id bigint unsigned NULL,
    instance_id bigint unsigned NULL,
    device_id bigint unsigned NULL,
    name varchar(255) NULL,
    uuid varchar(40) NULL,
    size bigint unsigned NOT NULL,
    path varchar(255) NULL,
    data_center_id bigint unsigned NOT NULL,
    volume_type varchar(64) NOT NULL,
    pool_type varchar(64) NULL,
    disk_offering_id bigint unsigned NOT NULL,
    state varchar(32) NULL,
    removed datetime NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uc_volumes__uuid (uuid),
    CONSTRAINT fk_volumes__pool_id FOREIGN KEY (pool_id) REFERENCES storage_pool (id),
    CONSTRAINT fk_volumes__instance_id FOREIGN KEY (instance_id) REFERENCES vm_instance (id) ON DELETE CASCADE
  )`,
  `CREATE TABLE IF NOT EXISTS backup_schedule (
    id bigint(20) unsigned NOT NULL AUTO_INCREMENT,
    uuid varchar(40) NOT NULL,
    vm_id bigint(20) unsigned NOT NULL,
    schedule_type int(4) NULL,
    schedule varchar(100) NULL,
    timezone varchar(100) NULL,
    scheduled_timestamp datetime NULL,
    async_job_id bigint(20) unsigned NULL,
    max_backups int(8) unsigned NOT NULL DEFAULT 0,
    quiescevm tinyint(1) NULL,
    domain_id bigint(20) NULL,
    account_id bigint(20) NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uc_backup_schedule__uuid (uuid),
    CONSTRAINT fk_backup_schedule__vm_id FOREIGN KEY (vm_id) REFERENCES vm_instance (id) ON DELETE CASCADE
  )`,
  `CREATE TABLE IF NOT EXISTS backups (
    id bigint(20) unsigned NOT NULL AUTO_INCREMENT,
    uuid varchar(40) NOT NULL,
    name varchar(255) NOT NULL,
    description varchar(1024) NULL,
    vm_id bigint(20) unsigned NOT NULL,
    external_id varchar(255) NULL,
    type varchar(255) NOT NULL,
    date datetime NULL,
    size bigint(20) NULL DEFAULT 0,
    protected_size bigint(20) NULL DEFAULT 0,
    status varchar(32) NULL,
    backup_offering_id bigint(20) unsigned NOT NULL,
    backup_schedule_id bigint(20) unsigned NULL,
    account_id bigint(20) unsigned NOT NULL,
    domain_id bigint(20) unsigned NOT NULL,
    zone_id bigint(20) unsigned NOT NULL,
    backed_volumes text NULL,
    removed datetime NULL,
    PRIMARY KEY (id),
    UNIQUE KEY uuid (uuid),
    CONSTRAINT fk_backup__vm_id FOREIGN KEY (vm_id) REFERENCES vm_instance (id) ON DELETE CASCADE
  )`,
  `CREATE TABLE IF NOT EXISTS backup_details (
    id bigint unsigned NOT NULL AUTO_INCREMENT,
    backup_id bigint unsigned NOT NULL,
    name varchar(255) NOT NULL,
    value text NOT NULL,
    display tinyint(1) NOT NULL DEFAULT 1,
    PRIMARY KEY (id),
    KEY ck_backup_details__name_value (name, value(64)),
    CONSTRAINT fk_backup_details__backup_id FOREIGN KEY (backup_id) REFERENCES backups (id) ON DELETE CASCADE
  )`,
];
