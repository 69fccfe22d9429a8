import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Our own tables. No foreign keys to the CloudStack-shaped ones: what was measured outlives the backup it was measured on.
 * The pending migrations run as one transaction: all of them or none.
 */
export class ChainkeeperTables1795500000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const statement of STATEMENTS) await runner.query(statement);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}

const STATEMENTS = [
  `CREATE TABLE ck_runs (
    seq integer PRIMARY KEY AUTOINCREMENT,
    id varchar(40) NOT NULL,
    vm_id bigint NOT NULL,
    host_id bigint NULL,
    kind varchar(32) NOT NULL,
    state varchar(16) NOT NULL,
    triggered_by varchar(16) NOT NULL,
    idempotency_key varchar(255) NULL,
    requested text NOT NULL,
    plan text NULL,
    backup_id bigint NULL,
    job_id varchar(64) NULL,
    epoch bigint NOT NULL DEFAULT 0,
    owner varchar(100) NULL,
    reason varchar(64) NULL,
    error_code varchar(64) NULL,
    error_message text NULL,
    progress text NULL,
    exit_code integer NULL,
    stdout text NULL,
    stderr text NULL,
    warnings text NULL,
    created datetime NOT NULL,
    started datetime NULL,
    ended datetime NULL,
    UNIQUE (id),
    UNIQUE (idempotency_key)
  )`,
  `CREATE INDEX i_ck_runs__vm_id ON ck_runs (vm_id, seq)`,
  `CREATE INDEX i_ck_runs__state ON ck_runs (state, seq)`,
  `CREATE TABLE ck_vm_leases (
    vm_id bigint NOT NULL,
    run_id varchar(40) NULL,
    owner varchar(100) NULL,
    epoch bigint NOT NULL,
    lease_until datetime NULL,
    PRIMARY KEY (vm_id)
  )`,
  `CREATE TABLE ck_evidence (
    id integer PRIMARY KEY AUTOINCREMENT,
    vm_id bigint NOT NULL,
    run_id varchar(40) NULL,
    backup_id bigint NULL,
    kind varchar(16) NOT NULL,
    at datetime NOT NULL,
    facts text NOT NULL,
    host_name varchar(255) NULL,
    host_boot_id varchar(64) NULL,
    vm_state varchar(16) NULL,
    qemu_started datetime NULL,
    dirty_bytes bigint NULL,
    job_bytes bigint NULL,
    own_bytes bigint NULL,
    written_bytes bigint NULL,
    job_ms bigint NULL,
    reason varchar(64) NULL,
    recreate_method varchar(32) NULL,
    assurance varchar(16) NULL
  )`,
  `CREATE INDEX i_ck_evidence__vm_id ON ck_evidence (vm_id, id)`,
  `CREATE INDEX i_ck_evidence__run_id ON ck_evidence (run_id)`,
  `CREATE INDEX i_ck_evidence__backup_id ON ck_evidence (backup_id)`,
  `CREATE TABLE ck_evidence_disks (
    evidence_id bigint NOT NULL,
    target varchar(32) NOT NULL,
    path text NULL,
    inode bigint NULL,
    format varchar(32) NULL,
    virtual_size bigint NULL,
    cluster_size bigint NULL,
    method varchar(16) NULL,
    file text NULL,
    backing text NULL,
    file_size bigint NULL,
    own_data bigint NULL,
    own_zero bigint NULL,
    bitmap varchar(255) NULL,
    dirty_before bigint NULL,
    granularity bigint NULL,
    written_bytes bigint NULL,
    check_result varchar(16) NULL,
    PRIMARY KEY (evidence_id, target),
    CONSTRAINT fk_ck_evidence_disks__evidence_id FOREIGN KEY (evidence_id) REFERENCES ck_evidence (id) ON DELETE CASCADE
  )`,
  `CREATE TABLE ck_hosts (
    host_id bigint NOT NULL,
    address varchar(255) NOT NULL,
    port integer NOT NULL,
    ssh_user varchar(64) NOT NULL,
    private_key_file varchar(1024) NULL,
    agent_socket varchar(1024) NULL,
    known_hosts_file varchar(1024) NULL,
    fingerprint varchar(100) NULL,
    script_path varchar(1024) NOT NULL,
    dialect varchar(16) NOT NULL,
    script_version varchar(64) NULL,
    script_sha256 varchar(64) NULL,
    installed_at datetime NULL,
    PRIMARY KEY (host_id)
  )`,
  `CREATE TABLE ck_volumes (
    volume_id bigint NOT NULL,
    target varchar(32) NOT NULL,
    path varchar(1024) NOT NULL,
    PRIMARY KEY (volume_id)
  )`,
  `CREATE TABLE ck_links (
    backup_id bigint NOT NULL,
    backup_uuid varchar(40) NOT NULL,
    run_id varchar(40) NULL,
    reason varchar(64) NOT NULL,
    recreate_method varchar(32) NULL,
    planned text NULL,
    assurance_at_birth varchar(16) NOT NULL,
    assurance varchar(16) NOT NULL,
    assurance_why text NULL,
    changed datetime NOT NULL,
    PRIMARY KEY (backup_id)
  )`,
  `CREATE INDEX i_ck_links__backup_uuid ON ck_links (backup_uuid)`,
];
