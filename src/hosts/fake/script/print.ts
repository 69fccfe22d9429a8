import type { Said } from './call';

/** JSON of one line, as the host script prints it. */
export const jsonAnswer = (value: object): Said => ({ stdout: `${JSON.stringify(value)}\n`, stderr: '', exit: 0 });

/** The failure of an operation that answers in JSON. */
export const jsonFailure = (code: string, message: string): Said => ({
  stdout: `${JSON.stringify({ v: 1, error: { code, message } })}\n`,
  stderr: `${message}\n`,
  exit: 1,
});

/** The block of `virsh domjobinfo --completed`, with the blank line that closes it. */
export function jobBlock(result: string, ms: number, processed: number, total: number): string {
  const line = (label: string, value: string): string => `${label.padEnd(18)}${value}\n`;
  return [
    line('Job type:', result.padEnd(12)),
    line('Operation:', 'Backup'.padEnd(12)),
    line('Time elapsed:', `${String(ms).padEnd(12)} ms`),
    line('File processed:', capacity(processed)),
    line('File remaining:', capacity(total - processed)),
    line('File total:', capacity(total)),
    '\n',
  ].join('');
}

function capacity(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < units.length - 1; unit += 1) value /= 1024;
  return `${value.toFixed(3)} ${units[unit]}`;
}
