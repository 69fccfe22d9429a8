import type { ServerConfig } from '../../../src/database/data-source';
import { until } from '../../support/brake';
import type { Books, Databases } from '../../support/databases';

/** What the database says of a change names who made it: each orchestrator gets a login of its own. The database may be away just now. */
export const admitTo =
  (databases: Databases, books: Books) =>
  async (owner: string): Promise<Record<string, string>> => {
    const { database } = books.config as ServerConfig;
    const may = `CREATE USER '${owner}'@'127.0.0.1' IDENTIFIED BY 'its own'; GRANT ALL ON ${database}.* TO '${owner}'@'127.0.0.1'`;
    const asked = (): Promise<unknown> => databases.server().asRoot(`DROP USER IF EXISTS '${owner}'@'127.0.0.1'; ${may}`);
    await until(async () => (await asked().catch(() => undefined)) !== undefined, `${owner} has a login`);
    return { CHAINKEEPER_DB_USER: owner, CHAINKEEPER_DB_PASSWORD: 'its own' };
  };
