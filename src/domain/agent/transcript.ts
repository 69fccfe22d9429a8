import { isName } from './names';

/** Stdout of a host script, parted into what has a meaning by its form. */
export interface Transcript {
  /** What is left without markers and empty lines, each line without blanks around it. */
  readonly lines: readonly string[];
  /** The markers by name. When a script says one twice, the last one holds, as in CloudStack. */
  readonly markers: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/** A line short enough to be quoted in a message. */
export const clip = (line: string, longest = 200): string => (line.length > longest ? `${line.slice(0, longest)}…` : line);

const MARKER = /^[A-Z][A-Z_]*=/;

/**
 * Takes every marker out of the text, wherever it stands: CloudStack's dialects put them before, between and behind the
 * numbers. Lines may end in CR LF; a terminal makes them so.
 */
export function readTranscript(stdout: string): Transcript {
  const lines: string[] = [];
  const markers = new Map<string, string>();
  const duplicates = new Set<string>();
  for (const line of stdout.split('\n')) {
    if (!MARKER.test(line)) {
      if (line.trim() !== '') lines.push(line.trim());
      continue;
    }
    const cut = line.indexOf('=');
    const name = line.slice(0, cut);
    if (markers.has(name)) duplicates.add(name);
    markers.set(name, line.slice(cut + 1).trim());
  }
  const warnings = [...duplicates].map((name) => `duplicate-marker: ${name} stands there more than once; the last one holds`);
  return { lines, markers, warnings };
}

/** The name that a BITMAP_ marker carries. One that could be no name was cut off or is noise: null, and a warning. */
export function readBitmapMarker(
  { markers }: Transcript,
  marker: 'BITMAP_CREATED' | 'BITMAP_RECREATED',
): { readonly name: string | null; readonly warnings: readonly string[] } {
  const value = markers.get(marker);
  if (value === undefined) return { name: null, warnings: [] };
  if (isName('checkpoint', value)) return { name: value, warnings: [] };
  return { name: null, warnings: [`malformed-marker: ${marker} names no bitmap: ${JSON.stringify(clip(value))}`] };
}
