/** Characters of a script's output that are kept; the host keeps the rest. The column holds 16 MiB, a statement often less. */
const KEEP = 1024 * 1024;

/** Cuts the middle out of a text that is too long: how it began and how it ended tell the most. */
export function clip(text: string, keep: number = KEEP): string {
  if (text.length <= keep) return text;
  const half = Math.floor(keep / 2);
  const cut = `${text.slice(0, half)}\n... ${text.length - 2 * half} characters left out ...\n${text.slice(text.length - half)}`;
  // A character may have been cut in two; the way through UTF-8 makes its halves visible instead of invalid.
  return Buffer.from(cut).toString();
}
