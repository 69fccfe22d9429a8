import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Our own tables. No foreign keys to the CloudStack-shaped ones: in attached mode those are in another database, and
 * what was measured outlives the backup it was measured on. Binary collation, so that keys compare as on SQLite.
 *
 * DDL commits at once here, so each statement can be repeated after a failure half way.
 */
export class ChainkeeperTables1795500000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const table of TABLES) await runner.query(`${table} ${TABLE_OPTIONS}`);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}

const TABLE_OPTIONS = 'ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin';

const TABLES = [
  `CREATE TABLE IF NOT EXISTS ck_runs (
    seq bigint unsigned NOT NULL AUTO_INCREMENT,
    id varchar(40) NOT NULL,
    vm_id bigint unsigned NOT NULL,
    host_id bigint unsigned NULL,
    kind varchar(32) NOT NULL,
    state varchar(16) NOT NULL,
    triggered_by varchar(16) NOT NULL,
    idempotency_key varchar(255) NULL,
    requested mediumtext NOT NULL,
    plan mediumtext NULL,
    backup_id bigint unsigned NULL,
    job_id varchar(64) NULL,
    epoch bigint unsigned NOT NULL DEFAULT 0,
    owner varchar(100) NULL,
    reason varchar(64) NULL,
    error_code varchar(64) NULL,
    error_message text NULL,
    progress text NULL,
    exit_code int NULL,
    stdout mediumtext NULL,
    stderr mediumtext NULL,
    warnings mediumtext NULL,
    created datetime(3) NOT NULL,
    started datetime(3) NULL,
    ended datetime(3) NULL,
    PRIMARY KEY (seq),
    UNIQUE KEY uc_ck_runs__id (id),
    UNIQUE KEY uc_ck_runs__idempotency_key (idempotency_key),
    KEY i_ck_runs__vm_id (vm_id, seq),
    KEY i_ck_runs__state (state, seq)
  )`,
  `CREATE TABLE IF NOT EXISTS ck_vm_leases (
    vm_id bigint unsigned NOT NULL,
    run_id varchar(40) NULL,
    owner varchar(100) NULL,
    epoch bigint unsigned NOT NULL,
    lease_until datetime(3) NULL,
    PRIMARY KEY (vm_id)
  )`,
  `CREATE TABLE IF NOT EXISTS ck_evidence (
    id bigint unsigned NOT NULL AUTO_INCREMENT,
    vm_id bigint unsigned NOT NULL,
    run_id varchar(40) NULL,
    backup_id bigint unsigned NULL,
    kind varchar(16) NOT NULL,
    at datetime(3) NOT NULL,
    facts mediumtext NOT NULL,
    host_name varchar(255) NULL,
    host_boot_id varchar(64) NULL,
    vm_state varchar(16) NULL,
    qemu_started datetime(3) NULL,
    dirty_bytes bigint unsigned NULL,
    job_bytes bigint unsigned NULL,
    own_bytes bigint unsigned NULL,
    written_bytes bigint unsigned NULL,
    job_ms bigint unsigned NULL,
    reason varchar(64) NULL,
    recreate_method varchar(32) NULL,
    assurance varchar(16) NULL,
    PRIMARY KEY (id),
    KEY i_ck_evidence__vm_id (vm_id, id),
    KEY i_ck_evidence__run_id (run_id),
    KEY i_ck_evidence__backup_id (backup_id)
  )`,
  `CREATE TABLE IF NOT EXISTS ck_evidence_disks (
    evidence_id bigint unsigned NOT NULL,
    target varchar(32) NOT NULL,
    path text NULL,
    inode bigint unsigned NULL,
    format varchar(32) NULL,
    virtual_size bigint unsigned NULL,
    cluster_size bigint unsigned NULL,
    method varchar(16) NULL,
    file text NULL,
    backing text NULL,
    file_size bigint unsigned NULL,
    own_data bigint unsigned NULL,
    own_zero bigint unsigned NULL,
    bitmap varchar(255) NULL,
    dirty_before bigint unsigned NULL,
    granularity bigint unsigned NULL,
    written_bytes bigint unsigned NULL,
    check_result varchar(16) NULL,
    PRIMARY KEY (evidence_id, target),
    CONSTRAINT fk_ck_evidence_disks__evidence_id FOREIGN KEY (evidence_id) REFERENCES ck_evidence (id) ON DELETE CASCADE
  )`,
  `CREATE TABLE IF NOT EXISTS ck_hosts (
    host_id bigint unsigned NOT NULL,
    address varchar(255) NOT NULL,
    port int unsigned NOT NULL,
    ssh_user varchar(64) NOT NULL,
    private_key_file varchar(1024) NULL,
    agent_socket varchar(1024) NULL,
    known_hosts_file varchar(1024) NULL,
    fingerprint varchar(100) NULL,
    script_path varchar(1024) NOT NULL,
    dialect varchar(16) NOT NULL,
    script_version varchar(64) NULL,
    script_sha256 char(64) NULL,
    installed_at datetime(3) NULL,
    PRIMARY KEY (host_id)
  )`,
  `CREATE TABLE IF NOT EXISTS ck_volumes (
    volume_id bigint unsigned NOT NULL,
    target varchar(32) NOT NULL,
    path varchar(1024) NOT NULL,
    PRIMARY KEY (volume_id)
  )`,
  `CREATE TABLE IF NOT EXISTS ck_links (
    backup_id bigint unsigned NOT NULL,
    backup_uuid varchar(40) NOT NULL,
    run_id varchar(40) NULL,
    reason varchar(64) NOT NULL,
    recreate_method varchar(32) NULL,
    planned mediumtext NULL,
    assurance_at_birth varchar(16) NOT NULL,
    assurance varchar(16) NOT NULL,
    assurance_why text NULL,
    changed datetime(3) NOT NULL,
    PRIMARY KEY (backup_id),
    KEY i_ck_links__backup_uuid (backup_uuid)
  )`,
];
