import { startScript } from '../support/node-script';

it('loads the compiled driver for this Node and no other', async () => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const version = major > 22 || (major === 22 && minor >= 14) ? 'better-sqlite3-13' : 'better-sqlite3';
  const { code, out, err } = await startScript('test/persistence/child/loaded-driver.ts', []).end();
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out.match(/node_modules\/[^/]+/g)).toEqual([`node_modules/${version}`]);
});
