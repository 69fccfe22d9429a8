import { type Call, mount, type Said } from './call';
import { Failure } from './failure';
import { need } from './options';

/** `-o delete`: removes one backup's folder; one that is gone is gone. */
export function deleteBackup(call: Call): Said {
  const path = need(call.options, 'path');
  if (!path.includes('/')) throw new Failure('bad-option', `Not the path of a backup: ${path}`);
  const { nas, point, unmount } = mount(call);
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
