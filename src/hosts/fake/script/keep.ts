import { createHash } from 'node:crypto';
import type { FakeHost } from '../fake-host';
import { type Call, mount, type Said } from './call';
import { Failure } from './failure';
import { need, type Options } from './options';
import { jsonAnswer } from './print';

const BOOKS = 'chainkeeper-books';
const COPY = /^books-\d{4}(\.\d\d){5}\.jsonl\.gz$/;

/** `take`: bytes for a job that has not begun. */
export function take(host: FakeHost, options: Options, stdin: Buffer): Said {
  const job = need(options, 'job');
  if (host.jobs.has(job)) throw new Failure('job-busy', `Job ${job} has begun`);
  const from = Number(need(options, 'from'));
  const before = host.inputs.get(job) ?? Buffer.alloc(0);
  const size = Math.max(before.length, from + stdin.length);
  const input = Buffer.alloc(size);
  before.copy(input);
  stdin.copy(input, from);
  host.inputs.set(job, input);
  return jsonAnswer({ v: 1, job, size });
}

/** `keep`: a copy of the books onto the NAS; the oldest go. */
export function keep(call: Call): Said {
  const { host, options } = call;
  const [name, sum, last] = [need(options, 'name'), need(options, 'sha256'), Number(need(options, 'last'))];
  const job = options.values.get('job') ?? '';
  const input = host.inputs.get(job);
  if (!input) throw new Failure('input-missing', 'Nothing was handed over to be kept');
  host.inputs.delete(job);
  if (createHash('sha256').update(input).digest('hex') !== sum)
    throw new Failure('input-differs', 'What was handed over is not what was to be kept');
  const { nas, unmount } = mount(call);
  nas.makeFolder(BOOKS);
  nas.put(`${BOOKS}/${name}`, input);
  const names = [...nas.files.keys()].filter((path) => path.startsWith(`${BOOKS}/`)).map((path) => path.slice(BOOKS.length + 1));
  const copies = names.filter((one) => COPY.test(one)).sort();
  const removed = copies.slice(0, Math.max(0, copies.length - last));
  for (const old of removed) nas.files.delete(`${BOOKS}/${old}`);
  unmount();
  return jsonAnswer({ v: 1, name, kept: copies.slice(removed.length), removed });
}
