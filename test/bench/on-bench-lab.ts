import { mkdtempSync, rmSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RealLab } from '../lab/lab';

/** A lab for one bench; it and its folder are gone afterwards, however that ends. */
export async function onBenchLab<T>(bench: (lab: RealLab, folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-bench-'));
  await chmod(folder, 0o711);
  const lab = new RealLab(join(folder, 'lab'), 'ck-bench');
  try {
    await lab.up();
    return await bench(lab, folder);
  } finally {
    await lab.down();
    rmSync(folder, { recursive: true, force: true });
  }
}
