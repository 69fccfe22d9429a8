import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** A port that answers nothing, not even a refusal: whoever listens there takes nobody in, and its queue is full. */
export class BlackHole {
  private constructor(
    readonly port: number,
    readonly close: () => Promise<void>,
  ) {}

  static async open(address: string): Promise<BlackHole> {
    const program = `use Socket; socket(S, PF_INET, SOCK_STREAM, 0); bind(S, sockaddr_in(0, inet_aton($ARGV[0]))) or die $!; listen(S, 0);
      $| = 1; print((sockaddr_in(getsockname(S)))[0], "\\n"); sleep 3600`;
    const listener = spawn('perl', ['-e', program, address], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface(listener.stdout), 'line')) as [string];
    const port = Number(line);
    const waiting: Socket[] = [];
    const close = async (): Promise<void> => {
      for (const socket of waiting) socket.destroy();
      const gone = once(listener, 'exit');
      listener.kill();
      await gone;
    };
    // Linux takes one more than it was told to, and a moment to count it.
    for (let open = true; open;) {
      const socket = connect({ host: address, port }).on('error', () => undefined);
      waiting.push(socket);
      open = await Promise.race([
        once(socket, 'connect').then(() => true),
        new Promise<false>((no) => setTimeout(no, 500, false)),
      ]);
      if (waiting.length > 16) {
        await close();
        throw new Error('a queue of none does not run full here');
      }
    }
    return new BlackHole(port, close);
  }
}
