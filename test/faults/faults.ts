import { CONNECTION_FAULTS } from './connection-faults';
import type { Fault } from './fault';
import { GUEST_FAULTS } from './guest-faults';
import { HOST_FAULTS } from './host-faults';
import { NAS_FAULTS } from './nas-faults';
import { ORCHESTRATOR_FAULTS } from './orchestrator-faults';
import { OUTPUT_FAULTS } from './output-faults';
import { SCRIPT_FAULTS } from './script-faults';

const FAMILIES = {
  orchestrator: ORCHESTRATOR_FAULTS,
  connection: CONNECTION_FAULTS,
  host: HOST_FAULTS,
  guest: GUEST_FAULTS,
  NAS: NAS_FAULTS,
  script: SCRIPT_FAULTS,
  output: OUTPUT_FAULTS,
};

/** All faults with their families, in the order in which they strike. */
const FAULTS: readonly (Fault & { readonly family: string })[] = Object.entries(FAMILIES).flatMap(([family, faults]) =>
  faults.map((fault) => ({ ...fault, family })),
);

/** Families that ask something of the books; of the others either database sees the same. */
const OF_THE_BOOKS = ['orchestrator'];

/** The faults that are tried on books of a kind. */
export const faultsOn = (kind: 'sqlite' | 'mariadb'): typeof FAULTS =>
  FAULTS.filter(({ family }) => kind === 'mariadb' || OF_THE_BOOKS.includes(family));
