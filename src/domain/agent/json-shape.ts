/** Takes a warning: what was found, and where. */
type Warn = (text: string) => void;

/** Reads one value: `at` is its JSON path. Throws {@link ShapeError} when it is not what it must be. */
export type Read<T> = (value: unknown, at: string, warn: Warn) => T;

/** What reading a JSON text led to. */
export type Reading<T> =
  | { readonly ok: true; readonly value: T; readonly warnings: readonly string[] }
  /** `path` is where in the JSON it went wrong, `$` its root. */
  | { readonly ok: false; readonly path: string; readonly message: string; readonly warnings: readonly string[] };

class ShapeError extends Error {
  constructor(
    readonly path: string,
    message: string,
  ) {
    super(message);
  }
}

const kind = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'list' : typeof value);

function wrong(at: string, must: string, value: unknown): never {
  throw new ShapeError(at, `must be ${must}, not ${typeof value === 'number' ? value : kind(value)}`);
}

/** Reads a whole JSON text. Nothing is thrown: a wrong one is an answer too. */
export function readJson<T>(text: string, read: Read<T>): Reading<T> {
  const warnings: string[] = [];
  try {
    const value = read(JSON.parse(text), '$', (warning) => warnings.push(warning));
    return { ok: true, value, warnings };
  } catch (error) {
    if (error instanceof ShapeError) return { ok: false, path: error.path, message: error.message, warnings };
    if (error instanceof SyntaxError) return { ok: false, path: '$', message: `not JSON: ${error.message}`, warnings };
    throw error;
  }
}

/** A text. */
export const text: Read<string> = (value, at) => (typeof value === 'string' ? value : wrong(at, 'a text', value));

/** A truth value. */
export const flag: Read<boolean> = (value, at) => (typeof value === 'boolean' ? value : wrong(at, 'true or false', value));

/** A count, of bytes mostly. Above 2^53-1 JSON has already rounded it, so it is refused. */
export const count: Read<number> = (value, at) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : wrong(at, 'a whole number from 0 to 2^53-1', value);

/** A moment, RFC 3339 in UTC. */
export const time: Read<string> = (value, at) =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/.test(value) && !Number.isNaN(Date.parse(value))
    ? value
    : wrong(at, 'a time in UTC (RFC 3339)', value);

/** Bytes: a chunk of output may be cut within a character, which no text could carry. */
export const base64: Read<Uint8Array> = (value, at) => {
  if (typeof value !== 'string' || value.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(value))
    return wrong(at, 'base64', value);
  return Uint8Array.from(atob(value), (character) => character.charCodeAt(0));
};

/** One of a closed list. Another text is a script that is newer than we are: a warning, and unknown. */
export const oneOf =
  <T extends string>(known: readonly T[]): Read<T | null> =>
  (value, at, warn) => {
    const found = text(value, at, warn);
    if ((known as readonly string[]).includes(found)) return found as T;
    warn(`${at}: unknown value ${JSON.stringify(found)}`);
    return null;
  };

/** What may be missing, or null for unknown. */
export const maybe =
  <T>(read: Read<T>): Read<T | null> =>
  (value, at, warn) =>
    value === undefined || value === null ? null : read(value, at, warn);

/** What must not be missing in effect: where it is missing or unknown, `fallback` stands, with a warning. */
export const orElse =
  <T>(read: Read<T | null>, fallback: T): Read<T> =>
  (value, at, warn) => {
    const found = value === undefined || value === null ? null : read(value, at, warn);
    if (found !== null) return found;
    warn(`${at}: unknown`);
    return fallback;
  };

/** What nothing can stand in for. */
export const required =
  <T>(read: Read<T | null>): Read<T> =>
  (value, at, warn) =>
    read(value, at, warn) ?? wrong(at, 'known', value);

/** A list. */
export const list =
  <T>(read: Read<T>): Read<readonly T[]> =>
  (value, at, warn) =>
    Array.isArray(value) ? value.map((item, index) => read(item, `${at}[${index}]`, warn)) : wrong(at, 'a list', value);

const isObject = (value: unknown): value is Record<string, unknown> => kind(value) === 'object';

/** An object with these fields. Others are a warning. */
export const object =
  <T extends object>(fields: { readonly [K in keyof T]-?: Read<T[K]> }): Read<T> =>
  (value, at, warn) => {
    if (!isObject(value)) return wrong(at, 'an object', value);
    for (const name of Object.keys(value)) {
      if (!Object.hasOwn(fields, name)) warn(`${at}.${name}: unknown field`);
    }
    const entries = Object.entries<Read<unknown>>(fields).map(([name, read]) => [
      name,
      read(Object.hasOwn(value, name) ? value[name] : undefined, `${at}.${name}`, warn),
    ]);
    return Object.fromEntries(entries) as T;
  };

/** An object whose names are free. */
export const record =
  <T>(read: Read<T>): Read<Readonly<Record<string, T>>> =>
  (value, at, warn) =>
    isObject(value)
      ? Object.fromEntries(Object.entries(value).map(([name, item]) => [name, read(item, `${at}.${name}`, warn)]))
      : wrong(at, 'an object', value);

/** The version of what follows: read as version 1 in any case, because a newer one mostly adds. */
export const version1: Read<1> = (value, at, warn) => {
  if (value !== 1) warn(`${at}: unknown version ${JSON.stringify(value) ?? 'missing'}, read as version 1`);
  return 1;
};
