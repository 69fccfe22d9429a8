import { type Dialect, type Facts } from './facts';
import { judgeRun } from './judge-run';
import { readFacts } from './read-facts';
import { readJobType, readRunningSize, readStoppedSize, type RunPath } from './read-size';
import { clip, readBitmapMarker, readTranscript, type Transcript } from './transcript';

/** What a run of a host script left for its caller. */
export interface RunOutput {
  readonly dialect: Dialect;
  /** Null: nobody knows which way a stock script went; it looks at the VM by itself, and a moment later. */
  readonly vmState: RunPath | null;
  /** All of it: the end of a text that was cut off looks like a size. */
  readonly stdout: string;
  readonly stderr?: string;
  /** Null when nobody saw it; -1 is what CloudStack's agent says after its timeout. */
  readonly exitCode: number | null;
  /** Disks that were to be backed up. Checked for a stopped VM, whose sizes come one a file. */
  readonly disks?: number;
  /** The bitmap that was asked for. */
  readonly bitmapRequested?: string;
}

/** CloudStack's BackupAnswer, and what it lacks. */
export interface ParsedOutput {
  /** The backup's data is complete. False with code `outcome-unknown` says only that nobody knows yet. */
  readonly result: boolean;
  /** Bytes, exact; null unless `result`. */
  readonly size: number | null;
  /** The new bitmap as the host confirmed it; null unless `result`. */
  readonly bitmapCreated: string | null;
  /** The bitmap that was recreated before the run, also of a run that failed later: it has changed the VM all the same. */
  readonly bitmapRecreated: string | null;
  /** A full was taken, or has to be asked for, instead of an incremental. */
  readonly incrementalFallback: boolean;
  /** Something was left on the host or the NAS. */
  readonly needsCleanup: boolean;
  /** Stdout without blanks around it. */
  readonly details: string;
  /** Why there is no result; null exactly when there is one. Stable. */
  readonly code: string | null;
  readonly exitCode: number | null;
  /** Each starts with a stable word and a colon. */
  readonly warnings: readonly string[];
  readonly facts: Facts | null;
}

/** What the parser knows besides; nothing of it may be stored. */
export interface ParsedRun extends ParsedOutput {
  /**
   * The bitmap that CloudStack would store of a final script: the one it asked for. The host did not confirm it, so it
   * is worth an inspection and nothing more.
   */
  readonly bitmapClaimed: string | null;
  readonly runPath: RunPath;
}

/** Markers of each dialect. Our own script adds FACTS. */
const MARKERS: Readonly<Record<Dialect, readonly string[]>> = {
  legacy: [],
  seed: ['BITMAP_CREATED', 'BITMAP_RECREATED', 'INCREMENTAL_FALLBACK'],
  mid: ['BITMAP_CREATED', 'BITMAP_RECREATED', 'INCREMENTAL_FALLBACK'],
  final: ['INCREMENTAL_FALLBACK'],
};
const KNOWN = [...MARKERS.seed, 'FACTS'];

/**
 * Turns what a host script printed into an answer. Nothing is thrown and nothing is guessed: a size is a number that stands in
 * the text as it should, or there is none and `code` says why.
 */
export function parseOutput(output: RunOutput): ParsedRun {
  const { dialect, stdout, exitCode } = output;
  const out = readTranscript(stdout);
  const err = readTranscript(output.stderr ?? '');
  const { facts, warnings: factsWarnings } = readFactsMarker(out);
  const runPath = wayOf(facts) ?? output.vmState ?? (readJobType(out.lines) === null ? 'stopped' : 'running');
  const size = runPath === 'running' ? readRunningSize(out.lines) : readStoppedSize(out.lines, output.disks ?? null);
  const created = readBitmapMarker(out, 'BITMAP_CREATED');
  const recreated = readBitmapMarker(out, 'BITMAP_RECREATED');
  const verdict = judgeRun({
    dialect,
    exitCode,
    out: out.lines,
    err: err.lines,
    size,
    facts,
    bitmapAnnounced: created.name !== null,
  });
  const bitmap = verdict.result && !verdict.withoutBitmap ? confirmBitmap(output, created.name, facts) : NO_BITMAP;
  return {
    result: verdict.result,
    size: verdict.result && size.ok ? size.size : null,
    bitmapCreated: bitmap.created,
    bitmapRecreated: recreated.name ?? recreatedByFacts(facts),
    incrementalFallback: verdict.rerunAsFull || fellBack(out, err, facts),
    needsCleanup: verdict.needsCleanup || facts?.cleanup.ok === false,
    details: stdout.trim(),
    code: verdict.code,
    exitCode,
    warnings: [
      ...out.warnings,
      ...markerWarnings(dialect, out),
      ...factsWarnings,
      ...created.warnings,
      ...recreated.warnings,
      ...bitmap.warnings,
      ...(size.ok ? size.warnings : []),
      ...verdict.warnings,
    ],
    facts,
    bitmapClaimed: bitmap.claimed,
    runPath,
  };
}

/**
 * Our script tells which way it went: a VM may have stopped since somebody looked. A stock one does not; there only the way of a running VM has a
 * job, and every dialect prints what libvirt says of it.
 */
function wayOf(facts: Facts | null): RunPath | null {
  const transfer = facts?.done.transfer ?? null;
  if (transfer === null) return null;
  return transfer === 'offline' ? 'stopped' : 'running';
}

const NO_BITMAP = { created: null, claimed: null, warnings: [] } as const;

/** The bitmap that the host confirmed: by marker, or in the final dialect by facts. Two different names confirm nothing. */
function confirmBitmap(
  { dialect, bitmapRequested }: RunOutput,
  marker: string | null,
  facts: Facts | null,
): { readonly created: string | null; readonly claimed: string | null; readonly warnings: readonly string[] } {
  const told = facts?.done.bitmapNew ?? null;
  const byMarker = marker !== null || MARKERS[dialect].includes('BITMAP_CREATED');
  const created = byMarker ? marker : told;
  const warnings: string[] = [];
  if (facts !== null && facts.done.mode !== 'none' && told !== created) {
    warnings.push(`bitmap-contradiction: the marker says ${created ?? 'none'}, the facts say ${told ?? 'none'}`);
    if (told !== null) return { ...NO_BITMAP, warnings };
  }
  if (created !== null && bitmapRequested !== undefined && created !== bitmapRequested) {
    warnings.push(`bitmap-unexpected: ${created} was made, ${bitmapRequested} was asked for`);
  }
  const claimed = created === null && facts === null && dialect === 'final' ? (bitmapRequested ?? null) : null;
  return { created, claimed, warnings };
}

const recreatedByFacts = (facts: Facts | null): string | null =>
  facts !== null && facts.done.recreateMethod !== null ? facts.asked.bitmapParent : null;

/** Any value of the marker counts. The seed's stopped path says it on stderr. */
const fellBack = (out: Transcript, err: Transcript, facts: Facts | null): boolean =>
  out.markers.has('INCREMENTAL_FALLBACK') ||
  err.markers.has('INCREMENTAL_FALLBACK') ||
  (facts?.asked.mode === 'incremental' && (facts.done.mode === 'full' || facts.done.mode === 'legacy-full'));

function readFactsMarker({ markers }: Transcript): { readonly facts: Facts | null; readonly warnings: readonly string[] } {
  const json = markers.get('FACTS');
  if (json === undefined) return { facts: null, warnings: [] };
  const reading = readFacts(json);
  const warnings = reading.warnings.map((warning) => `facts: ${warning}`);
  if (reading.ok) return { facts: reading.value, warnings };
  return { facts: null, warnings: [...warnings, `facts-unreadable: ${reading.path}: ${reading.message}`] };
}

function markerWarnings(dialect: Dialect, { markers }: Transcript): string[] {
  return [...markers].flatMap(([name, value]) => {
    if (!KNOWN.includes(name)) return [`unknown-marker: ${name}=${clip(value)}`];
    if (name === 'FACTS' || MARKERS[dialect].includes(name)) return [];
    return [`unexpected-marker: the ${dialect} dialect has no ${name}; is the host's script another one?`];
  });
}
