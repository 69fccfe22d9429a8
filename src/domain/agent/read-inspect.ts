import { type BitmapFacts, type InspectedDisk, type InspectFacts } from './facts';
import {
  count,
  flag,
  list,
  maybe,
  object,
  oneOf,
  orElse,
  type Reading,
  readJson,
  required,
  text,
  time,
  version1,
} from './json-shape';
import { hostFacts, space, vmState } from './read-facts';

const bitmap = object<BitmapFacts>({
  name: required(text),
  recording: maybe(flag),
  inconsistent: maybe(flag),
  persistent: maybe(flag),
  busy: maybe(flag),
  granularity: maybe(count),
  dirtyBytes: maybe(count),
  flags: maybe(list(text)),
});

const disk = object<InspectedDisk>({
  target: required(text),
  device: maybe(text),
  path: maybe(text),
  inode: maybe(count),
  type: maybe(oneOf(['file', 'block', 'network'])),
  format: maybe(text),
  compat: maybe(text),
  virtualSize: maybe(count),
  clusterSize: maybe(count),
  actualSize: maybe(count),
  errorPolicy: maybe(text),
  bitmaps: maybe(list(bitmap)),
  writtenBytes: maybe(count),
});

const inspect = object<InspectFacts>({
  v: version1,
  script: maybe(text),
  host: hostFacts,
  vm: object<InspectFacts['vm']>({
    name: required(text),
    state: required(vmState),
    reason: maybe(text),
    uuid: maybe(text),
    qemuStarted: maybe(time),
  }),
  job: object<InspectFacts['job']>({ active: flag, operation: maybe(text) }),
  checkpoints: list(text),
  agent: maybe(flag),
  space,
  disks: list(disk),
  problems: orElse(list(object<InspectFacts['problems'][number]>({ code: text, message: text })), []),
});

/**
 * Reads the answer of `inspect`, as {@link readFacts} reads its own. The VM's state, job, checkpoints and disks must be there:
 * a decision that took their absence for "none" would be a guess.
 */
export const readInspect = (json: string): Reading<InspectFacts> => readJson(json, inspect);
