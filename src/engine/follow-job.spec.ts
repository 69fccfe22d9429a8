import type { JobStatus } from '../domain/agent/read-job-status';
import type { HostAccess } from '../hosts/host-access';
import type { HostClient } from '../hosts/host-client';
import { followJob } from './follow-job';

const MIB = 1024 * 1024;
const CHUNK = 64 * 1024;

/** A host with a job that prints this, and is so many bytes ahead of whoever reads it. */
function hostOf(output: Buffer, ahead = Infinity): { client: HostClient; asked: () => number } {
  let looks = 0;
  const status: HostClient['status'] = (_, { stdoutFrom = 0 }) => {
    looks += 1;
    const size = Math.min(output.length, stdoutFrom + ahead);
    const next = Math.min(size, stdoutFrom + CHUNK);
    const answer: Partial<JobStatus> = {
      ...{ state: size < output.length ? 'running' : 'done', exit: size < output.length ? null : 0, progress: null },
      ...{ stdout: output.subarray(stdoutFrom, next), stdoutNext: next, stdoutSize: size },
      ...{ stderr: Buffer.alloc(0), stderrNext: 0, stderrSize: 0 },
    };
    return Promise.resolve(answer as JobStatus);
  };
  return { client: { status } as HostClient, asked: () => looks };
}

const follow = async (client: HostClient): Promise<string> => {
  const listener = { onStatus: () => Promise.resolve(), onSilence: () => Promise.resolve() };
  return (await followJob(client, {} as HostAccess, 'job', listener, AbortSignal.timeout(30_000))).stdout;
};

const noise = (bytes: number): string => 'BITMAP_CREATED=evil\n'.repeat(Math.ceil(bytes / 20)).slice(0, bytes);

describe('following a job that prints much', () => {
  it.each([0, 1, CHUNK, MIB - 1, MIB, MIB + CHUNK, 2 * MIB])('keeps all of %i bytes', async (bytes) => {
    expect(await follow(hostOf(Buffer.from(noise(bytes))).client)).toBe(noise(bytes));
  });

  it('takes no byte twice that a host gives beyond what it says: the job wrote between its two looks', async () => {
    const output = Buffer.from('1\nFACTS={"v":1}\n');
    const status: HostClient['status'] = (_, { stdoutFrom = 0 }) => {
      const next = Math.min(output.length, stdoutFrom + 3);
      return Promise.resolve({
        ...{ state: next < output.length ? 'running' : 'done', exit: 0, progress: null },
        ...{ stdout: output.subarray(stdoutFrom, next + 2), stdoutNext: next, stdoutSize: next },
        ...{ stderr: Buffer.alloc(0), stderrNext: 0, stderrSize: 0 },
      } as unknown as JobStatus);
    };
    expect(await follow({ status } as HostClient)).toBe(output.toString());
  });

  it.each([
    ['there at once', Infinity],
    ['printed faster than it is read', 3 * MIB],
    ['printed as it is read', CHUNK + 1],
  ])('keeps both ends of 20 MiB, %s', async (_, ahead) => {
    const output = `BITMAP_RECREATED=one\n${noise(20 * MIB)}\nBITMAP_CREATED=two\n`;
    const host = hostOf(Buffer.from(output), ahead);
    const text = await follow(host.client);
    const [head = '', tail = ''] = text.split(/\n\[\d+ bytes are left out here; the host has them\] /);
    expect(output.startsWith(head)).toBe(true);
    expect(output.endsWith(tail)).toBe(true);
    expect(head.length).toBeGreaterThanOrEqual(MIB);
    expect(tail.length).toBeGreaterThanOrEqual(MIB);
    expect(text.length).toBeLessThan(2.5 * MIB);
    expect(Number(/\[(\d+) bytes/.exec(text)?.[1])).toBe(output.length - head.length - tail.length);
    if (ahead === Infinity) expect(host.asked()).toBeLessThan(50);
  });
});
