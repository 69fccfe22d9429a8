import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasEnded, RUN_ACTORS, RUN_MOVES, RUN_STATES } from '../../src/domain/run/run-state';

const page = readFileSync(join(__dirname, '../../docs/runs.md'), 'utf8');

describe('docs/runs.md', () => {
  it('draws every move of a run and no other', () => {
    const [, drawn = ''] = /```mermaid\nstateDiagram-v2\n([^]*?)\n```/.exec(page) ?? [];
    expect(drawn.split('\n').map((line) => line.trim())).toEqual([
      '[*] --> queued',
      ...RUN_MOVES.map(({ from, to, by, what }) => `${from} --> ${to}: ${by} ${what}`),
      ...RUN_STATES.filter(hasEnded).map((state) => `${state} --> [*]`),
    ]);
  });

  it('says who they are that make them', () => {
    const [, ...rows] = [...page.matchAll(/^\| (\w+) \| /gm)].map(([, who]) => who);
    expect(rows.slice(0, RUN_ACTORS.length)).toEqual([...RUN_ACTORS]);
  });
});
