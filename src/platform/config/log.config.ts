import { IsIn } from 'class-validator';
import { Setting } from './setting';

/** What the service says about itself, as JSON lines on stdout. */
export class LogConfig {
  @Setting({ env: 'CHAINKEEPER_LOG_LEVEL', help: 'fatal, error, warn, info, debug, trace or silent.' })
  @IsIn(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
  level = 'info';
}
