import { IsOptional, Matches } from 'class-validator';
import { Setting } from './setting';

/** Redis, which tells several instances of new runs at once. Nothing is kept there: without it runs are found by looking. */
export class RedisConfig {
  @Setting({
    env: 'CHAINKEEPER_REDIS_URL',
    secret: true,
    help: 'Several instances only: redis://user:password@host:port/number, or rediss:// for TLS. Unset: every instance looks for work in the database.',
  })
  @IsOptional()
  @Matches(/^rediss?:\/\/[^\s/]/, { message: 'must begin with redis:// or rediss:// and name a host' })
  url?: string;
}
