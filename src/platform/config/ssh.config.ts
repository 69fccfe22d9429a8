import { homedir } from 'node:os';
import { join } from 'node:path';
import { IsInt, IsString, Max, Min, MinLength } from 'class-validator';
import { Setting } from './setting';

/** How hosts are reached. A host in the books may have its own user, key and port. */
export class SshConfig {
  @Setting({ env: 'CHAINKEEPER_SSH_KEY', help: 'Private key file for hosts that name none of their own.' })
  @IsString()
  @MinLength(1)
  privateKeyFile = join(homedir(), '.ssh/id_ed25519');

  @Setting({
    env: 'CHAINKEEPER_SSH_KNOWN_HOSTS',
    help: 'known_hosts file for hosts whose key fingerprint is not in the books. A host in neither is refused.',
  })
  @IsString()
  @MinLength(1)
  knownHostsFile = join(homedir(), '.ssh/known_hosts');

  @Setting({
    env: 'CHAINKEEPER_SSH_DEADLINE_SECONDS',
    as: 'integer',
    help: 'Seconds that one short command on a host may take. Long work runs detached and has no such limit.',
  })
  @IsInt()
  @Min(1)
  @Max(3600)
  deadlineSeconds = 60;
}
