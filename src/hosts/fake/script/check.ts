import type { TriedRepository } from '../../../domain/agent/read-check';
import type { FakeNas } from '../fake-nas';
import { type Call, mount, type Said } from './call';
import { jsonAnswer } from './print';

interface Problem {
  readonly code: string;
  readonly message: string;
}

/** What the check writes and reads back. */
const DATA = 1024 * 1024;

/** `check`: this host is always ready; a repository does what it can. */
export function check(call: Call): Said {
  const { host, options } = call;
  const mounted = options.values.get('type') ? mount(call) : null;
  const { tried, problems } = mounted === null ? { tried: null, problems: [] } : tryOut(mounted.nas);
  const space = mounted && { total: mounted.nas.capacity, free: mounted.nas.free };
  const left = mounted?.unmount() ?? null;
  return jsonAnswer({
    v: 1,
    script: '1.0.0',
    host: host.facts(),
    // Not the host's own time, which jumps ahead with every start of a VM.
    time: new Date().toISOString(),
    maxSessions: 10,
    space,
    repository: tried,
    apparmor: { state: 'disabled', profiles: [], writes: [], files: [] },
    problems: [...problems, ...(left === null ? [] : [{ code: 'left-behind', message: `Left behind: ${left}` }])],
  });
}

function tryOut(nas: FakeNas): { tried: TriedRepository; problems: Problem[] } {
  const problems: Problem[] = [];
  if (!nas.enterable) problems.push({ code: 'nas-not-reachable', message: "QEMU's user (qemu) may not enter the NAS" });
  if (nas.readOnly) {
    problems.push({ code: 'nas-read-only', message: 'It is read-only: Read-only file system' });
    return { tried: { ...NOTHING, type: 'fake', directories: false }, problems };
  }
  const room = nas.free > DATA;
  if (!room) problems.push({ code: 'nas-full', message: 'It has no room: No space left on device' });
  return {
    tried: {
      type: 'fake',
      data: room,
      direct: room ? true : null,
      rename: room,
      sync: true,
      directories: true,
      sparse: true,
      largestFile: 8 * 1024 ** 4,
      writes: 16,
      medianUs: nas.latencyUs,
      worstUs: 2 * nas.latencyUs,
      gone: true,
    },
    problems,
  };
}

const NOTHING: TriedRepository = {
  type: null,
  data: null,
  direct: null,
  rename: null,
  sync: null,
  directories: null,
  sparse: null,
  largestFile: null,
  writes: null,
  medianUs: null,
  worstUs: null,
  gone: null,
};
