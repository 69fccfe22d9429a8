import { BadRequestException, NotFoundException } from '@nestjs/common';
import { InvariantError, OperationalError, UserError } from '../domain/errors';
import { toProblem } from './problem';

describe('toProblem', () => {
  it.each([
    [new UserError('vm.not-found', 'not-found', 'x'), 404, 'vm.not-found'],
    [new UserError('vm.bad-name', 'invalid', 'x'), 400, 'vm.bad-name'],
    [new UserError('vm.busy', 'busy', 'x'), 423, 'vm.busy'],
    [new UserError('restore.unproven', 'refused', 'x'), 409, 'restore.unproven'],
    [new OperationalError('host.unreachable', 'unreachable', 'x'), 503, 'host.unreachable'],
    [new OperationalError('host.failed', 'failed', 'x'), 502, 'host.failed'],
    [new InvariantError('chain.cycle', 'x'), 500, 'chain.cycle'],
    [new NotFoundException('Cannot PUT /api/v1/vms'), 404, 'request.no-route'],
    [new BadRequestException("Failed to decode param '%zz'"), 400, 'request.malformed'],
    [new UserError('request.too-large', 'invalid', 'x'), 413, 'request.too-large'],
    [new UserError('request.media-type', 'invalid', 'x'), 415, 'request.media-type'],
    [new TypeError('secret inside'), 500, 'internal.fault'],
  ])('%s', (error, status, code) => {
    expect(toProblem(error, 'req-1')).toMatchObject({ status, code, type: `urn:chainkeeper:${code}`, requestId: 'req-1' });
  });

  it('keeps the text of an unknown error and the cause of a known one to the log', () => {
    expect(JSON.stringify(toProblem(new TypeError('hunter22')))).not.toContain('hunter22');
    const cause = new Error('mount -o password=hunter22');
    expect(JSON.stringify(toProblem(new OperationalError('nas.mount', 'failed', 'x', { cause })))).not.toContain('hunter22');
  });

  it('always says what to do next, in words of its own where the error has none', () => {
    const kinds = ['invalid', 'not-found', 'unauthorized', 'conflict', 'refused', 'busy'] as const;
    const errors = [...kinds.map((kind) => new UserError('a.b', kind, 'x')), new InvariantError('a.b', 'x'), new Error('x')];
    for (const error of errors) expect(toProblem(error).next).toMatch(/^[A-Z].+\.$/);
  });

  it('says what to do next and shows the facts', () => {
    const error = new UserError('vm.busy', 'busy', 'x', { next: 'Wait.', facts: { runId: '1' } });
    expect(toProblem(error)).toMatchObject({ next: 'Wait.', facts: { runId: '1' } });
  });
});
