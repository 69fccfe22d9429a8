import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Encrypted as it is, a command is known by its length: what opens and closes its channel is much shorter. */
const COMMAND_BYTES = 100;

/** A TCP proxy in front of an sshd that can stop forwarding, drop its connections and refuse new ones. */
export class TcpProxy {
  readonly #sockets = new Set<Socket>();
  readonly #targets = new Set<Socket>();
  #server: Server | undefined;
  #connections = 0;
  #silent = false;
  #atCommand: (() => void) | null = null;

  private constructor(
    private readonly targetPort: number,
    private readonly targetHost: string,
  ) {}

  static async before(targetHost: string, targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort, targetHost);
    await proxy.listen(0);
    return proxy;
  }

  get port(): number {
    return (this.#server?.address() as AddressInfo).port;
  }

  /** Connections made so far. */
  get connections(): number {
    return this.#connections;
  }

  /** From now on nothing passes, in either direction, and nobody is told: a black hole. */
  swallow(): void {
    this.#silent = true;
    for (const socket of this.#sockets) socket.pause().unpipe();
  }

  /** New connections pass again; what was in the hole stays there. */
  pass(): void {
    this.#silent = false;
  }

  /** Drops what is connected now; new connections are accepted. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Drops the connection as soon as the next command has gone to the host, before any answer to it. */
  cutAtCommand(): void {
    this.#atCommand = () => this.cut();
  }

  /** As soon as the next command has gone to the host, nothing comes back: it is executed, and nobody hears of it. New connections are swallowed. */
  swallowAnswersAtCommand(): void {
    this.#atCommand = () => {
      this.#silent = true;
      for (const socket of this.#targets) socket.pause().unpipe();
    };
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((done) => this.#server?.close(done));
  }

  private async listen(port: number): Promise<void> {
    this.#server = createServer((client) => {
      this.#connections += 1;
      const target = connect(this.targetPort, this.targetHost);
      this.#targets.add(target);
      target.on('close', () => this.#targets.delete(target));
      for (const socket of [client, target]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
      }
      client.on('close', () => target.destroy());
      target.on('close', () => client.destroy());
      if (this.#silent) return;
      client.pipe(target);
      client.on('data', (chunk: Buffer) => {
        if (this.#atCommand === null || chunk.length < COMMAND_BYTES) return;
        const strike = this.#atCommand;
        this.#atCommand = null;
        strike();
      });
      target.pipe(client);
    });
    await new Promise<void>((done) => this.#server?.listen(port, '127.0.0.1', done));
  }
}
