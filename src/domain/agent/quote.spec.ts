import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { quote, quoteCommand } from './quote';

const SHELLS = ['/bin/sh', '/bin/bash'];

/** What the shell makes of these arguments: one process for all, because each costs a millisecond. */
function through(shell: string, args: readonly string[]): string[] {
  const script = `${quoteCommand(['printf', '%s\\0', ...args])}\n`;
  const { stdout, stderr, status } = spawnSync(shell, [], { input: script, env: { HOME: '/nowhere', x: 'EXPANDED' } });
  expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' });
  return stdout.toString().split('\0').slice(0, -1);
}

const NASTY = [
  '',
  ' ',
  "'",
  "''",
  "it's",
  `'"'"'`,
  '"',
  '\\',
  "\\'",
  '$x',
  '${x}',
  '$(id)',
  '`id`',
  '; id',
  '| id',
  '& id &',
  '&& id',
  '> /tmp/x',
  '< /dev/null',
  '\n',
  'a\nid\n',
  '\r\n',
  '\t',
  '*',
  '?',
  '[a-z]',
  '{a,b}',
  '~',
  '~root',
  '#',
  '!',
  '!!',
  '-n',
  '--',
  '-rf',
  '%s%n',
  '\u0001\u007f',
  'é',
  '€',
  '😀',
  '\ufeff',
  '\u2028',
  'EOF',
  "'; rm -rf / #",
];

describe.each(SHELLS)('quote, through %s', (shell) => {
  it('brings every nasty text there as it was', () => {
    expect(through(shell, NASTY)).toEqual(NASTY);
  });

  it('brings any text there as it was', () => {
    const text = fc.oneof(
      fc.string({ unit: fc.constantFrom(...`'"\\$\`!*?[]{}()<>|&;#~ \t\nab=-`), maxLength: 12 }),
      fc.string({ unit: 'binary', maxLength: 40 }).filter((value) => !value.includes('\0')),
    );
    fc.assert(
      fc.property(fc.array(text, { minLength: 300, maxLength: 300 }), (args) => {
        expect(through(shell, args)).toEqual(args);
      }),
      { numRuns: 5 },
    );
  });
});

describe('quote', () => {
  it.each(['\0', 'a\0b', '\ud800', 'a\udc00b'])('refuses what could not arrive as it is: %j', (text) => {
    expect(() => quote(text)).toThrow(expect.objectContaining({ family: 'user', code: 'argument.unsendable', kind: 'invalid' }));
  });

  it('keeps an empty argument, so that the next one is not taken for its value', () => {
    expect(quoteCommand(['-m', '', '-p', 'x'])).toBe("'-m' '' '-p' 'x'");
  });
});
