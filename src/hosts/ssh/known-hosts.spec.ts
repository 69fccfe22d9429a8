import { createHmac } from 'node:crypto';
import { entriesFor, fingerprintOf, judgeKey, keyTypeOf } from './known-hosts';

const wire = (type: string, body: string): Buffer => {
  const part = (text: string): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    return Buffer.concat([length, Buffer.from(text)]);
  };
  return Buffer.concat([part(type), part(body)]);
};
const key = wire('ssh-ed25519', 'k'.repeat(32));
const other = wire('ssh-ed25519', 'o'.repeat(32));
const rsa = wire('ssh-rsa', 'r'.repeat(64));
const line = (hosts: string, of: Buffer = key): string => `${hosts} ${keyTypeOf(of)} ${of.toString('base64')}`;
const judge = (text: string, address = 'kvm1.example', port = 22): string => judgeKey(entriesFor(text, address, port), key);

describe('known hosts', () => {
  test.each([
    ['its own name', line('kvm1.example'), 'known'],
    ['one of several names', line('10.0.0.1,kvm1.example'), 'known'],
    ['another case', line('KVM1.Example'), 'known'],
    ['a wildcard', line('*.example'), 'known'],
    ['a single unknown letter', line('kvm?.example'), 'known'],
    ['a dot is no wildcard', line('kvm1xexample'), 'unknown'],
    ['a wildcard that is taken back', line('*.example,!kvm1.example'), 'unknown'],
    ['another port', line('[kvm1.example]:2222'), 'unknown'],
    ['another key', line('kvm1.example', other), 'changed'],
    ['a key of another type', line('kvm1.example', rsa), 'changed'],
    ['two keys, one of them ours', `${line('kvm1.example', other)}\n${line('kvm1.example')}`, 'known'],
    ['a revoked key', `${line('kvm1.example')}\n@revoked ${line('*')}`, 'revoked'],
    ['another revoked key', `${line('kvm1.example')}\n@revoked ${line('*', other)}`, 'known'],
    ['a certificate authority', `@cert-authority ${line('*')}`, 'unknown'],
    ['a comment', `# ${line('kvm1.example')}`, 'unknown'],
    ['a broken line', 'kvm1.example ssh-ed25519', 'unknown'],
    ['Windows line ends', `${line('kvm1.example')}\r\n`, 'known'],
    ['nothing', '', 'unknown'],
  ])('%s', (_what, text, verdict) => {
    expect(judge(text)).toBe(verdict);
  });

  test('a port beside 22 is part of the name, plain and hashed', () => {
    const salt = Buffer.from('salt-salt-salt-salt-');
    const hash = createHmac('sha1', salt).update('[kvm1.example]:2222').digest('base64');
    expect(judge(line('[kvm1.example]:2222'), 'kvm1.example', 2222)).toBe('known');
    expect(judge(line(`|1|${salt.toString('base64')}|${hash}`), 'kvm1.example', 2222)).toBe('known');
    expect(judge(line(`|1|${salt.toString('base64')}|${hash}`), 'kvm1.example', 22)).toBe('unknown');
  });

  test('a fingerprint looks as ssh-keygen prints it', () => {
    expect(fingerprintOf(key)).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
    expect(keyTypeOf(key)).toBe('ssh-ed25519');
    expect(keyTypeOf(Buffer.alloc(2))).toBe('');
  });
});
