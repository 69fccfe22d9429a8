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
    [new NotFoundException('no route'), 404, 'http.404'],
    [new BadRequestException('broken JSON'), 400, 'http.400'],
    [new TypeError('secret inside'), 500, 'internal.fault'],
  ])('%s', (error, status, code) => {
    expect(toProblem(error, 'req-1')).toMatchObject({ status, code, type: `urn:chainkeeper:${code}`, requestId: 'req-1' });
  });

  it('keeps the text of an unknown error and the cause of a known one to the log', () => {
    expect(JSON.stringify(toProblem(new TypeError('hunter22')))).not.toContain('hunter22');
    const cause = new Error('mount -o password=hunter22');
    expect(JSON.stringify(toProblem(new OperationalError('nas.mount', 'failed', 'x', { cause })))).not.toContain('hunter22');
  });

  it('says what to do next and shows the facts', () => {
    const error = new UserError('vm.busy', 'busy', 'x', { next: 'Wait.', facts: { runId: '1' } });
    expect(toProblem(error)).toMatchObject({ next: 'Wait.', facts: { runId: '1' } });
  });
});
