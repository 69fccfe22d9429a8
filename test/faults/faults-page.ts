/** One fault as it was seen. */
export interface FaultRow {
  readonly database: string;
  readonly family: string;
  readonly what: string;
  readonly step: string;
  readonly outcome: string;
  /** Type and reason of what the struck run made, where that is part of the fault. */
  readonly made: string | null;
  readonly next: string;
  readonly compared: number;
  readonly seconds: number;
  /** Day of the run that saw it, as `2026-11-29`. */
  readonly seen: string;
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** `docs/faults.md`, from the runs that saw it. */
export function faultsPage(rows: readonly FaultRow[]): string {
  const lines = rows.map(
    ({ family, what, step, database, outcome, made, next, compared, seen }) =>
      `| ${[family, what, step, database, made === null ? outcome : `${outcome}: ${made}`, next, `${compared} identical`, seen].map(cell).join(' | ')} |`,
  );
  return `# Faults

Written by the fault suite (\`npm test -- --full --only faults\`), from what it saw on real libvirt, QEMU, sshd, SQLite and MariaDB. Each
fault strikes at one step of a backup, a restore, a deletion, retention or a sweep; a line is what was seen when it last struck. "Again" in the
column of the run: it failed, and what was asked for a second time, when the cause was mended, came to its end. Every line ended with the same looks: the newest restore points flattened and compared with what the disks
had held, the next backup and its bytes, the guest running, no mount, job, lock, checkpoint or partial file left on the host, nothing booked
that is not on the NAS and nothing on the NAS that is not booked (what a deletion hides lies there for those that stand on it). Of a chain that
something was deleted from all points that are left were compared. After the last one every restore point was compared again.

A run is held where the fault strikes: by the service between its own steps, and in the host script where it is about to check what was
copied (\`data complete\`) or to unmount the NAS, by pull to remove its scratch files (\`in cleanup\`: the result is certain, and not yet said).

| who | what happens | at the step | books | the run | the backup after it | restore points | seen |
|---|---|---|---|---|---|---|---|
${lines.join('\n')}
${LIMIT}`;
}

const LIMIT = `
## What no look can see

A disk that is shrunk and grown back between two looks, by hand and off the record: its size is what it was, its bitmap has forgotten what
lay beyond the end, and the incremental brings back the parent's bytes there. Only a comparison finds it (a rescue; a full does not inherit
it). A shrink that any look or any run meets leads to a full, as above. Who shrinks a disk tells it: \`chainkeeper
vm resized VM vda --from 40G --to 20G\`, each step; the next backup is a full then, and a disk that only grew goes on with incrementals.
`;
