import type { HostAccess } from '../../src/hosts/host-access';

/** Options of OpenSSH's client; no file of whoever runs this bench has a say. */
export const openSsh = ({ port, user, privateKeyFile }: HostAccess): string[] => [
  ...['-F', 'none', '-p', `${port}`, '-l', user, '-i', privateKeyFile ?? '', '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'],
  ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR'],
];
