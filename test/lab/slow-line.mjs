// The line to a NAS, as sshfs's ssh command: passes on what sshfs says to a real sftp-server, as fast as a file tells, which is
// read again for every piece: bytes a second, 0 (nothing passes) or `unlimited`. The answers come back at once.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as nap } from 'node:timers/promises';

const TICK = 10;
const [server, speedFile] = process.argv.slice(2);
const speed = () => {
  const text = readFileSync(speedFile, 'utf8').trim();
  return text === 'unlimited' ? Infinity : Number(text);
};

const sftp = spawn(server, { stdio: ['pipe', 'inherit', 'inherit'] });
sftp.on('exit', () => process.exit());

for await (const chunk of process.stdin) {
  for (let rest = chunk; rest.length > 0;) {
    const now = speed();
    const piece = rest.subarray(0, Math.ceil((now * TICK) / 1000));
    rest = rest.subarray(piece.length);
    if (piece.length > 0 && !sftp.stdin.write(piece)) await once(sftp.stdin, 'drain');
    if (now !== Infinity) await nap(TICK);
  }
}
sftp.stdin.end();
