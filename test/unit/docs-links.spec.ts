import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = join(__dirname, '../..');
const pages = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((page) => page !== '' && existsSync(join(root, page)));

/** Links and the paths in `code` that look like files of ours. */
function targets(page: string): string[] {
  const text = readFileSync(join(root, page), 'utf8');
  const links = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, link = '']) => join(dirname(page), link));
  const paths = [...text.matchAll(/`((?:src|docs|agent|test|scripts|migrations)\/[\w./-]+\.\w+)`/g)].map(([, path = '']) => path);
  return [...links.filter((link) => !/^\w+:/.test(link)), ...paths];
}

describe('documentation', () => {
  it('has pages', () => {
    expect(pages).toEqual(expect.arrayContaining(['README.md', 'docs/architecture.md']));
  });

  it.each(pages)('%s leads to files that are there', (page) => {
    expect(targets(page).filter((target) => !existsSync(join(root, target)))).toEqual([]);
  });
});
