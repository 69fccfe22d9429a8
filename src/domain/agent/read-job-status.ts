import {
  base64,
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
  required,
  text,
  time,
  version1,
} from './json-shape';

/** A job on a host: `unknown` means that it ended and nobody saw how; `absent` that no such job was ever there. */
export type JobState = 'running' | 'done' | 'unknown' | 'absent';

/** Bytes moved so far; null where the host cannot tell. */
export interface JobProgress {
  readonly processed: number | null;
  readonly total: number | null;
}

/** What an abort did. */
export interface AbortReport {
  /** How the operation ended: by itself, told to, or killed. */
  readonly how: string | null;
  /** What became of libvirt's job. */
  readonly libvirtJob: string | null;
  readonly resumed: boolean | null;
  readonly thawed: boolean | null;
  /**
   * What became of a restore that had not ended by itself: `rolled-back`, the VM's volumes are the old ones and no new disk is
   * there; `finished`, all had been put in place and stay; null: it was no restore, or (see `left`) it could not be settled.
   */
  readonly restore: 'rolled-back' | 'finished' | null;
  /** What could not be put back, for people. */
  readonly left: readonly string[];
}

/** The answer of `start`, `status` and `abort`. */
export interface JobStatus {
  readonly job: string;
  readonly state: JobState;
  /** Exit code of the operation; null unless `done`. */
  readonly exit: number | null;
  readonly started: string | null;
  readonly ended: string | null;
  readonly progress: JobProgress | null;
  /** Somebody asked it to end. */
  readonly aborted: boolean;
  /** In the answer of `start`: this call made the job. Null in other answers. */
  readonly created: boolean | null;
  /** Null except in the answer of `abort`. */
  readonly abort: AbortReport | null;
  /** Bytes of stdout from the offset that was asked for; a chunk can end within a character. */
  readonly stdout: Uint8Array;
  /** The offset to ask for next. */
  readonly stdoutNext: number;
  /** Bytes of stdout so far; null where the host did not look. */
  readonly stdoutSize: number | null;
  readonly stderr: Uint8Array;
  readonly stderrNext: number;
  readonly stderrSize: number | null;
}

const EMPTY = new Uint8Array();

/** Like {@link orElse}, without a word: `start` and `abort` print no output. */
const silently =
  <T>(read: Read<T>, fallback: T): Read<T> =>
  (value, at, warn) =>
    maybe(read)(value, at, warn) ?? fallback;

const jobStatus = object<JobStatus & { v: 1; encoding: string | null }>({
  v: version1,
  job: required(text),
  state: orElse(oneOf<JobState>(['running', 'done', 'unknown', 'absent']), 'unknown'),
  exit: maybe(count),
  started: maybe(time),
  ended: maybe(time),
  progress: maybe(object<JobProgress>({ processed: maybe(count), total: maybe(count) })),
  aborted: silently(flag, false),
  abort: maybe(
    object<AbortReport>({
      how: maybe(text),
      libvirtJob: maybe(text),
      resumed: maybe(flag),
      thawed: maybe(flag),
      restore: maybe(oneOf<'rolled-back' | 'finished'>(['rolled-back', 'finished'])),
      left: silently(list(text), []),
    }),
  ),
  created: maybe(flag),
  encoding: maybe(text),
  stdout: silently(base64, EMPTY),
  stdoutNext: silently(count, 0),
  stdoutSize: maybe(count),
  stderr: silently(base64, EMPTY),
  stderrNext: silently(count, 0),
  stderrSize: maybe(count),
});

/**
 * Reads the JSON that `start`, `status` and `abort` print. A state that we do not know is `unknown`: its outcome has to be found
 * out. An exit code of a job that is not done would be a contradiction, so it is not believed.
 */
export function readJobStatus(json: string): Reading<JobStatus> {
  const reading = readJson(json, jobStatus);
  if (!reading.ok) return reading;
  const { v: _v, encoding: _encoding, ...status } = reading.value;
  if (status.state === 'done' || status.exit === null) return { ...reading, value: status };
  return { ok: true, value: { ...status, exit: null }, warnings: [...reading.warnings, '$.exit: of a job that is not done'] };
}
