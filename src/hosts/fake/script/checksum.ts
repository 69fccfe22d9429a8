import { createHash } from 'node:crypto';
import type { FileChecksum } from '../../../domain/agent/read-checksum';
import type { FakeFile, FakeNas } from '../fake-nas';
import { type Call, checkSignal, type Said } from './call';
import { onBackup } from './describe';
import { Failure } from './failure';
import { jsonAnswer } from './print';

type Sums = Readonly<Record<string, FileChecksum>>;

/** `checksum`: taken once, compared as often as asked. Reading takes its time. */
export async function checksum(call: Call): Promise<Said> {
  await call.host.pace(call.signal);
  checkSignal(call);
  return onBackup(call, (nas, path) => {
    const there = nas.files.get(`${path}/checksums.json`)?.bytes?.toString();
    const files = filesOf(nas, path);
    const answer = (isNew: boolean, sums: Sums, differs: readonly string[] | null): Said =>
      jsonAnswer({
        ...{ v: 1, path, new: isNew, bytes: isNew || differs !== null ? bytesOf(sums) : 0, differs },
        ...{ there: namesIn(nas, path), files: sums },
      });
    if (there != null) {
      const { files: known } = JSON.parse(there) as { files: Sums };
      if (!call.options.flags.has('verify')) return answer(false, known, null);
      const differs = Object.entries(known).filter(([name, { sha256 }]) => files.get(name)?.sha256 !== sha256);
      return answer(
        false,
        known,
        differs.map(([name]) => name),
      );
    }
    if (call.options.flags.has('verify')) throw new Failure('not-hashed', `${path} has no checksums to compare with`);
    const sums = Object.fromEntries(files);
    call.progress(bytesOf(sums), bytesOf(sums));
    nas.put(`${path}/checksums.json`, `${JSON.stringify({ v: 1, algorithm: 'sha256', files: sums })}\n`);
    return answer(true, sums, null);
  });
}

/** Whether a file is what it was when it was hashed; null: it never was. */
export function isAsItWas(nas: FakeNas, file: string): boolean | null {
  const [, path = '', name = ''] = /^(.*)\/([^/]+)$/.exec(file) ?? [];
  const there = nas.files.get(`${path}/checksums.json`)?.bytes?.toString();
  const known = there === undefined ? undefined : (JSON.parse(there) as { files: Sums }).files[name];
  return known === undefined ? null : filesOf(nas, path).get(name)?.sha256 === known.sha256;
}

const bytesOf = (sums: Sums): number => Object.values(sums).reduce((sum, { size }) => sum + size, 0);

const namesIn = (nas: FakeNas, path: string): string[] =>
  [...nas.files.keys()].filter((file) => file.startsWith(`${path}/`)).map((file) => file.slice(path.length + 1));

function filesOf(nas: FakeNas, path: string): Map<string, FileChecksum> {
  const found = [...nas.files].filter(([file]) => file.startsWith(`${path}/`) && !/\/(manifest|checksums)\.json$/.test(file));
  return new Map(found.map(([file, content]) => [file.slice(path.length + 1), { size: content.size, sha256: hashOf(content) }]));
}

function hashOf({ image, bytes, backing }: FakeFile): string {
  const hash = createHash('sha256').update(bytes ?? `${image?.size} ${backing}`);
  for (const [index, cluster] of [...(image?.entries() ?? [])].sort(([a], [b]) => a - b))
    hash.update(`\n${index} `).update(cluster ?? '');
  return hash.digest('hex');
}
