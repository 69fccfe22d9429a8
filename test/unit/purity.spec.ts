import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import ts from 'typescript';

/**
 * The domain decides what becomes of people's data. It is tested by the million and must be explainable afterwards from
 * what went in: so it sees nothing of the world, and each ban says what would be lost.
 */
const ROOT = resolve(__dirname, '../..');
const DOMAIN = join(ROOT, 'src/domain');

const BANNED_NAMES: Readonly<Record<string, string>> = {
  process: 'a decision must not depend on the environment it is made in',
  fetch: 'facts come in as arguments, asked for and recorded by somebody else',
  setTimeout: 'a decision has no duration',
  setInterval: 'a decision has no duration',
  setImmediate: 'a decision has no duration',
  console: 'what is to be said is returned, so that it can be recorded and tested',
  require: 'imports are static, so that this test sees them',
  performance: 'the domain has no clock: time comes in as an argument',
  crypto: 'the domain has no chance: ids come in as arguments',
  globalThis: 'it would be a way around this list',
};

const BANNED_MEMBERS: Readonly<Record<string, string>> = {
  'Date.now': 'the domain has no clock: time comes in as an argument',
  'Math.random': 'the domain has no chance: ids come in as arguments',
};

/** What the domain may stand on nevertheless: the one file that does, and why that is no harm. */
const ALLOWED: Readonly<Record<string, { readonly by: string; readonly why: string }>> = {
  croner: {
    by: 'schedule/cron-of.ts',
    why: 'dates from a pattern: without a function to call it sets no timer, and asked for what comes after a moment it goes by that alone',
  },
};

const files = readdirSync(DOMAIN, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !/\.(spec|fuzz)\.ts$/.test(name))
  .map((name) => join(DOMAIN, name));

/** What a source does that it must not, each with its reason. */
function impurities(path: string, text: string): string[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier)
      found.push(...importFault(path, node.moduleSpecifier.getText().slice(1, -1)));
    if (ts.isImportEqualsDeclaration(node)) found.push('import =: imports are static, so that this test sees them');
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      found.push('import(): imports are static, so that this test sees them');
    if (ts.isNewExpression(node) && node.expression.getText() === 'Date' && (node.arguments?.length ?? 0) === 0)
      found.push(`new Date(): ${BANNED_MEMBERS['Date.now']}`);
    if (ts.isCallExpression(node) && node.expression.getText() === 'Date') found.push(`Date(): ${BANNED_MEMBERS['Date.now']}`);
    if (ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)) {
      const member = ts.isPropertyAccessExpression(node) ? node.name.text : node.argumentExpression.getText().slice(1, -1);
      const reason = BANNED_MEMBERS[`${node.expression.getText()}.${member}`];
      if (reason !== undefined) found.push(`${node.getText()}: ${reason}`);
    }
    if (ts.isIdentifier(node) && Object.hasOwn(BANNED_NAMES, node.text) && isReference(node))
      found.push(`${node.text}: ${BANNED_NAMES[node.text]}`);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function importFault(path: string, specifier: string): string[] {
  if (Object.hasOwn(ALLOWED, specifier) && relative(DOMAIN, path) === ALLOWED[specifier]?.by) return [];
  if (!specifier.startsWith('.')) return [`import of ${specifier}: the domain stands on nothing, no framework and no I/O`];
  const target = relative(DOMAIN, resolve(path, '..', specifier));
  return target.startsWith('..') ? [`import of ${specifier}: arrows point into the domain, none points out of it`] : [];
}

/** A name that stands for itself: not a member, not the key of an object, not a field of a type. */
function isReference(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  const named =
    ts.isPropertyAssignment(parent) ||
    ts.isPropertySignature(parent) ||
    ts.isPropertyDeclaration(parent) ||
    ts.isMethodDeclaration(parent) ||
    ts.isBindingElement(parent) ||
    ts.isParameter(parent);
  return !named;
}

describe('the domain', () => {
  it('is found where this test looks', () => {
    expect(files.map((path) => relative(DOMAIN, path))).toEqual(
      expect.arrayContaining(['errors.ts', 'chain/decide-backup.ts', 'chain/settle-backup.ts']),
    );
  });

  it.each(files.map((path) => [relative(DOMAIN, path), path] as const))('is pure: %s', (_name, path) => {
    expect(impurities(path, readFileSync(path, 'utf8'))).toEqual([]);
  });
});

// A watchman who never cries proves nothing.
describe('the purity test', () => {
  const here = join(DOMAIN, 'chain/sample.ts');

  it.each([
    ["import { readFileSync } from 'node:fs';", 'import of node:fs'],
    ["import fs from 'fs';", 'import of fs'],
    ["import { Injectable } from '@nestjs/common';", 'import of @nestjs/common'],
    ["import type { Entity } from 'typeorm';", 'import of typeorm'],
    ["import { Cron } from 'croner';", 'import of croner'],
    ["import { VmRow } from '../../database/entities/vm-row';", 'import of ../../database'],
    ["export * from '../../platform/log';", 'import of ../../platform'],
    ["const fs = require('node:fs');", 'require'],
    ["const fs = await import('node:fs');", 'import()'],
    ["import fs = require('fs');", 'import ='],
    ['const now = Date.now();', 'Date.now'],
    ["const now = Date['now']();", "Date['now']"],
    ['const clock = Date.now;', 'Date.now'],
    ['const now = new Date();', 'new Date()'],
    ['const now = new Date;', 'new Date()'],
    ['const now = Date();', 'Date()'],
    ['const id = Math.random();', 'Math.random'],
    ['const id = crypto.randomUUID();', 'crypto'],
    ['if (process.env.X) {}', 'process'],
    ['globalThis.process.exit()', 'globalThis'],
    ['console.log(1)', 'console'],
    ['setTimeout(f, 1)', 'setTimeout'],
  ])('sees %s', (text, start) => {
    expect(impurities(here, text)).toEqual(expect.arrayContaining([expect.stringContaining(start)]));
  });

  it.each([
    "import { UserError } from '../errors';",
    "import type { Facts } from '../agent/facts';",
    'const date = new Date(epoch * 1000);',
    'const at = Date.parse(text);',
    'const { process: step } = { process: 1 };',
    'interface X { readonly process: string }',
    'const x = facts.process;',
  ])('lets %s pass', (text) => expect(impurities(here, text)).toEqual([]));
});
