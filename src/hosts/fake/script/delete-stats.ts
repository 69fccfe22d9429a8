import type { FakeNas } from '../fake-nas';
import { type Call, mount, type Said } from './call';
import { Failure } from './failure';
import { need } from './options';

const MANIFEST = 'manifest.json';
/** Beside what the manifest names. */
const OWN = ['domain-config.xml', 'dominfo.xml', 'domiflist.xml', 'domblklist.xml', 'checksums.json'];
const FILE = /^[A-Za-z0-9_][A-Za-z0-9_.+@:-]{0,254}$/;

/**
 * `-o delete`: removes one backup; one that is gone is gone. Where a manifest says which files are its, nothing else goes. With `--run`
 * only what that run has made and nobody has described since.
 */
export function deleteBackup(call: Call): Said {
  const path = need(call.options, 'path');
  if (!path.includes('/')) throw new Failure('bad-option', `Not the path of a backup: ${path}`);
  const { nas, point, unmount } = mount(call);
  try {
    const run = call.options.values.get('run');
    const isOfRun = [nas.unfinished.get(path), nas.finished.get(path)].includes(run);
    if (run !== undefined && nas.size(path) > 0 && !isOfRun)
      throw new Failure('not-of-run', `${path} does not bear the mark of run ${run}: nothing was removed`);
    const { removed, left } =
      run === undefined && nas.files.has(`${path}/${MANIFEST}`)
        ? removeNamed(nas, path)
        : { removed: nas.remove(path), left: [] };
    const stdout = removalWords(point, path, removed);
    if (left.length === 0) return { stdout, stderr: '', exit: 0 };
    const names = JSON.stringify(left);
    return {
      stdout: `${stdout}LEFT=${names}\n`,
      stderr: `warning: left in ${path}, no files of the backup: ${names}\n`,
      exit: 0,
    };
  } finally {
    unmount();
  }
}

/** A stock script's `-o delete`: the whole directory, whatever lies there. */
export function deleteDirectory(call: Call): Said {
  const path = need(call.options, 'path');
  const { nas, point, unmount } = mount(call);
  const stdout = removalWords(point, path, nas.remove(path));
  unmount();
  return { stdout, stderr: '', exit: 0 };
}

function removeNamed(nas: FakeNas, path: string): { removed: string[]; left: string[] } {
  const own = [...namesOf(nas, path), ...OWN].map((name) => `${path}/${name}`);
  const removed = own.filter((file) => nas.files.delete(file));
  const left = nas.names(path).filter((name) => name !== MANIFEST);
  return { removed: left.length > 0 ? removed : [...removed, ...nas.remove(path)], left };
}

/** @throws Failure `manifest-unusable` */
function namesOf(nas: FakeNas, path: string): string[] {
  try {
    const { disks } = JSON.parse(String(nas.files.get(`${path}/${MANIFEST}`)?.bytes)) as { disks: { file: string }[] };
    const names = disks.map(({ file }) => file);
    if (names.length > 0 && names.every((name) => FILE.test(name) && name !== MANIFEST)) return names;
  } catch {
    // falls through to the refusal
  }
  throw new Failure(
    'manifest-unusable',
    `${path} has a ${MANIFEST} that does not say which files are the backup's, so nothing was removed. Look at what lies there, take away what must stay, rename ${MANIFEST} and delete it again: then the whole directory goes`,
  );
}

const removalWords = (point: string, path: string, removed: readonly string[]): string =>
  removed.map((gone) => (gone === path ? `removed directory '${point}/${gone}'\n` : `removed '${point}/${gone}'\n`)).join('');

/** `-o stats`: the mount point, then total and used in KiB. */
export function stats(call: Call): Said {
  const { nas, point, unmount } = mount(call);
  unmount();
  const kib = (bytes: number): number => Math.floor(bytes / 1024);
  return { stdout: `${point}\n${kib(nas.capacity)} ${kib(nas.capacity - nas.free)}\n`, stderr: '', exit: 0 };
}
