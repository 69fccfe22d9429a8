import { readFile } from 'node:fs/promises';
import { Client, type ConnectConfig } from 'ssh2';
import { type ChainkeeperError, OperationalError, UserError } from '../../domain/errors';
import type { HostAccess } from '../host-access';
import { hostKeyCheck } from './host-key';
import { SshConnection } from './ssh-connection';

/** How long and how patiently to connect. */
export interface ConnectOptions {
  /** Milliseconds until the login must have succeeded. */
  readonly connectTimeoutMs: number;
  /** Milliseconds between two signs of life on a quiet connection; three unanswered ones end it. */
  readonly keepaliveMs: number;
}

/** Connects and logs in. @throws see RemoteShell; nothing was executed. */
export async function connect(host: HostAccess, options: ConnectOptions): Promise<SshConnection> {
  const { algorithms, judge } = await hostKeyCheck(host);
  const credentials = await credentialsOf(host);
  let refused: UserError | null = null;
  const config: ConnectConfig = {
    host: host.address,
    port: host.port,
    username: host.user,
    ...credentials,
    algorithms: { serverHostKey: algorithms },
    readyTimeout: options.connectTimeoutMs,
    keepaliveInterval: options.keepaliveMs,
    keepaliveCountMax: 3,
    hostVerifier: (key: Buffer): boolean => {
      refused = judge(key);
      return refused === null;
    },
  };
  const client = new Client();
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      // It may complain again while it goes; nobody is left to be told.
      client.on('error', () => undefined).destroy();
      reject(refused ?? connectError(host, error));
    };
    client.once('error', fail);
    client.once('close', () => fail(new Error('Connection closed before the login')));
    client.once('ready', () => {
      client.removeAllListeners('error').removeAllListeners('close');
      // Nagle's algorithm would hold every small request back for 40 ms.
      client.setNoDelay(true);
      resolve(new SshConnection(client, host.name));
    });
    try {
      client.connect(config);
    } catch (error) {
      // ssh2 reads the private key in here; its messages name the defect, never the key.
      reject(keyFileError(host, error as Error));
    }
  });
}

async function credentialsOf(host: HostAccess): Promise<Pick<ConnectConfig, 'privateKey' | 'agent'>> {
  if (host.privateKeyFile !== null) {
    try {
      return { privateKey: await readFile(host.privateKeyFile) };
    } catch (error) {
      throw keyFileError(host, error as Error);
    }
  }
  if (host.agentSocket !== null) return { agent: host.agentSocket };
  throw new UserError('host.key-file', 'invalid', `Host ${host.name} has neither a private key file nor an SSH agent`);
}

function keyFileError(host: HostAccess, error: Error): UserError {
  return new UserError(
    'host.key-file',
    'invalid',
    `Cannot use the private key ${host.privateKeyFile} of ${host.name}: ${error.message}`,
    {
      next: 'It must be readable, an OpenSSH or PEM private key, and without a passphrase.',
      cause: error,
    },
  );
}

function connectError(host: HostAccess, error: Error & { level?: string; code?: string }): ChainkeeperError {
  const where = `${host.name} (${host.address} port ${host.port})`;
  const facts = { host: host.name, address: host.address, port: host.port };
  if (error.level === 'client-authentication' || error.level === 'agent') {
    return new UserError('host.auth-failed', 'unauthorized', `${where} does not let ${host.user} in: ${error.message}`, {
      next: `Add the orchestrator's public key to ${host.user}'s authorized_keys on the host.`,
      facts,
      cause: error,
    });
  }
  return new OperationalError('host.unreachable', 'unreachable', `Cannot reach ${where}: ${error.message}`, {
    facts,
    cause: error,
  });
}
