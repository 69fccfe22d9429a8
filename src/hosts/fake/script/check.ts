import { type Call, mount, type Said } from './call';
import { jsonAnswer } from './print';

/** `check`: this host is always ready; a repository can be reached or not. */
export function check(call: Call): Said {
  const { host, options } = call;
  const repository = options.values.get('type') ? mount(call) : null;
  const space = repository && { total: repository.nas.capacity, free: repository.nas.free };
  repository?.unmount();
  const writeMs = repository && 1;
  return jsonAnswer({
    v: 1,
    script: '1.0.0',
    host: host.facts(),
    // Not the host's own time, which jumps ahead with every start of a VM.
    time: new Date().toISOString(),
    maxSessions: 10,
    space,
    writeMs,
    apparmor: { state: 'disabled', profiles: [], writes: [], files: [] },
    problems: [],
  });
}
