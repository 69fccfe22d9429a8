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
      trigger: 'rest',
      cause: null,
      plannedKind: null,
      reason: null,
    },
    ...{ backupId: null, progress: null, errorCode: null, errorMessage: null, warnings: [], exitCode: null, abortAsked: null },
    ...{ created: '2026-04-27T13:45:00.000Z', started: null, ended: null },
  };

  it('says why the service asked for it, where it did', () => {
    expect(runText(RUN)).toBe('run r: queued');
    expect(runText({ ...RUN, trigger: 'service', cause: 'A hole.' })).toBe('run r: queued\nasked for by the service: A hole.');
  });
});
