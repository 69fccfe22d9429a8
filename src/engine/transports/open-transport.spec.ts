import { loadConfig } from '../../platform/config/load-config';
import { createLog } from '../../platform/log';
import { openTransport } from './open-transport';

describe('openTransport', () => {
  const log = createLog({ level: 'silent' });
  afterEach(() => jest.dontMock('bullmq'));

  it('looks in the database when no Redis is named, and needs no package for it', async () => {
    jest.doMock('bullmq', () => {
      throw new Error("Cannot find module 'bullmq'");
    });
    const transport = await openTransport(loadConfig({ CHAINKEEPER_POLL_MS: '700' }), log);
    expect([transport.restMs, transport.trouble]).toEqual([700, null]);
  });

  it('says what to install when Redis is named and the packages are not there', async () => {
    jest.doMock('bullmq', () => {
      throw new Error("Cannot find module 'bullmq'");
    });
    const config = loadConfig({ CHAINKEEPER_REDIS_URL: 'redis://:hunter22@127.0.0.1:1' });
    await expect(openTransport(config, log)).rejects.toMatchObject({
      code: 'transport.not-installed',
      message: expect.not.stringContaining('hunter22') as string,
      next: expect.stringContaining('npm install --include=optional') as string,
    });
  });
});
