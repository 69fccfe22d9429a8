import Older from 'better-sqlite3';
import Newer from 'better-sqlite3-13';

/** One open SQLite file. */
export type SqliteFile = Older;

/**
 * SQLite for this Node. Version 13 needs Node-API 10 (Node 22.14) and crashes below it; version 12 crashes from Node 24.19 on.
 * Their compiled parts are loaded with the first file that is opened, so that of the other version never is.
 */
export const SqliteFile: typeof Older = Number(process.versions['napi']) >= 10 ? Newer : Older;
