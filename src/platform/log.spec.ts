import { Writable } from 'node:stream';
import { createLog } from './log';

describe('createLog', () => {
  it('writes JSON lines with the ids of the child, and cuts secrets out', () => {
    const lines: string[] = [];
    const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => (lines.push(chunk.toString()), done()) });
    const log = createLog({ level: 'info' }, sink).child({ runId: 'r', vm: 'v', chainId: 'c', host: 'h' });
    log.info({ mountOptions: 'password=hunter22', job: { credentials: 'hunter22' }, token: 'hunter22' }, 'started');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'info',
      runId: 'r',
      vm: 'v',
      chainId: 'c',
      host: 'h',
      msg: 'started',
    });
    expect(lines.join('')).not.toContain('hunter22');
  });
});
