import { CONNECTION_FAULTS } from './connection-faults';
import { DATABASE_FAULTS } from './database-faults';
import { DELETION_FAULTS } from './deletion-faults';
import { DISK_FAULTS } from './disk-faults';
import type { BooksKind, Fault } from './fault';
import { GUEST_FAULTS } from './guest-faults';
import { HOST_FAULTS } from './host-faults';
import { MOVE_FAULTS } from './move-faults';
import { NAS_FAULTS } from './nas-faults';
import { ORCHESTRATOR_FAULTS } from './orchestrator-faults';
import { OUTPUT_FAULTS } from './output-faults';
import { PULL_FAULTS } from './pull-faults';
import { RESCUE_FAULTS } from './rescue-faults';
import { RESTORE_FAULTS } from './restore-faults';
import { RESTORE_TARGET_FAULTS } from './restore-target-faults';
import { RETENTION_FAULTS } from './retention-faults';
import { SCRIPT_FAULTS } from './script-faults';
import { SWEEP_FAULTS } from './sweep-faults';
import { TOOL_FAULTS } from './tool-faults';

const FAMILIES = {
  orchestrator: ORCHESTRATOR_FAULTS,
  database: DATABASE_FAULTS,
  connection: CONNECTION_FAULTS,
  host: HOST_FAULTS,
  guest: [...GUEST_FAULTS, ...MOVE_FAULTS],
  disk: DISK_FAULTS,
  'another tool': TOOL_FAULTS,
  NAS: NAS_FAULTS,
  script: SCRIPT_FAULTS,
  output: OUTPUT_FAULTS,
  'in a pull': PULL_FAULTS,
  'in a rescue': RESCUE_FAULTS,
  'in a restore': RESTORE_FAULTS,
  'where a restore goes': RESTORE_TARGET_FAULTS,
  'in a deletion': DELETION_FAULTS,
  'in retention': RETENTION_FAULTS,
  'in a sweep': SWEEP_FAULTS,
};

/** All faults with their families, in the order in which they strike. */
const FAULTS: readonly (Fault & { readonly family: string })[] = Object.entries(FAMILIES).flatMap(([family, faults]) =>
  faults.map((fault) => ({ ...fault, family })),
);

/** Families that ask something of the books; of the others either database sees the same. */
const OF_THE_BOOKS = ['orchestrator'];

const booksOf = ({ family, books }: (typeof FAULTS)[number]): readonly BooksKind[] =>
  books ?? (OF_THE_BOOKS.includes(family) ? ['sqlite', 'mariadb'] : ['mariadb']);

/** The faults that are tried on books of a kind. */
export const faultsOn = (kind: BooksKind): typeof FAULTS => FAULTS.filter((fault) => booksOf(fault).includes(kind));
