/** The few words of better-sqlite3 that are spoken here; the package brings no types of its own. */
declare module 'better-sqlite3' {
  class Database {
    constructor(path: string, options?: { readonly timeout?: number });
    readonly open: boolean;
    readonly inTransaction: boolean;
    exec(sql: string): void;
    pragma(pragma: string): unknown;
    prepare(sql: string): {
      run(...values: unknown[]): { readonly changes: number; readonly lastInsertRowid: number | bigint };
      get(...values: unknown[]): unknown;
      all(...values: unknown[]): unknown[];
    };
    close(): void;
  }
  export = Database;
}

declare module 'better-sqlite3-13' {
  import Database from 'better-sqlite3';
  export = Database;
}
