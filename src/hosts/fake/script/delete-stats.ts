import { type Call, mount, type Said } from './call';
import { Failure } from './failure';
import { need } from './options';

/** `-o delete`: removes one backup's folder; one that is gone is gone. With `--run` only what that run has not finished. */
export function deleteBackup(call: Call): Said {
  const path = need(call.options, 'path');
  if (!path.includes('/')) throw new Failure('bad-option', `Not the path of a backup: ${path}`);
  const { nas, point, unmount } = mount(call);
  const run = call.options.values.get('run');
  if (run !== undefined && nas.size(path) > 0 && nas.unfinished.get(path) !== run) {
    unmount();
    throw new Failure('not-of-run', `${path} is not the unfinished backup of run ${run}: nothing was removed`);
  }
  const removed = nas.remove(path);
  unmount();
  const line = (gone: string): string =>
    gone === path ? `removed directory '${point}/${gone}'\n` : `removed '${point}/${gone}'\n`;
  return { stdout: removed.map(line).join(''), stderr: '', exit: 0 };
}

/** `-o stats`: the mount point, then total and used in KiB. */
export function stats(call: Call): Said {
  const { nas, point, unmount } = mount(call);
  unmount();
  const kib = (bytes: number): number => Math.floor(bytes / 1024);
  return { stdout: `${point}\n${kib(nas.capacity)} ${kib(nas.capacity - nas.free)}\n`, stderr: '', exit: 0 };
}
