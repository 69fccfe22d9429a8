import type { Logger } from 'typeorm';

/** TypeORM prints to stdout even when told not to, and prints values with it. What went wrong is in the errors we throw. */
export class SilentLogger implements Logger {
  logQuery(): void {}
  logQueryError(): void {}
  logQuerySlow(): void {}
  logSchemaBuild(): void {}
  logMigration(): void {}
  log(): void {}
}
