import { type AppArmorFacts, type AppArmorVerdict, judgeAppArmor } from './apparmor';

/** As Debian 12 has it (libvirt 9.0), cut to what concerns files. */
const DEBIAN_12 = `  #include <abstractions/base>
  #include <abstractions/nameservice>

  capability dac_override,
  network inet stream,
  ptrace (readby, tracedby) peer=libvirtd,
  signal (receive) peer=/usr/sbin/libvirtd,

  /dev/net/tun rw,
  @{PROC}/*/status r,
  owner @{PROC}/*/auxv r,
  /{dev,run}/shm r,
  owner /tmp/pulse-*/* rw,
  /usr/{lib,lib64}/qemu/*.so mr,
  audit deny /{var/,}run/qemu/*/*.so w,
  /{usr/,}bin/dash rmix,
  /etc/ceph/*.conf r,

  # We want to avoid to give blanket rw permission to everything under /tmp,
  /{,var/}tmp/ r,
  owner /{,var/}tmp/**/ r,
  deny /dev/shm/lttng-ust-wait-* r,
  / r, # harmless on any lsb compliant system
  owner /var/lib/libvirt/qemu/nvram/*_VARS.fd rwk,

  # Site-specific additions and overrides. See local/README for details.
  #include <local/abstractions/libvirt-qemu>
`;
/** As newer ones end. */
const APPARMOR_3 = DEBIAN_12.replace(
  '#include <local/abstractions/libvirt-qemu>',
  'include if exists <abstractions/libvirt-qemu.d>',
);
const TEMPLATE = `#
# This profile is for the domain whose UUID matches this file.
#

#include <tunables/global>

profile LIBVIRT_TEMPLATE flags=(attach_disconnected) {
  #include <abstractions/libvirt-qemu>
}
`;
const LOCAL = 'local/abstractions/libvirt-qemu';
const NAS = '/tmp/csbackup.XXXXX';
const SCRATCH = '/var/lib/chainkeeper-scratch';

function judge(own: Readonly<Record<string, string>>, abstraction = DEBIAN_12): AppArmorVerdict {
  const files: AppArmorFacts['files'] = Object.entries({
    'libvirt/TEMPLATE.qemu': TEMPLATE,
    'abstractions/libvirt-qemu': abstraction,
    ...own,
  }).map(([path, text]) => ({ path, text }));
  return judgeAppArmor({ state: 'confining', profiles: [], writes: [NAS, SCRATCH], files });
}

describe('judging the rules of AppArmor', () => {
  it('finds both directories closed as the packages come, and tells where a rule of one’s own is read', () => {
    expect(judge({ [LOCAL]: '' })).toEqual({ closed: [NAS, SCRATCH], file: LOCAL });
    expect(judge({})).toEqual({ closed: [NAS, SCRATCH], file: LOCAL });
    expect(judge({}, APPARMOR_3)).toEqual({ closed: [NAS, SCRATCH], file: 'abstractions/libvirt-qemu.d/chainkeeper' });
    expect(judge({}, '/dev/kvm rw,')).toEqual({ closed: [NAS, SCRATCH], file: 'abstractions/libvirt-qemu' });
  });

  it.each<[string, string, string[]]>([
    ['what we tell to add', `/tmp/csbackup.*/** rwk,\n${SCRATCH}/** rwk,`, []],
    ['one of the two', '/tmp/csbackup.*/** rwk,', [SCRATCH]],
    ['permissions first', `file rwk /tmp/csbackup.*/**,\nrwk "${SCRATCH}/**",`, []],
    ['in two rules', `/tmp/** rk,\n/tmp/csbackup.*/** w,\n${SCRATCH}/** rwkl,`, []],
    [
      'in quotes, with alternatives',
      `  "/{,var/}tmp/csbackup.[A-Za-z]*/**" rwk, # NAS\n  allow /var/lib/{chainkeeper-scratch,x}/** krw,`,
      [],
    ],
    ['everything', '/** rwk,', []],
    ['without the lock', `/tmp/** rw,\n${SCRATCH}/** rwk,`, [NAS]],
    ['to read alone', `/tmp/** r,\n${SCRATCH}/** rwk,`, [NAS]],
    ['to append alone', `/tmp/** rak,\n${SCRATCH}/** rwk,`, [NAS]],
    ['one level too few', `/tmp/csbackup.*/* rwk,\n${SCRATCH}/** rwk,`, [NAS]],
    ['another directory', `/tmp/csbackup/** rwk,\n${SCRATCH}/** rwk,`, [NAS]],
    ['a dot is no wildcard', `/tmp/csbackupx*/** rwk,\n${SCRATCH}/** rwk,`, [NAS]],
    ['for files of its own user alone', `owner /tmp/** rwk,\n${SCRATCH}/** rwk,`, [NAS]],
    ['a comment', `# /tmp/** rwk,\n${SCRATCH}/** rwk,`, [NAS]],
    ['denied again', `/** rwk,\ndeny /tmp/** w,`, [NAS]],
    ['denied elsewhere', `/** rwk,\naudit deny /tmp/other/** w,`, []],
    ['a variable is not guessed', `@{HOME}/** rwk,\n@{run}/** rwk,`, [NAS, SCRATCH]],
    ['no glob at all', `/tmp/[ rwk,\n/{a rwk,`, [NAS, SCRATCH]],
  ])('%s', (_what, rules, closed) => {
    expect(judge({ [LOCAL]: rules }).closed).toEqual(closed);
  });

  it('counts a file only where something includes it, in a directory too, and does not go round in circles', () => {
    const all = '/** rwk,';
    expect(judge({ [LOCAL]: all }, APPARMOR_3).closed).toEqual([NAS, SCRATCH]);
    expect(judge({ 'abstractions/libvirt-qemu.d/site': all }, APPARMOR_3).closed).toEqual([]);
    expect(judge({ 'abstractions/libvirt-qemu.d/site': all }).closed).toEqual([NAS, SCRATCH]);
    expect(judge({ [LOCAL]: `#include <abstractions/libvirt-qemu>\n${all}` }).closed).toEqual([]);
    expect(judge({ 'libvirt/TEMPLATE.qemu': TEMPLATE.replace('}', '  /** rwk,\n}') }).closed).toEqual([]);
  });
});
