import type { HostAccess } from '../host-access';

/** A disk of a VM of the lab; sizes in bytes. */
export interface LabDisk {
  readonly target: string;
  readonly path: string;
  readonly size: number;
}

/**
 * A host to try things on, with an oracle that knows what every disk held: the real lab of this machine
 * (libvirt, QEMU, sshd) and the fake one in memory answer to the same words, so that one story runs on either.
 * Everything throws when it did not come about. Offsets and lengths are bytes.
 */
export interface LabHost {
  /** `real` or `fake`: to be said aloud wherever a result is shown. */
  readonly kind: 'real' | 'fake';
  up(): Promise<void>;
  /** Removes everything that the lab left on the machine. */
  down(): Promise<void>;
  /** How the host is reached: an unprivileged user with the one sudoers line. */
  access(): Promise<HostAccess>;

  vmCreate(vm: string, disks: readonly { readonly target: string; readonly size: number }[]): Promise<void>;
  vmRemove(vm: string): Promise<void>;
  vmDisks(vm: string): Promise<LabDisk[]>;
  vmStart(vm: string): Promise<void>;
  /** A clean stop; the domain is transient, so libvirt forgets it. */
  vmStop(vm: string): Promise<void>;
  /** kill -9 of QEMU. */
  vmCrash(vm: string): Promise<void>;
  vmPause(vm: string): Promise<void>;
  vmResume(vm: string): Promise<void>;
  diskAdd(vm: string, target: string, size: number): Promise<void>;
  diskResize(vm: string, target: string, size: number): Promise<void>;

  /** Writes `length` bytes of one value as the guest would; on a stopped VM into the image. */
  write(vm: string, target: string, pattern: number, offset: number, length: number): Promise<void>;
  zero(vm: string, target: string, offset: number, length: number): Promise<void>;
  /** Aligned to 64 KiB. */
  discard(vm: string, target: string, offset: number, length: number): Promise<void>;
  /** A lost bitmap; the VM is stopped. */
  bitmapRemove(vm: string, target: string, bitmap: string): Promise<void>;
  /** Names of the bitmaps on a disk, sorted. */
  bitmaps(vm: string, target: string): Promise<string[]>;

  /** Keeps what the VM's disks hold now. */
  moment(vm: string, label: string): Promise<void>;
  /** Does a backup file with its backing chain, or a disk of the host, hold, byte for byte, what that disk held at that moment? */
  same(vm: string, label: string, target: string, file: string): Promise<boolean>;

  /** Takes a domain that a restore has made out of libvirt; its disks stay. */
  domainRemove(name: string): Promise<void>;

  /** A NAS directory of its own as address of a repository of type `dir`. */
  nas(name: string): Promise<string>;
  /** The same on a filesystem of this size in MiB, which runs full. */
  nasSmall(name: string, mebibytes: number): Promise<string>;
  /** Path of a file of a NAS, as `same` takes it. */
  nasFile(name: string, path: string): string;
  /** Content of a file of a NAS that is no image. */
  read(file: string): Promise<Buffer>;
  /** Puts a file onto a NAS as somebody else would, with the folder that it lies in. */
  put(file: string, content: string): Promise<void>;
  /** Takes it, or a folder with all in it, away again. */
  takeAway(file: string): Promise<void>;
  /** Changes one byte of the data in an image on a NAS, as a bad disk may; a second time changes it back. */
  flip(file: string): Promise<void>;
  /** What runs left behind (mounts, jobs, locks, partial directories, checkpoints beside those allowed), a line each. */
  leaks(allowedCheckpoints: readonly string[]): Promise<string[]>;
  /** Cuts the connections to the host; what runs there goes on. */
  dropConnections(): Promise<void>;
}
