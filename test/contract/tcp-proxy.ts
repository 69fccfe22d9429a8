import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Encrypted as it is, a command is known by its length: what opens and closes its channel is much shorter. */
const COMMAND_BYTES = 100;

/** A TCP proxy in front of an sshd that can stop forwarding, drop its connections and refuse new ones. */
export class TcpProxy {
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #connections = 0;
  #silent = false;
  #cutsAtCommand = false;

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

  /** Drops what is connected now; new connections are accepted. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Drops the connection as soon as the next command has gone to the host, before any answer to it. */
  cutAtCommand(): void {
    this.#cutsAtCommand = true;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((done) => this.#server?.close(done));
  }

  private async listen(port: number): Promise<void> {
    this.#server = createServer((client) => {
      this.#connections += 1;
      const target = connect(this.targetPort, this.targetHost);
      for (const socket of [client, target]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
      }
      client.on('close', () => target.destroy());
      target.on('close', () => client.destroy());
      if (this.#silent) return;
      client.pipe(target);
      client.on('data', (chunk: Buffer) => {
        if (!this.#cutsAtCommand || chunk.length < COMMAND_BYTES) return;
        this.#cutsAtCommand = false;
        this.cut();
      });
      target.pipe(client);
    });
    await new Promise<void>((done) => this.#server?.listen(port, '127.0.0.1', done));
  }
}
