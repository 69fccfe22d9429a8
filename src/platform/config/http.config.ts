import { IsInt, IsOptional, IsString, Max, Min, MinLength } from 'class-validator';
import { Setting } from './setting';

/** Where the REST API listens and who may call it. */
export class HttpConfig {
  @Setting({
    env: 'CHAINKEEPER_HTTP_ADDRESS',
    help: 'Address to listen on. Anything but loopback needs CHAINKEEPER_API_TOKEN.',
  })
  @IsString()
  @MinLength(1)
  address = '127.0.0.1';

  @Setting({ env: 'CHAINKEEPER_HTTP_PORT', as: 'integer', help: 'TCP port; 0 takes a free one.' })
  @IsInt()
  @Min(0)
  @Max(65535)
  port = 8470;

  @Setting({
    env: 'CHAINKEEPER_API_TOKEN',
    secret: true,
    help: 'Bearer token that every call must carry, at least 32 characters. Unset: no token, loopback only.',
  })
  @IsOptional()
  @IsString()
  @MinLength(32)
  token?: string;
}
