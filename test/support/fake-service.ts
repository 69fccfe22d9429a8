import { Writable } from 'node:stream';
import type { Config } from '../../src/platform/config/load-config';
import type { DatabaseConfig } from '../../src/database/data-source';
import type { Dialect } from '../../src/domain/agent/facts';
import { FakeLab } from '../../src/hosts/fake/fake-lab';
import { FakeShell } from '../../src/hosts/fake/fake-shell';
import type { RemoteCommand } from '../../src/hosts/remote-shell';
import { ScriptHostClient } from '../../src/hosts/script-host-client';
import { startService } from '../../src/main';
import { createLog } from '../../src/platform/log';
import { until } from './brake';
import { serviceConfig } from './service-config';

/** One HTTP answer, body and all. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body read as JSON; undefined when it is none. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test looks into whatever came
  readonly body: any;
}

/** What a call may carry. */
export interface Call {
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is. */
  readonly raw?: string;
  readonly headers?: Record<string, string>;
}

/** A service on the fake host with a VM of two disks, and everything it says. */
export class FakeService {
  readonly vm = 'i-2-10-VM';
  readonly lines: string[];
  /** All bodies that were answered, for searches. */
  readonly answers: string[] = [];
  /** Sent with every call. */
  headers: Record<string, string> = {};
  /** Hears of every program that the service runs on a host, and can hold it back. */
  onCommand: (command: RemoteCommand) => void | Promise<void> = () => undefined;

  private constructor(
    readonly lab: FakeLab,
    readonly config: Config,
    public url: string,
    lines: string[],
    readonly close: () => Promise<void>,
    /** Ends the service and starts another on the same books and host. */
    readonly restart: () => Promise<void>,
  ) {
    this.lines = lines;
  }

  static async start(books: DatabaseConfig, more: Record<string, string> = {}): Promise<FakeService> {
    const lab = new FakeLab();
    await lab.up();
    const disks = [
      { target: 'vda', size: 4 * 1024 * 1024 },
      { target: 'vdb', size: 2 * 1024 * 1024 },
    ];
    await lab.vmCreate('i-2-10-VM', disks);
    await lab.vmStart('i-2-10-VM');
    const lines: string[] = [];
    const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => (lines.push(chunk.toString()), done()) });
    const config = serviceConfig(books, { CHAINKEEPER_LOG_LEVEL: 'debug', CHAINKEEPER_POLL_MS: '20', ...more });
    const shell = new FakeShell(({ address }) => (address === lab.host.name ? lab.host : undefined));
    let heard: FakeService['onCommand'] = () => undefined;
    const hostClient = new ScriptHostClient({
      run: async (host, command) => {
        await heard(command);
        return shell.run(host, command);
      },
      close: () => shell.close(),
    });
    const log = createLog(config.log, sink);
    let service = await startService(config, { hostClient, log });
    const close = async (): Promise<void> => {
      await service.close();
      await lab.down();
    };
    const fake: FakeService = new FakeService(lab, config, service.url, lines, close, async () => {
      await service.close();
      service = await startService(config, { hostClient, log });
      fake.url = service.url;
    });
    heard = (command) => fake.onCommand(command);
    return fake;
  }

  /** One call of the API; paths that do not begin with /health, /metrics or /api get /api/v1 before them. */
  async call(method: string, path: string, { body, raw, headers = {} }: Call = {}): Promise<HttpAnswer> {
    const content = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await fetch(this.url + (/^\/(?:health|api|metrics)\b/.test(path) ? path : `/api/v1${path}`), {
      method,
      headers: { ...this.headers, ...(content === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(content === undefined ? {} : { body: content }),
    });
    const text = await response.text();
    this.answers.push(text);
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, text, body: isJson ? (JSON.parse(text) as unknown) : undefined };
  }

  get = (path: string): Promise<HttpAnswer> => this.call('GET', path);
  post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<HttpAnswer> =>
    this.call('POST', path, { body, headers });

  /** Tells the service about the host, a NAS, an offering and the VM, as an operator would. */
  async register(more: { host?: object; repository?: object; offering?: object; vm?: object } = {}): Promise<void> {
    const address = await this.lab.nas('nas1');
    const { address: at, user } = await this.lab.access();
    await this.#made('/hosts', { name: 'kvm1', address: at, user, ...more.host });
    await this.#made('/repositories', { name: 'nas1', type: 'dir', address, ...more.repository });
    await this.#made('/offerings', { name: 'daily', repository: 'nas1', fullEvery: 3, ...more.offering });
    await this.#made('/vms', { name: this.vm, host: 'kvm1', ...more.vm });
    await this.call('PUT', `/vms/${this.vm}/offering`, { body: { offering: 'daily' } });
  }

  /** The same on a host whose backups a stock script takes. One disk: the seed's script has no parent for a second. */
  async registerStock(dialect: Dialect, beside: boolean, disks = 1): Promise<void> {
    if (disks === 1) this.lab.host.vm(this.vm).disks.splice(1);
    const stockPath = this.lab.installStock(dialect);
    const known = await this.lab.vmDisks(this.vm);
    await this.register({
      host: { script: 'stock', stockPath, beside, dialect },
      offering: { fullEvery: 10 },
      vm: { disks: known.map(({ target, path }) => ({ target, path })) },
    });
  }

  async #made(path: string, body: object): Promise<void> {
    const answer = await this.post(path, body);
    if (answer.status !== 201) throw new Error(`POST ${path}: ${answer.text}`);
  }

  /** Waits for a run to end; answers it. */
  async ended(runId: string): Promise<HttpAnswer['body']> {
    await until(async () => (await this.get(`/runs/${runId}`)).body.ended !== null, `run ${runId} has ended`);
    return (await this.get(`/runs/${runId}`)).body;
  }

  /** Restores a backup to new disks, and says whether they hold what the VM's did at that moment. */
  async restoresAs(backup: string, moment: string): Promise<boolean> {
    const to = '/fake/images';
    const { body, text, status } = await this.post('/restores', { backup, way: 'new-disks', to });
    if (status !== 202) throw new Error(text);
    const run = await this.ended((body as { id: string }).id);
    if (run.state !== 'succeeded') throw new Error(JSON.stringify(run));
    const disks = await this.lab.vmDisks(this.vm);
    const same = disks.map(({ target }) => this.lab.same(this.vm, moment, target, `${to}/${this.vm}-${target}.qcow2`));
    return (await Promise.all(same)).every((one) => one);
  }

  /** Takes a backup and answers it as the API shows it. */
  async backup(body: object = {}): Promise<HttpAnswer['body']> {
    const { body: queued, text, status } = await this.post('/backups', { vm: this.vm, ...body });
    if (status !== 202) throw new Error(text);
    const run = await this.ended((queued as { id: string }).id);
    if (run.state !== 'succeeded') throw new Error(JSON.stringify(run));
    return (await this.get(`/backups/${run.backupId}`)).body;
  }
}
