import type { HostClient } from './host-client';
import { ScriptHostClient, type ScriptHostClientOptions } from './script-host-client';
import { SshShell } from './ssh/ssh-shell';

/** The host client of the product: our host script, over SSH. */
export const sshHostClient = (options: ScriptHostClientOptions = {}): HostClient => new ScriptHostClient(new SshShell(), options);
