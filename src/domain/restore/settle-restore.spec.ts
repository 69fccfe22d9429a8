import type { RestoredDisk as ToldDisk, RestoreFacts } from '../agent/read-restore';
import type { RestorePlan } from './restore-plan';
import { type EndedRestore, settleRestore } from './settle-restore';

const PLAN: RestorePlan = {
  ...{ kind: 'restore', backup: 'b', vm: 'i-2-7-VM', way: 'in-place', externalId: 'i-2-7-VM/x', repositoryId: 'nas' },
  ...{ assurance: 'accounted', accepted: null, overwrite: false, newName: null, networks: false, attachTo: null },
  ...{ bandwidth: null, bytes: 1024, warnings: ['known beforehand'] },
  disks: ['vda', 'vdb'].map((target, deviceId) => ({
    ...{ target, deviceId, file: `${target}.qcow2`, to: `/pool/${target}`, format: 'qcow2', virtualSize: 512, sizeNow: 512 },
  })),
};
const told = (target: string, over: Partial<ToldDisk> = {}): ToldDisk => ({
  ...{ target, file: `${target}.qcow2`, to: `/pool/${target}`, format: 'qcow2', virtualSize: 512, allocated: 512, links: 2 },
  ...{ hashed: 2, unread: null, identical: true, convertMs: 1, compareMs: 1, swapped: true },
  ...over,
});
const facts = (over: Partial<RestoreFacts> = {}): RestoreFacts => ({
  ...{ v: 1, script: '1', host: { name: 'kvm1', bootId: null, libvirt: null, qemu: null }, vm: 'i-2-7-VM' },
  ...{
    disks: [told('vda'), told('vdb')],
    swapped: true,
    domain: null,
    attached: null,
    timings: {},
    damaged: [],
    spoilt: [],
    error: null,
  },
  cleanup: { ok: true, left: [] },
  ...over,
});
const NOT_SWAPPED = { swapped: false, disks: [told('vda', { swapped: false }), told('vdb', { swapped: false })] };
const failure = (code: string): RestoreFacts['error'] => ({ code, message: `${code} it was` });

const settle = (ended: Partial<EndedRestore> = {}, plan: Partial<RestorePlan> = {}) =>
  settleRestore({ ...PLAN, ...plan }, { exit: 0, facts: facts(), stderr: '', putRight: null, ...ended });

describe('settleRestore', () => {
  it('every disk compared and in place: a success', () => {
    expect(settle()).toEqual({
      ...{ state: 'succeeded', code: null, sentence: null, identical: true, vmTouched: true, warnings: [] },
    });
    expect(settle({ facts: facts(NOT_SWAPPED) }, { way: 'new-disks' })).toMatchObject({ state: 'succeeded', vmTouched: false });
  });

  it('nothing but a comparison of every disk of the plan makes it one', () => {
    const with_ = (disks: ToldDisk[]) => settle({ facts: facts({ disks }) });
    expect(with_([told('vda'), told('vdb', { identical: null })])).toMatchObject({
      code: 'restore-not-compared',
      identical: null,
    });
    expect(with_([told('vda')])).toMatchObject({ code: 'restore-not-compared', identical: null });
    expect(with_([told('vda', { identical: null }), told('vdb', { identical: false })])).toMatchObject({
      ...{ state: 'failed', code: 'restore-not-compared', identical: false },
    });
  });

  it.each<[string, Partial<RestorePlan>, Partial<RestoreFacts>, RegExp]>([
    ['the old volumes', {}, NOT_SWAPPED, /old volumes/],
    ['no new VM', { way: 'new-domain', newName: 'copy' }, {}, /no VM copy/],
    ['another new VM', { way: 'new-domain', newName: 'copy' }, { domain: { name: 'else', uuid: 'u' } }, /no VM copy/],
    ['no disk attached', { way: 'new-disks', attachTo: 'other' }, {}, /not attached to other/],
    [
      'attached elsewhere',
      { way: 'new-disks', attachTo: 'other' },
      { attached: { vm: 'x', target: 'vdb' } },
      /not attached to other/,
    ],
  ])('ended well, but there is %s', (_what, plan, over, words) => {
    expect(settle({ facts: facts(over) }, plan)).toMatchObject({
      ...{ state: 'failed', code: 'restore-incomplete', sentence: expect.stringMatching(words) as string },
    });
  });

  it('a new VM, an attached disk: a success when they are there', () => {
    expect(settle({ facts: facts({ domain: { name: 'copy', uuid: 'u' } }) }, { way: 'new-domain', newName: 'copy' }).state).toBe(
      'succeeded',
    );
    expect(settle({ facts: facts({ attached: { vm: 'o', target: 'vdb' } }) }, { way: 'new-disks', attachTo: 'o' }).state).toBe(
      'succeeded',
    );
  });

  it('an error of the script is the run’s; cancelled is its own state', () => {
    expect(settle({ exit: 1, facts: facts({ ...NOT_SWAPPED, error: failure('target-full') }) })).toMatchObject({
      ...{ state: 'failed', code: 'target-full', sentence: 'target-full it was', vmTouched: false },
    });
    expect(settle({ exit: 1, facts: facts({ ...NOT_SWAPPED, error: failure('job-cancelled') }) })).toMatchObject({
      ...{ state: 'cancelled', code: 'job-cancelled', vmTouched: false },
    });
    // An exit of 0 does not take an error back.
    expect(settle({ facts: facts({ error: failure('swap-failed') }) }).code).toBe('swap-failed');
    expect(settle({ exit: 20, stderr: ' something stayed \n' })).toMatchObject({
      ...{ code: 'script-failed', sentence: expect.stringContaining('exit 20: something stayed') as string },
    });
  });

  it('without a word or an end: what the host made of it counts, and unknown stays unknown', () => {
    expect(settle({ facts: null, stderr: '' })).toMatchObject({ code: 'restore-silent', vmTouched: null, identical: null });
    const lost = (putRight: EndedRestore['putRight'], way: RestorePlan['way'] = 'in-place') =>
      settle({ exit: null, facts: null, putRight }, { way });
    expect(lost('rolled-back')).toMatchObject({ state: 'failed', code: 'outcome-lost', vmTouched: false });
    expect(lost('finished')).toMatchObject({ state: 'failed', code: 'outcome-lost', vmTouched: true });
    expect(lost(null)).toMatchObject({ state: 'failed', code: 'outcome-lost', vmTouched: null });
    expect(lost(null, 'new-disks').vmTouched).toBe(false);
    expect([lost('rolled-back'), lost('finished'), lost(null)].map(({ sentence }) => sentence?.split('; ')[1])).toEqual([
      'what it had begun was put back.',
      'every disk had been put in place, and stays there.',
      'what became of the disks is not known.',
    ]);
  });

  it('the VM’s volumes: others as soon as one was swapped, unknown where something could not be put back', () => {
    const half = { swapped: false, disks: [told('vda'), told('vdb', { swapped: false })], error: failure('swap-failed') };
    expect(settle({ exit: 1, facts: facts(half) }).vmTouched).toBe(true);
    const left = { ...NOT_SWAPPED, error: failure('swap-failed'), cleanup: { ok: false, left: ['/pool/vda: busy'] } };
    expect(settle({ exit: 20, facts: facts(left) })).toMatchObject({
      ...{ vmTouched: null, warnings: ['left behind on the host: /pool/vda: busy'] },
    });
  });

  it('what could not be read has nothing to be compared with: a success of a salvage only, and said', () => {
    const accepted = { level: 'broken', by: 'ops', why: 'nothing else is left' } as const;
    const part = facts({
      disks: [told('vda'), told('vdb', { identical: null, unread: 512 })],
      damaged: ['vdb: 512 bytes are zeroes'],
    });
    expect(settle({ facts: part }, { accepted })).toMatchObject({
      ...{ state: 'succeeded', identical: null, warnings: ['vdb: 512 bytes are zeroes'] },
    });
    expect(settle({ facts: part }, { accepted: { ...accepted, level: 'unproven' } }).code).toBe('restore-not-compared');
    for (const over of [{ identical: null }, { identical: null, unread: 0 }, { identical: false, unread: 512 }])
      expect(settle({ facts: facts({ disks: [told('vda'), told('vdb', over)] }) }, { accepted }).code).toBe(
        'restore-not-compared',
      );
  });

  it('says which files nobody has hashed yet', () => {
    const disks = [told('vda', { hashed: 1 }), told('vdb', { links: 3, hashed: null })];
    expect(settle({ facts: facts({ disks }) })).toMatchObject({
      state: 'succeeded',
      warnings: [
        'vda: not hashed: 1 of the 2 files it was read from have no checksum yet',
        'vdb: not hashed: 3 of the 3 files it was read from have no checksum yet',
      ],
    });
    expect(settle({ facts: facts({ disks: [told('vda', { links: null, hashed: null }), told('vdb')] }) }).warnings).toEqual([]);
  });

  it('looks at every disk by its own name', () => {
    const disks = ['vda', 'vdb', 'vdc'].map((target) => ({ ...PLAN.disks[0]!, target }));
    const accepted = { level: 'broken', by: 'ops', why: 'nothing else is left' } as const;
    const came = (last: Partial<ToldDisk>, over: Partial<RestorePlan> = {}): object =>
      settle({ facts: facts({ disks: [told('vda'), told('vdb'), told('vdc', last)] }) }, { disks, ...over });
    expect(came({})).toMatchObject({ state: 'succeeded', identical: true });
    expect(came({ identical: false })).toMatchObject({ code: 'restore-not-compared', identical: false });
    expect(came({ identical: null }, { accepted })).toMatchObject({ code: 'restore-not-compared', identical: null });
    expect(settle({ facts: facts() }, { disks, accepted })).toMatchObject({ code: 'restore-not-compared', identical: null });
  });

  it('hands on the last words of a script', () => {
    const said = (ended: Partial<EndedRestore>): string | null => settle(ended).sentence;
    expect(said({ exit: 1, facts: null, stderr: `first${'x'.repeat(499)}.` })).toBe(
      `The host script left no facts (exit 1): ${'x'.repeat(499)}.`,
    );
    expect(said({ exit: 9 })).toBe('The host script ended with exit 9: it said nothing');
    expect(said({ facts: facts({ disks: [] }) })).toBe(
      'The host script ended well, but not every disk was compared with its chain.',
    );
  });
});
