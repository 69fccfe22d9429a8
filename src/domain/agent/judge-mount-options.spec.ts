import fc from 'fast-check';
import { judgeMountOptions, type MountWish } from './judge-mount-options';
import { REPOSITORY_TYPES } from './mount-option-names';

const judge = (type: MountWish['type'], options: string, transfer: MountWish['transfer'] = null): string[] =>
  judgeMountOptions({ type, options, transfer }).map(({ option, severity }) => `${severity} ${option}`);

const refused = (type: MountWish['type'], options: string): string[] =>
  judge(type, options).flatMap((line) => (line.startsWith('error ') ? [line.slice(6)] : []));

describe('judgeMountOptions', () => {
  it.each([
    // A NAS that is away: the guest’s error, the guest’s stall, or only the backup’s trouble.
    ['nfs', 'soft', null, ['warning soft']],
    ['nfs', 'soft', 'auto', ['warning soft']],
    ['nfs', 'soft', 'pull', ['ok soft']],
    ['nfs', 'softerr', 'push', ['warning softerr']],
    ['nfs', 'hard', 'push', ['ok hard']],
    ['nfs', '', 'push', ['ok hard (the default)']],
    ['nfs', 'hard', 'pull', ['ok hard']],
    ['cifs', '', 'push', ['warning soft (the default)']],
    ['cifs', 'hard', 'push', ['ok hard']],
    ['cifs', '', 'pull', ['ok soft (the default)']],
    ['ceph', '', 'push', ['ok hard (the default)']],
    ['dir', '', 'push', []],
    ['nfs', 'soft,timeo=50', 'pull', ['ok soft', 'warning timeo']],
    ['nfs', 'soft,timeo=600', 'pull', ['ok soft']],
    ['nfs', 'hard,timeo=50', 'pull', ['ok hard']],
    // Where QEMU writes by itself it needs to be somebody.
    ['nfs', 'hard,sec=krb5p', 'push', ['warning sec', 'ok hard']],
    ['nfs', 'hard,sec=krb5p', 'pull', ['ok hard']],
    ['cifs', 'hard,multiuser', 'push', ['warning multiuser', 'ok hard']],
    ['cifs', 'hard,multiuser', 'pull', ['ok hard']],
  ] as const)('%s %j by %j: %j', (type, options, transfer, says) => {
    expect(judge(type, options, transfer)).toEqual(says);
  });

  it.each([
    ['nfs', 'vers=4.2,hard,nconnect=4,noatime,rsize=1048576,x=', []],
    ['nfs', 'ro', ['ro']],
    ['dir', 'ro', ['ro']],
    ['nfs', 'bg', ['bg']],
    ['nfs', 'udp', ['udp']],
    ['nfs', 'proto=udp', ['proto=udp']],
    ['nfs', 'proto=tcp', []],
    ['nfs', 'vers=2', ['vers=2']],
    ['nfs', 'no_root_squash', ['no_root_squash']],
    ['nfs', 'bind', ['bind']],
    ['dir', 'bind', []],
    ['nfs', 'remount', ['remount']],
    ['dir', 'private', ['private']],
    ['nfs', 'username=bob,password=x', ['username', 'password']],
    ['dir', 'password=x', ['password']],
    ['ceph', 'user=bob,secret=x', []],
    ['cifs', 'username=CORP\\bob', ['username']],
    ['cifs', 'username=bob%x', ['username']],
    ['cifs', 'username=bob,password=x,vers=3.1.1,hard', []],
    ['cifs', 'forcemandatorylock', ['forcemandatorylock']],
    ['cifs', 'nostrictsync', ['nostrictsync']],
    ['cifs', 'credentials=/root/nas,username=bob', ['credentials']],
    ['cifs', 'user=bob,username=eve', ['username']],
    ['cifs', 'password=a,b', ['(after a secret)']],
    // Said twice.
    ['nfs', 'soft,hard', ['hard and soft']],
    ['nfs', 'rw,ro', ['ro', 'ro and rw']],
    ['nfs', 'vers=3,nfsvers=4.2', ['vers']],
    ['nfs', 'v3,vers=4.2', ['vers']],
    ['nfs', 'tcp,proto=rdma', ['proto']],
    ['nfs', 'vers=4.2,vers=4.2', []],
    ['nfs', 'tcp,proto=tcp', []],
  ] as const)('%s %j: refuses %j', (type, options, says) => {
    expect(refused(type, options)).toEqual(says);
  });

  it.each([
    ['nfs', 'hard,intr', 'warning intr'],
    ['nfs', 'hard,sync', 'warning sync'],
    ['nfs', 'hard,noac', 'warning noac'],
    ['nfs', 'hard,nolock', 'ok nolock'],
    ['nfs', 'hard,noexec', 'ok noexec'],
    ['nfs', 'hard,_netdev', 'warning _netdev'],
    ['nfs', 'hard,user', 'warning user'],
    ['nfs', 'hard,x-systemd.automount', 'warning x-systemd.automount'],
    ['nfs', 'hard,frobnicate=1', 'warning frobnicate'],
    ['nfs', 'hard,VERS=4', 'warning VERS'],
    ['nfs', 'hard,nobrl', 'warning nobrl'],
    ['nfs', 'hard,constructor', 'warning constructor'],
    ['cifs', 'hard,nobrl', 'ok nobrl'],
    ['cifs', 'hard,cache=loose', 'warning cache=loose'],
    ['cifs', 'hard,vers=1.0', 'warning vers=1.0'],
    ['cifs', 'hard,fsc', 'warning fsc'],
    ['ceph', 'recover_session=clean', 'warning recover_session=clean'],
    ['ceph', 'soft', 'warning soft'],
    ['dir', 'vers=3', 'warning vers'],
  ] as const)('%s %j: %s', (type, options, says) => {
    expect(judge(type, options)).toContain(says);
    expect(refused(type, options)).toEqual([]);
  });

  it('says why of everything, and shows nobody a secret, however the list is put together', () => {
    const option = fc.constantFrom(
      ...['password=hunter2', 'pass=hunter2', 'secret=hunter2', 'credentials=/hunter2', 'password2=hunter2', 'token=hunter2'],
      ...[
        'soft',
        'hard',
        'ro',
        'vers=3',
        'nosuch',
        'username=bob',
        'x-a=b',
        '=',
        ',',
        'password=',
        'password=a,hunter2,b=hunter2',
      ],
    );
    fc.assert(
      fc.property(fc.constantFrom(...REPOSITORY_TYPES), fc.array(option), (type, options) => {
        const advice = judgeMountOptions({ type, options: options.join(','), transfer: null });
        expect(JSON.stringify(advice)).not.toContain('hunter2');
        expect(advice.every(({ why }) => why.length > 10)).toBe(true);
      }),
    );
  });
});
