import type { Readable } from 'node:stream';

/** What was kept of a stream. */
export interface Capped {
  readonly text: () => string;
  readonly truncated: () => boolean;
}

/**
 * Reads a stream to its end and keeps the beginning. An undrained stream would stop the other one too:
 * SSH grants both of them one window.
 */
export function capped(stream: Readable, cap: number): Capped {
  const kept: Buffer[] = [];
  let room = cap;
  let dropped = false;
  stream.on('data', (chunk: Buffer) => {
    dropped ||= chunk.length > room;
    if (room <= 0) return;
    kept.push(chunk.subarray(0, room));
    room -= chunk.length;
  });
  return { text: () => Buffer.concat(kept).toString('utf8'), truncated: () => dropped };
}
