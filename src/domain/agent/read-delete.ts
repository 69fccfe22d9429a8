import { list, readJson, text } from './json-shape';
import { clip, readTranscript } from './transcript';

/**
 * Finds the line `LEFT=` in what our `delete` has printed: names in the backup's directory that are none of its files, so that they
 * stay. None: the directory went. A line that cannot be read is told as it stands: something did stay.
 */
export function readDelete(stdout: string): readonly string[] {
  const left = readTranscript(stdout).markers.get('LEFT');
  if (left === undefined) return [];
  const reading = readJson(left, list(text));
  return reading.ok ? reading.value : [clip(left)];
}

/** A script names all that it removes and all that it leaves: one that says nothing has found nothing. */
export function foundNothing(stdout: string): boolean {
  const { lines, markers } = readTranscript(stdout);
  return lines.length === 0 && !markers.has('LEFT');
}
