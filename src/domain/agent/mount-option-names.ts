/** The types of repository that a host can mount. */
export const REPOSITORY_TYPES = ['nfs', 'cifs', 'ceph', 'dir'] as const;
export type RepositoryType = (typeof REPOSITORY_TYPES)[number];

const words = (text: string): string[] => text.trim().split(/\s+/);

/** What mount itself knows, and fstab. */
const COMMON = words(`
  ro rw exec noexec suid nosuid dev nodev atime noatime diratime nodiratime relatime norelatime strictatime nostrictatime lazytime
  nolazytime sync async dirsync mand nomand iversion noiversion silent loud nosymfollow symfollow defaults context fscontext defcontext
  rootcontext bind rbind move remount private rprivate shared rshared slave rslave unbindable runbindable auto noauto user nouser users
  owner group nofail _netdev comment uhelper helper
`);

/** What each file system knows besides: nfs(5), mount.cifs(8), mount.ceph(8), and the kernel's own lists. */
const OWN: Readonly<Record<RepositoryType, readonly string[]>> = {
  dir: [],
  nfs: words(`
    soft hard softerr softreval nosoftreval timeo retrans retry rsize wsize bsize ac noac acregmin acregmax acdirmin acdirmax actimeo bg fg
    nconnect max_connect trunkdiscovery notrunkdiscovery rdirplus nordirplus sec sharecache nosharecache resvport noresvport lookupcache
    fsc nofsc sloppy vers nfsvers v2 v3 v4 v4.0 v4.1 v4.2 minorversion proto tcp udp rdma port mountproto mountport mountvers mounthost
    mountaddr namlen lock nolock cto nocto acl noacl local_lock posix noposix intr nointr clientaddr addr migration nomigration xprtsec
    write
  `),
  cifs: words(`
    user username pass password password2 dom domain workgroup credentials cred ip addr servern netbiosname srcaddr port sec vers uid gid
    cruid forceuid noforceuid forcegid noforcegid backupuid backupgid file_mode fmode dir_mode dirmode soft nosoft hard nohard intr nointr
    cache strictcache forcedirectio directio noac actimeo acregmax acdirmax closetimeo handlecache nohandlecache handletimeout fsc brl nobrl
    nolock forcemandatorylock forcemand perm noperm dynperm nodynperm setuids nosetuids setuidfromacl idsfromsid modefromsid cifsacl acl
    noacl user_xattr nouser_xattr serverino noserverino mapposix nomapposix mapchars nomapchars nocase ignorecase sfu nosfu mfsymlinks unix
    nounix linux nolinux posix noposix posixpaths noposixpaths nodfs nodelete noautotune noblocksend nolease locallease rsize wsize bsize
    rasize sign seal signloosely ignore_signature multiuser multichannel nomultichannel max_channels echo_interval max_credits max_cached_dirs
    persistenthandles nopersistenthandles resilienthandles noresilienthandles snapshot tsprefix tcpnodelay rdma rwpidforward strictsync
    nostrictsync sloppy guest iocharset esize domainauto prefixpath unicode nounicode compress rootfs witness nosharesock retrans symlink
    reparse upcall_target nonativesocket
  `),
  ceph: words(`
    name secret secretfile key keyfile mon_addr conf fs mds_namespace fsid ip noip rasize rsize wsize mount_timeout osdkeepalive osd_idle_ttl
    osdtimeout osd_request_timeout caps_max caps_wanted_delay_min caps_wanted_delay_max readdir_max_bytes readdir_max_entries
    write_congestion_kb congestion_kb snapdirname dirstat nodirstat rbytes norbytes asyncreaddir noasyncreaddir dcache nodcache ino32 noino32
    crc nocrc share noshare tcp_nodelay notcp_nodelay cephx_require_signatures nocephx_require_signatures cephx_sign_messages
    nocephx_sign_messages poolperm nopoolperm require_active_mds norequire_active_mds quotadf noquotadf copyfrom nocopyfrom acl noacl
    recover_session ms_mode wsync nowsync pagecache nopagecache sparseread nosparseread abort_on_full read_from_replica crush_location
    rxbounce fsc nofsc queue_depth user pass password username
  `),
};

const KNOWN: Readonly<Record<RepositoryType, ReadonlySet<string>>> = {
  nfs: new Set([...COMMON, ...OWN.nfs]),
  cifs: new Set([...COMMON, ...OWN.cifs]),
  ceph: new Set([...COMMON, ...OWN.ceph]),
  dir: new Set(COMMON),
};

const isFstabComment = (name: string): boolean => /^x-/i.test(name);

/** Whether a repository of that type can have an option of that name. */
export const knowsOption = (type: RepositoryType, name: string): boolean => KNOWN[type].has(name) || isFstabComment(name);

/** Whether some type knows it. */
export const isAnyOption = (name: string): boolean => REPOSITORY_TYPES.some((type) => knowsOption(type, name));
