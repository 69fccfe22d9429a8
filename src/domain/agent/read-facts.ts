import {
  type BackupMode,
  DIALECTS,
  type DiskFacts,
  type DiskMethod,
  type Facts,
  type HostFacts,
  type RecreateMethod,
  type Transfer,
  type VmState,
} from './facts';
import {
  count,
  flag,
  list,
  maybe,
  object,
  oneOf,
  orElse,
  type Read,
  type Reading,
  readJson,
  record,
  required,
  text,
  time,
  version1,
} from './json-shape';

/** The states a VM can be in, by the host. */
export const vmState = oneOf<VmState>(['running', 'paused', 'shut off', 'absent']);

/** The machine that answered. */
export const hostFacts: Read<HostFacts> = (value, at, warn) =>
  orElse(object<HostFacts>({ name: maybe(text), bootId: maybe(text), libvirt: maybe(text), qemu: maybe(text) }), {
    name: null,
    bootId: null,
    libvirt: null,
    qemu: null,
  })(value, at, warn);

/** Room on the repository, in bytes. */
export const space = maybe(object<{ total: number; free: number }>({ total: count, free: count }));

const diskFacts = object<DiskFacts>({
  target: required(text),
  path: maybe(text),
  inode: maybe(count),
  format: maybe(text),
  virtualSize: maybe(count),
  method: maybe(oneOf<DiskMethod>(['full', 'incremental', 'rescued', 'converted'])),
  file: maybe(text),
  backing: maybe(text),
  fileSize: maybe(count),
  allocated: maybe(count),
  clusterSize: maybe(count),
  ownData: maybe(count),
  ownZero: maybe(count),
  dirtyBefore: maybe(count),
  compared: maybe(count),
  parentBitmap: maybe(
    object<NonNullable<DiskFacts['parentBitmap']>>({
      recording: maybe(flag),
      inconsistent: maybe(flag),
      persistent: maybe(flag),
      granularity: maybe(count),
    }),
  ),
  check: maybe(oneOf(['ok', 'errors', 'skipped'])),
  writtenBytes: maybe(count),
});

const NOTHING_DONE: Facts['done'] = {
  mode: 'none',
  transfer: null,
  transferReason: null,
  bandwidth: null,
  reason: null,
  recreateMethod: null,
  rescueRefused: null,
  bitmapNew: null,
};

const done = object<Facts['done']>({
  mode: orElse(oneOf<BackupMode | 'none'>(['full', 'incremental', 'legacy-full', 'none']), 'none'),
  transfer: maybe(oneOf<Transfer>(['push', 'pull', 'offline'])),
  transferReason: maybe(text),
  bandwidth: maybe(count),
  reason: maybe(text),
  recreateMethod: maybe(oneOf<RecreateMethod>(['redefined', 'rescued'])),
  rescueRefused: maybe(text),
  bitmapNew: maybe(text),
});

const facts = object<Facts>({
  v: version1,
  script: maybe(text),
  dialect: maybe(oneOf(DIALECTS)),
  host: hostFacts,
  vm: orElse(object<Facts['vm']>({ name: maybe(text), state: maybe(vmState), qemuStarted: maybe(time) }), {
    name: null,
    state: null,
    qemuStarted: null,
  }),
  asked: orElse(object<Facts['asked']>({ mode: maybe(text), bitmapNew: maybe(text), bitmapParent: maybe(text) }), {
    mode: null,
    bitmapNew: null,
    bitmapParent: null,
  }),
  done: orElse(done, NOTHING_DONE),
  job: maybe(
    object<NonNullable<Facts['job']>>({
      result: orElse(oneOf<NonNullable<Facts['job']>['result']>(['completed', 'failed', 'cancelled', 'unknown']), 'unknown'),
      error: maybe(text),
      processed: maybe(count),
      total: maybe(count),
      ms: maybe(count),
    }),
  ),
  disks: orElse(list(diskFacts), []),
  guest: maybe(
    object<NonNullable<Facts['guest']>>({
      frozenMs: maybe(count),
      pausedMs: maybe(count),
      slowestWriteMs: maybe(count),
      resumed: maybe(flag),
      thawed: maybe(flag),
    }),
  ),
  space,
  cleanup: orElse(object<Facts['cleanup']>({ ok: required(flag), left: orElse(list(text), []) }), { ok: true, left: [] }),
  timings: orElse(record(maybe(count)), {}),
  error: maybe(object<NonNullable<Facts['error']>>({ code: required(text), message: required(text) })),
});

/**
 * Reads the JSON of a `FACTS=` line. Missing values are unknown (null); an unknown version or field is a warning; a wrong
 * type refuses the whole, with its path: half of a measurement is no evidence.
 */
export const readFacts = (json: string): Reading<Facts> => readJson(json, facts);
