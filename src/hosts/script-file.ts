import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InvariantError } from '../domain/errors';

/** The host script as it comes with this release. */
export interface HostScriptFile {
  /** Where it lies on the orchestrator. */
  readonly file: string;
  readonly content: Buffer;
  readonly version: string;
  readonly sha256: string;
}

/** Reads the host script that belongs to this release. */
export async function loadScript(): Promise<HostScriptFile> {
  const file = scriptFile();
  const content = await readFile(file);
  const version = /^readonly SCRIPT_VERSION=(\S+)$/m.exec(content.toString('utf8'))?.[1];
  if (version === undefined) throw new InvariantError('host.script-without-version', `${file} does not say its version.`);
  return { file, content, version, sha256: createHash('sha256').update(content).digest('hex') };
}

/** Above this file, be it in the sources or compiled. */
function scriptFile(): string {
  for (let folder = __dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, 'agent/nasbackup.sh');
    if (existsSync(file)) return file;
  }
  throw new InvariantError('host.no-script-file', `There is no agent/nasbackup.sh above ${__dirname}.`);
}
