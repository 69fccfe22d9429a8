import { describeDatabases } from '../support/databases';

describeDatabases('migrations', (databases) => {
  it('bring an empty database up to date, and do nothing the second time', async () => {
    const { dataSource, config } = await databases.open();
    expect(dataSource.isInitialized).toBe(true);
    await databases.reopen(config);
  });
});
