import type { RunDto } from '../runs/dto/run.dto';
import { runText } from './runs';

describe('a run for people', () => {
  const RUN: RunDto = {
    ...{
      id: 'r',
      vmId: 'v',
      vm: 'i-2-7-VM',
      kind: 'backup',
      state: 'queued',
      attempt: 1,
      notBefore: null,
      waits: null,
      stuck: null,
      trigger: 'rest',
      cause: null,
      plannedKind: null,
      reason: null,
    },
    ...{
      backupId: null,
      progress: null,
      bandwidth: null,
      errorCode: null,
      errorMessage: null,
      warnings: [],
      exitCode: null,
      abortAsked: null,
    },
    ...{ created: '2026-04-27T13:45:00.000Z', started: null, ended: null },
  };

  it('says why the service asked for it, where it did', () => {
    expect(runText(RUN)).toBe('run r: queued');
    expect(runText({ ...RUN, trigger: 'service', cause: 'A hole.' })).toBe('run r: queued\nasked for by the service: A hole.');
  });

  it('says the limit that it keeps', () => {
    expect(runText({ ...RUN, bandwidth: 8 })).toBe('run r: queued\nat most 8 MiB a second');
  });

  it('says what it waits for, and that it was tried before', () => {
    const error = { errorCode: 'host.busy', errorMessage: 'No.', warnings: ['attempt 1 of 5 failed'] };
    expect(runText({ ...RUN, attempt: 2, waits: 'waits for host h', ...error })).toBe(
      'run r: queued\nattempt 2\nit waits for host h\nerror: No. (host.busy)\nwarning: attempt 1 of 5 failed',
    );
  });
});
