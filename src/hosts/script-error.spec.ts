import type { HostAccess } from './host-access';
import { redact } from './redact';
import { scriptError } from './script-error';

const host = { name: 'kvm1', user: 'chainkeeper', scriptPath: '/opt/nasbackup.sh' } as HostAccess;
const result = (parts: object) => ({ stdout: '', stderr: '', exit: 1, signal: null, truncated: false, ...parts });

describe('scriptError', () => {
  test.each([
    [
      'the script’s own failure',
      { stdout: '{"v":1,"error":{"code":"vm-busy","message":"Another operation"}}\n' },
      'host.script-failed',
      'vm-busy',
    ],
    ['no exit code', { exit: null, stderr: 'half a wo' }, 'host.outcome-unknown', undefined],
    ['sudo asks for a password', { stderr: 'sudo: a password is required\n' }, 'host.sudo-refused', undefined],
    ['sudo finds no file', { stderr: 'sudo: /opt/nasbackup.sh: command not found\n' }, 'host.script-missing', undefined],
    ['root finds no file', { exit: 127, stderr: 'sh: 1: /opt/nasbackup.sh: not found\n' }, 'host.script-missing', undefined],
    ['something else', { exit: 3, stderr: 'Killed\n' }, 'host.script-failed', null],
    ['not a word', { exit: 3 }, 'host.script-failed', null],
    ['JSON of somebody else', { stdout: '[1]' }, 'host.script-failed', null],
  ])('%s', (_what, parts, code, script) => {
    const error = scriptError(host, 'inspect', result(parts));
    expect([error.code, error.facts['script']]).toEqual([code, script]);
    expect(error.facts['stderr']).toBe((parts as { stderr?: string }).stderr ?? '');
    expect(error.message).not.toBe('');
  });

  test('secrets that a program repeats are taken out of everything that is shown', () => {
    const secrets = { mountOptions: 'vers=3,password=s3cret', credentials: { username: 'u', password: 'pa55' } };
    const error = scriptError(
      host,
      'start',
      result({ stderr: 'mount: bad option password=s3cret for pa55', stdout: 'pa55' }),
      secrets,
    );
    const shown = JSON.stringify([error.message, error.facts, error.next]);
    expect(shown).not.toMatch(/s3cret|pa55/);
    expect(shown).toContain('***');
    expect(redact('pa55', undefined)).toBe('pa55');
  });
});
