import type { Manifest } from '../../../domain/chain/write-manifest';
import type { FakeNas } from '../fake-nas';
import { type Call, mount, type Said } from './call';
import { Failure } from './failure';
import { need } from './options';
import { jsonAnswer } from './print';

const DEFINITION = 'domain-config.xml';

/** `describe`: the manifest beside a backup's files, of what is there and finished only. */
export function describe(call: Call): Said {
  const manifest = readManifest(need(call.options, 'manifest'));
  return onBackup(call, (nas, path) => {
    for (const { file, size } of manifest.disks) {
      const there = nas.files.get(`${path}/${file}`);
      if (!there) throw new Failure('file-missing', `${path} has no file ${file}`);
      if (size !== null && size !== there.size)
        throw new Failure('file-differs', `${file} of ${path} is of ${there.size} bytes, the books say ${size}`);
    }
    const domainXml = nas.files.has(`${path}/${DEFINITION}`) ? DEFINITION : null;
    const written = call.host.now();
    nas.finished.delete(path);
    nas.put(`${path}/manifest.json`, `${JSON.stringify({ ...manifest, domainXml, written })}\n`);
    return jsonAnswer({ v: 1, path, domainXml, written });
  });
}

/** Works on the directory of a finished backup. @throws Failure `path-missing`, `not-finished` */
export function onBackup(call: Call, work: (nas: FakeNas, path: string) => Said): Said {
  const path = need(call.options, 'path');
  if (!path.includes('/')) throw new Failure('bad-option', `Not the path of a backup: ${path}`);
  const { nas, unmount } = mount(call);
  try {
    if (!nas.folders.has(path)) {
      if (!nas.keeps(path)) throw new Failure('read-failed', `Cannot look at ${path} on the NAS: No such file or directory`);
      throw new Failure('path-missing', `${path} is not on the NAS`);
    }
    if (nas.unfinished.has(path)) throw new Failure('not-finished', `${path} is a backup that was not finished`);
    return work(nas, path);
  } finally {
    unmount();
  }
}

function readManifest(json: string): Manifest {
  try {
    const manifest = JSON.parse(json) as Manifest;
    if (Array.isArray(manifest.disks) && manifest.disks.length > 0) return manifest;
  } catch {
    // falls through to the refusal
  }
  throw new Failure('bad-option', '--manifest is not a JSON object');
}
