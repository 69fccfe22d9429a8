#!/usr/bin/env node
// The command as installed. It only finds the built program: `npm ci` in a clone builds it (script "prepare").
'use strict';
const { existsSync } = require('node:fs');
const { join } = require('node:path');

const program = join(__dirname, '../dist/src/cli.js');
if (!existsSync(program)) {
  process.stderr.write('chainkeeper is not built yet. In its folder run: npm run setup\n');
  process.exit(1);
}
require(program);
