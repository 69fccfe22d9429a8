import type { DiskFacts, Facts, InspectedDisk, InspectFacts } from '../../src/domain/agent/facts';

const HOST = { name: 'kvm1', bootId: '9f496882-1f9b-47cc-8c91-8b5058456d02', libvirt: '9.0.0', qemu: '7.2.22' };
const MIB = 1024 * 1024;

/** One disk of a finished incremental. */
export function aDisk(target: string, different: Partial<DiskFacts> = {}): DiskFacts {
  return {
    target,
    path: `/var/lib/libvirt/images/${target}.qcow2`,
    inode: 4711,
    format: 'qcow2',
    virtualSize: 64 * MIB,
    method: 'incremental',
    file: `root.${target}.qcow2`,
    backing: `../2026.04.27.13.45.00/root.${target}.qcow2`,
    fileSize: 3 * MIB,
    allocated: 3 * MIB,
    clusterSize: 65_536,
    ownData: 2 * MIB,
    ownZero: MIB / 2,
    dirtyBefore: 2 * MIB,
    compared: null,
    parentBitmap: { recording: true, inconsistent: false, persistent: true, granularity: 65_536 },
    check: 'ok',
    writtenBytes: 10 * MIB,
    ...different,
  };
}

/** The facts of a finished incremental. */
export function aRunsFacts(disks: readonly DiskFacts[]): Facts {
  return {
    v: 1,
    script: '1.0.0',
    dialect: 'seed',
    host: HOST,
    vm: { name: 'i-2-7-VM', state: 'running', qemuStarted: '2026-04-26T22:00:00.125Z' },
    asked: { mode: 'incremental', bitmapNew: 'backup-1777300200', bitmapParent: 'backup-1777297500' },
    done: {
      mode: 'incremental',
      transfer: 'push',
      transferReason: null,
      reason: null,
      recreateMethod: 'redefined',
      rescueRefused: null,
      bitmapNew: 'backup-1777300200',
    },
    job: { result: 'completed', error: null, processed: 4 * MIB, total: 4 * MIB, ms: 120 },
    disks,
    guest: null,
    space: null,
    cleanup: { ok: true, left: [] },
    timings: { total: 900 },
    error: null,
  };
}

/** One disk as an inspection sees it, with one bitmap. */
export function anInspectedDisk(target: string, bitmap: string, dirtyBytes: number | null): InspectedDisk {
  return {
    target,
    path: `/var/lib/libvirt/images/${target}.qcow2`,
    inode: 4711,
    type: 'file',
    format: 'qcow2',
    compat: '1.1',
    virtualSize: 64 * MIB,
    clusterSize: 65_536,
    errorPolicy: null,
    bitmaps: [
      {
        name: 'somebody-else',
        recording: true,
        inconsistent: false,
        persistent: true,
        busy: false,
        granularity: 32_768,
        dirtyBytes: 1,
      },
      { name: bitmap, recording: true, inconsistent: false, persistent: true, busy: false, granularity: 65_536, dirtyBytes },
    ],
    writtenBytes: 10 * MIB,
  };
}

/** What an inspection says. */
export function anInspection(disks: readonly InspectedDisk[]): InspectFacts {
  return {
    v: 1,
    script: '1.0.0',
    host: HOST,
    vm: { name: 'i-2-7-VM', state: 'running', uuid: null, qemuStarted: '2026-04-26T22:00:00.125Z' },
    job: { active: false, operation: null },
    checkpoints: [],
    space: null,
    disks,
    problems: [],
  };
}
