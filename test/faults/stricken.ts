import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { appendFile, mkdir, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { BackupWithEvidenceDto, CreateBackupDto } from '../../src/backups/dto/backup.dto';
import { Client } from '../../src/cli/client';
import type { DatabaseConfig } from '../../src/database/data-source';
import type { RestoreWay } from '../../src/domain/restore/restore-plan';
import type { RunDto } from '../../src/runs/dto/run.dto';
import { RealLab } from '../lab/lab';
import { addHost } from '../story/stage';
import { isIdentical, takeBackup, waitForRun } from '../story/story';
import { until } from '../support/brake';
import type { Databases } from '../support/databases';
import { type NodeScript, startScript } from '../support/node-script';
import { environmentOf } from '../support/service-config';
import { TcpProxy } from '../support/tcp-proxy';
import { callOf, type HostStep, isHostStep } from './host-steps';
import { StandingTool } from './standing-tool';

const run = promisify(execFile);

const KIB = 1024;
const MIB = 1024 * KIB;
const LEASE_SECONDS = 3;
/** What a fault leaves of a copy takes seconds at this speed, bytes a second. */
export const SLOW = '1M';

/** Where in a run a fault strikes; see `child/gated-service.ts`, and of those that no service sees `host-steps.ts`. */
export type Step =
  | 'before inspect'
  | 'decided'
  | 'script started'
  | 'copying'
  | 'exit code unread'
  | 'recording'
  | 'before retire'
  | 'retired'
  | ServiceStep
  | HostStep
  /** It is asked for, and nothing has begun. */
  | 'asked';

/** Steps of deletions, of retention and of a sweep. */
type ServiceStep =
  | 'plan agreed'
  | 'hiding'
  | 'before removal'
  | 'removed'
  | 'recording removal'
  | 'between two links'
  | 'before sweep'
  | 'host swept';

/** What is asked of a backup besides that it be taken. */
export type Asks = Pick<CreateBackupDto, 'transfer' | 'onLostBitmap'>;

/** A restore point that the service vouches for, and the moment it claims to hold. */
export interface Point {
  readonly backup: BackupWithEvidenceDto;
  readonly moment: string;
  /** The disks that there were. */
  readonly targets: readonly string[];
}

/** A run that stands at a step. */
export interface Begun {
  readonly run: string;
  /** What the disks hold. */
  readonly moment: string;
  /** What was asked of it; the next backup is asked for likewise. */
  readonly asks: Asks;
  /** What is restored, and where to; null: the run is a backup. */
  readonly restore: { readonly point: Point; readonly to: string | null } | null;
}

/** Another kind of run, or a call, that a fault strikes. */
export interface Errand {
  /** Begins it, and answers when it stands at the step. */
  begin(host: Stricken, step: Step): Promise<Begun>;
  /** What became of it, when it was brought to its end. */
  end(host: Stricken, begun: Begun): Promise<ErrandEnd>;
}

interface ErrandEnd {
  readonly outcome: string;
  /** Newest points that have to be compared: those that it could have harmed. */
  readonly points: number;
  readonly wrong: readonly string[];
}

/** What the end of a fault was seen to be. */
export interface Aftermath {
  /** `succeeded`, or `failed` and the error's code. */
  readonly outcome: string;
  /** Type and reason of the backup that the struck run made; null: none. */
  readonly made: string | null;
  /** Type and reason of the backup after it. */
  readonly next: string;
  /** Restore points that were compared with what the disks had held. */
  readonly compared: number;
  /** What was not as it must be; empty when all is well. */
  readonly wrong: readonly string[];
}

/**
 * A host, a VM, a NAS behind a line that can be slow or stand still, and the service as a process that can be stopped at a step
 * and killed. One after another, faults strike it; the chain goes on.
 */
export class Stricken {
  readonly vm: string;
  readonly store = 'faults/store';
  /** Checkpoints that another tool has made, and that stay. */
  readonly strangers = new Set<string>();
  /** What can stand still within the host script. */
  readonly tool: StandingTool;
  #points: Point[] = [];
  #turn = 0;
  #url = '';
  #service: NodeScript | undefined;
  #client: Client | undefined;
  #host = '';
  #books: DatabaseConfig | undefined;
  #wire: TcpProxy | undefined;

  private constructor(
    readonly lab: RealLab,
    readonly databases: Databases,
    name: string,
  ) {
    this.vm = `i-2-20-${name}-VM`;
    this.tool = new StandingTool(join(lab.folder, 'host'));
  }

  static async open(folder: string, name: string, databases: Databases): Promise<Stricken> {
    const stricken = new Stricken(new RealLab(join(folder, 'lab'), `ck-${name}`), databases, name);
    try {
      await stricken.#setUp();
    } catch (error) {
      await stricken.close();
      throw error;
    }
    return stricken;
  }

  async #setUp(): Promise<void> {
    const { lab, vm } = this;
    await lab.up();
    this.tool.install(join(lab.folder, 'host/nasbackup.sh'));
    await appendFile(join(lab.folder, 'host/host.conf'), `reserve_bytes=${MIB}\n`);
    // The store is small, so that it can fill, and at the end of a line.
    await lab.verb('nas-slow', 'faults', await lab.nasSmall('small', 4000));
    await mkdir(this.nas);
    // A file has a small disk of its own, so that it can fill.
    this.#books =
      this.databases.kind === 'sqlite'
        ? { kind: 'sqlite', path: join(await lab.nasSmall('books', 32), 'books.sqlite') }
        : await this.databases.fresh();
    await lab.vmCreate(vm, [
      { target: 'vda', size: 64 * MIB },
      { target: 'vdb', size: 32 * MIB },
    ]);
    await lab.vmStart(vm);
    await this.serve();
    const access = await lab.access();
    this.#wire = await TcpProxy.before(access.address, access.port);
    const host = await addHost(this.client, { ...access, port: this.#wire.port }, 'seed');
    this.#host = host.id;
    await this.client.send('POST', '/repositories', { name: 'faults', type: 'dir', address: this.nas });
    await this.client.send('POST', '/offerings', { name: 'faults', repository: 'faults', fullEvery: 100 });
    await this.client.send('POST', '/vms', { name: vm, host: host.id });
    await this.client.send('PUT', `/vms/${vm}/offering`, { offering: 'faults' });
    await this.backup();
  }

  /** The host that the VM is on at first. */
  get host(): string {
    return this.#host;
  }

  /** The directory that the repository is. */
  get nas(): string {
    return this.lab.nasFile(this.store, '');
  }

  /** Whether several services may work on these books. */
  get severalServe(): boolean {
    return this.databases.kind !== 'sqlite';
  }

  get books(): DatabaseConfig {
    if (!this.#books) throw new Error('there are no books yet');
    return this.#books;
  }

  /** Whether the service says that it takes calls. */
  async isReady(): Promise<boolean> {
    const { status } = await fetch(`${this.#url}/health/ready`);
    if (status !== 200 && status !== 503) throw new Error(`/health/ready answered ${status}`);
    return status === 200;
  }

  get client(): Client {
    if (!this.#client) throw new Error('no service has been started');
    return this.#client;
  }

  /** What lies between the service and the host's sshd. */
  get wire(): TcpProxy {
    if (!this.#wire) throw new Error('the host is not reached yet');
    return this.#wire;
  }

  /** The process that serves. */
  get service(): NodeScript {
    if (!this.#service) throw new Error('no service runs');
    return this.#service;
  }

  /** Starts a service on the same books; from now on it is the one that is asked. */
  async serve(): Promise<void> {
    const owner = `owner-${(this.#turn += 1)}`;
    this.#service = startScript(
      'test/faults/child/gated-service.ts',
      null,
      environmentOf(this.books, {
        CHAINKEEPER_LEASE_SECONDS: `${LEASE_SECONDS}`,
        CHAINKEEPER_OWNER: owner,
        CHAINKEEPER_TEST_GATE: this.#gate,
        // One thing at a time: what strikes here is the fault alone.
        CHAINKEEPER_BOOKS_COPY_HOURS: '0',
        CHAINKEEPER_CHECKSUMS_PER_TURN: '0',
      }),
    );
    this.#url = await this.#service.line('http');
    this.#client = new Client({ url: this.#url });
  }

  /** After a fault that could not be brought about: what it has left of the service must not spoil the next one. */
  async startAnew(): Promise<void> {
    await this.service.kill();
    this.wire.pass();
    await this.line('unlimited');
    rmSync(this.#gate, { force: true });
    this.tool.release();
    await this.serve();
    const { items } = await this.client.get<{ items: RunDto[] }>(`/runs?vm=${this.vm}&limit=1`);
    if (items[0]) await waitForRun(this.client, items[0].id, 120);
    // One that was to be restored in place was stopped; the others run.
    await this.lab.vmStart(this.vm).catch(() => undefined);
  }

  get #gate(): string {
    return join(this.lab.folder, 'gate');
  }

  /** Writes, asks for a backup, and answers its run once it stands at the step. */
  async begin(step: Step, asks: Asks = {}): Promise<Begun> {
    const moment = await this.#write();
    return { run: await this.#ask(step, '/backups', { vm: this.vm, ...asks }, asks), moment, asks, restore: null };
  }

  /** Writes, asks for the last restore point but one, and answers the run once it stands at the step. In place the VM is stopped. */
  async beginRestore(step: Step, way: RestoreWay, more: object = {}): Promise<Begun> {
    while (this.#points.length < 3) await this.backup();
    const moment = await this.#write();
    const point = this.#points.at(-2) as Point;
    const to = way === 'in-place' ? null : join(this.lab.folder, 'images', `to-${this.#turn}`);
    if (to === null) await this.lab.vmStop(this.vm);
    else await mkdir(to);
    const wishes = { backup: point.backup.id, way, ...(to === null ? {} : { to }), ...more };
    // The host may have the files of the NAS in its memory, and then no line is slow.
    const run = await this.#ask(step, '/restores', step === 'copying' ? { ...wishes, bandwidth: 1 } : wishes);
    return { run, moment, asks: {}, restore: { point, to } };
  }

  async #ask(step: Step, path: string, wishes: object, asks: Asks = {}): Promise<string> {
    const byReaders = asks.transfer === 'pull' || asks.onLostBitmap === 'rescue';
    const stands = await this.standAt(step, byReaders);
    if (step === 'copying') await this.line(SLOW);
    const { body } = await this.client.send<RunDto>('POST', path, wishes);
    await stands();
    if (step === 'copying' && byReaders) await until(() => this.#hasBytes(), 'the readers have written something');
    return body.id;
  }

  /** What is asked for next will stand at the step; wait for that with what is answered. */
  async standAt(step: Step, byReaders = false): Promise<() => Promise<unknown>> {
    if (step === 'asked') return () => Promise.resolve();
    if (isHostStep(step)) {
      const second = (await this.lab.vmDisks(this.vm)).find(({ target }) => target === 'vdb')?.path ?? '';
      this.tool.arm(callOf(step, second, byReaders));
      return () => this.tool.stands();
    }
    // Readers say how far they are by the hundred MiB; libvirt's job says it of itself.
    const gate = `${step === 'copying' && byReaders ? 'readers begun' : step}#${(this.#gates += 1)}`;
    writeFileSync(this.#gate, gate);
    const { service } = this;
    return () => service.line(`at ${gate}`);
  }
  #gates = 0;

  /** The run under way has written data; behind the slow line, where nobody waits for it. */
  #hasBytes(): boolean {
    const folder = this.lab.nasFile('small', join('store', this.vm));
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => basename(path) === '.chainkeeper-run')
      .map((mark) => dirname(join(folder, mark)))
      .some((backup) => readdirSync(backup).some((file) => file.endsWith('.qcow2') && statSync(join(backup, file)).size > MIB));
  }

  /** Lets the service go on, if it lives, and the script. */
  go(service = this.#service): void {
    this.tool.release();
    try {
      if (service) process.kill(service.pid, 'SIGUSR2');
    } catch {
      // it was killed: that was the fault
    }
  }

  /** Everything there is to say when the fault is over: the books, the bytes, the guest, the host, the NAS, and the next backup. */
  async aftermath(begun: Begun, errand?: Errand): Promise<Aftermath> {
    await this.line('unlimited');
    const { outcome, made, points, wrong } = errand
      ? { made: null, ...(await errand.end(this, begun)) }
      : await this.#ended(begun);
    const next = await this.backup(begun.asks).catch((error: unknown) => error as Error);
    const compared = Math.min(Math.max(3, points + 1), this.#points.length);
    return {
      outcome,
      made: made && kindOf(made),
      next: next instanceof Error ? next.message : kindOf(next),
      compared,
      wrong: [
        ...wrong,
        ...(next instanceof Error ? [`the next backup: ${next.message}`] : []),
        ...(await this.bytes(compared)),
        ...(await this.#guest()),
        ...(await this.#leaks()),
        ...(await this.#bookings()),
      ],
    };
  }

  /** A backup or a restore. */
  async #ended(begun: Begun): Promise<ErrandEnd & { readonly made: BackupWithEvidenceDto | null }> {
    const ended = await waitForRun(this.client, begun.run, 120);
    const good = ended.state === 'succeeded';
    const made = good && begun.restore === null ? await this.#keep(ended.backupId ?? '', begun.moment) : null;
    // Killed when all disks were in place, it has an unknown end and stays there.
    const there = good || (ended.errorMessage ?? '').includes('every disk had been put in place');
    const wrong = begun.restore === null ? [] : await this.#restored(begun.moment, begun.restore, there);
    return { outcome: outcomeOf(ended), made, points: 0, wrong };
  }

  /** The disks hold what was restored, all of them, or what they held before; new ones are there and true, or not there. Then the VM goes on. */
  async #restored(moment: string, { point, to }: NonNullable<Begun['restore']>, good: boolean): Promise<string[]> {
    const { lab, vm } = this;
    const wrong: string[] = [];
    const expectSame = async (target: string, file: string, label: string): Promise<void> => {
      if (!(await lab.same(vm, label, target, file).catch(() => false)))
        wrong.push(`${file} is not what ${target} held at ${label}`);
    };
    if (to !== null) {
      if (good) for (const target of point.targets) await expectSame(target, join(to, `${vm}-${target}.qcow2`), point.moment);
      else wrong.push(...(await readdir(to)).map((file) => `left behind by a failed restore: ${file}`));
      await rm(to, { recursive: true });
      return wrong;
    }
    const disks = await lab.vmDisks(vm);
    for (const { target, path } of disks) {
      const label = good && point.targets.includes(target) ? point.moment : moment;
      await expectSame(target, path, label);
      const beside = (await readdir(dirname(path))).filter((file) => file.startsWith(`${basename(path)}.`));
      wrong.push(...beside.map((file) => `left beside the volumes: ${file}`));
      // The record of what the disks hold goes on from there.
      const record = (name: string): string => join(lab.folder, 'mirror', `${vm}.${target}${name}.raw`);
      await run('cp', ['--sparse=always', record(`@${label}`), record('')]);
    }
    // Who keeps the lock on a volume for a script ends a moment after that was killed.
    await until(() => lab.vmStart(vm).then(() => true, () => false), 'the VM starts'); // prettier-ignore
    return wrong;
  }

  /** Compares the newest restore points, or all, with what the disks held at their moments. */
  async bytes(newest = this.#points.length): Promise<string[]> {
    const stage = { client: this.client, lab: this.lab, vm: this.vm, nas: this.store, say: () => undefined };
    const wrong: string[] = [];
    for (const { backup, moment, targets } of this.#points.slice(-newest))
      if (!(await isIdentical({ ...stage, targets }, backup, moment)))
        wrong.push(`${backup.externalId} is not what the disks held at ${moment}`);
    return wrong;
  }

  /** What passes to the NAS from now on: bytes a second, `0`, `unlimited`. */
  async line(speed: string): Promise<void> {
    await this.lab.verb('nas-speed', 'faults', speed);
  }

  virsh(...args: string[]): Promise<string> {
    return run('virsh', ['-q', '-c', 'qemu:///system', ...args]).then(({ stdout }) => stdout);
  }

  /** What libvirt must not do now. @throws when it does, or says another reason. */
  async refused(why: RegExp, ...command: string[]): Promise<void> {
    const answer = await this.virsh(...command).then(
      () => 'done',
      (error: unknown) => (error as { stderr: string }).stderr,
    );
    if (!why.test(answer)) throw new Error(`virsh ${command.join(' ')}: ${answer}`);
  }

  /** A file of a job's directory on the host. */
  jobFile(job: string, file: string): string {
    return join(this.lab.folder, 'host/state/jobs', job, file);
  }

  /** The processes of a job: its runner leads the group. */
  runnerOf(job: string): number {
    return Number(readFileSync(this.jobFile(job, 'pid'), 'utf8'));
  }

  /** The operation that a job's runner waits for. */
  operationOf(job: string): number {
    const runner = this.runnerOf(job);
    const children = readFileSync(`/proc/${runner}/task/${runner}/children`, 'utf8').trim().split(' ').map(Number);
    // A shell that the runner has forked for a moment bears the runner's own arguments.
    const operation = children.find((pid) => {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return words.includes('--job') && !words.includes('start');
    });
    if (operation === undefined) throw new Error(`job ${job} runs no operation`);
    return operation;
  }

  async #write(): Promise<string> {
    this.#turn += 1;
    const pattern = this.#turn & 0xff;
    const at = (this.#turn % 20) * MIB;
    // Many small pieces: QEMU copies 64 at once, and no line is slow enough for those.
    const pieces = Array.from({ length: 96 }, (_, index) => `write vda 0x${hex(pattern)} ${index * 128 * KIB} 64K`);
    await this.#writeMany([
      ...pieces,
      `write vda 0x${hex(pattern ^ 0x5a)} ${at + 32 * MIB} 192K`,
      `write vdb 0x${hex(pattern)} ${at} 256K`,
    ]);
    const moment = `m${this.#turn}`;
    await this.lab.moment(this.vm, moment);
    return moment;
  }

  async #writeMany(commands: readonly string[]): Promise<void> {
    const file = join(this.lab.folder, 'writes');
    writeFileSync(file, `${commands.join('\n')}\n`);
    await run('/bin/sh', ['-c', 'exec "$0" write-many "$1" <"$2"', join(__dirname, '../lab/lab.sh'), this.vm, file], {
      env: { ...process.env, LAB_DIR: this.lab.folder, LAB_OWNER: `${process.pid}` },
    });
  }

  /** Writes and takes a backup that nothing strikes. */
  async backup({ mode = 'auto', ...asks }: Asks & { readonly mode?: 'auto' | 'full' } = {}): Promise<BackupWithEvidenceDto> {
    const moment = await this.#write();
    const { id } = await takeBackup(this.client, this.vm, mode, asks);
    return this.#keep(id, moment);
  }

  /** The newest chain, of so many links; a full that nothing stands on is the first of it. */
  async chain(links: number): Promise<BackupWithEvidenceDto[]> {
    const newest = this.#points.at(-1)?.backup;
    const taken = [newest?.type === 'FULL' ? newest : await this.backup({ mode: 'full' })];
    while (taken.length < links) taken.push(await this.backup());
    return taken;
  }

  /** All restore points that there must be. */
  get points(): readonly Point[] {
    return this.#points;
  }

  /** These are no restore points any more, and nobody expects them. */
  letGo(ids: readonly string[]): void {
    this.#points = this.#points.filter(({ backup }) => !ids.includes(backup.id));
  }

  async #keep(id: string, moment: string): Promise<BackupWithEvidenceDto> {
    const backup = await this.client.get<BackupWithEvidenceDto>(`/backups/${id}`);
    const held = (await readdir(join(this.lab.folder, 'mirror'))).filter((file) => file.endsWith(`@${moment}.raw`));
    this.#points.push({ backup, moment, targets: held.map((file) => /\.(vd.)@/.exec(file)?.[1] ?? '') });
    return backup;
  }

  async #guest(): Promise<string[]> {
    const state = (await this.virsh('domstate', this.vm, '--reason')).trim();
    return state.startsWith('running') ? [] : [`the guest is ${state}`];
  }

  async #leaks(): Promise<string[]> {
    const { activeCheckpoint } = await this.client.get<{ activeCheckpoint: string | null }>(`/vms/${this.vm}`);
    let left: string[] = [];
    // What a hung NAS had held on to goes a moment after it answers again.
    await until(
      async () =>
        (left = await this.lab.leaks([...this.strangers, ...(activeCheckpoint ? [activeCheckpoint] : [])])).length === 0,
      '',
    ).catch(() => undefined);
    return left.map((leak) => `left behind: ${leak}`);
  }

  /** Nothing booked that is not there, nothing there that is not booked. */
  async #bookings(): Promise<string[]> {
    const all = await this.client.all<BackupWithEvidenceDto>(`/backups?vm=${this.vm}`);
    // A failed attempt is in the books as well, and has nothing on the NAS. What is hidden lies there for those that stand on it.
    const good = all.filter(({ status }) => ['BackedUp', 'Hidden'].includes(status));
    const names = good.map(({ externalId }) => externalId?.split('/').at(-1) ?? '');
    const booked = new Set(names);
    const folder = join(this.nas, this.vm);
    const there = new Set(existsSync(folder) ? readdirSync(folder) : []);
    return [
      ...names.filter((name, index) => names.indexOf(name) !== index).map((name) => `booked twice: ${name}`),
      ...[...booked].filter((name) => !there.has(name)).map((name) => `booked and not on the NAS: ${name}`),
      ...[...there].filter((name) => !booked.has(name)).map((name) => `on the NAS and not booked: ${name}`),
    ];
  }

  async close(): Promise<void> {
    await this.#service?.kill();
    await this.#wire?.close();
    await this.lab.down();
  }
}

const kindOf = ({ type, reason }: BackupWithEvidenceDto): string => `${type} ${reason ?? ''}`;

/** What a run came to. */
export const outcomeOf = ({ state, errorCode }: RunDto): string =>
  state === 'succeeded' ? state : `${state} ${errorCode ?? ''}`.trim();

const hex = (value: number): string => (value & 0xff).toString(16).padStart(2, '0');

/** Waits a little longer than a lease. */
export const pastLease = (): Promise<void> => sleep((LEASE_SECONDS + 1) * 1000);

/** The mounts that a job on the host has made. */
export function mountsOf(stricken: Stricken, job: string): string[] {
  const tmp = readFileSync(stricken.jobFile(job, 'tmp'), 'utf8').trim();
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((row) => row.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${tmp}/`));
}
