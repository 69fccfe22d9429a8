/** Arrows point one way: features and engine -> domain, database, hosts, platform; domain -> nothing. */
module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      comment: 'A circle means that two files are one and hide it. Types alone leave nothing behind at run time.',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'domain-is-pure',
      severity: 'error',
      // croner only computes (test/unit/purity.spec.ts says more).
      comment: 'Decisions about data must be testable by the million and explainable: no framework, no I/O, no other layer.',
      from: { path: '^src/domain', pathNot: '\\.(spec|fuzz)\\.ts$' },
      to: { pathNot: '^(src/domain|node_modules/croner/)' },
    },
    {
      name: 'platform-knows-no-feature',
      severity: 'error',
      comment: 'Config, logs and errors serve every feature and depend on none.',
      from: { path: '^src/platform' },
      to: { path: '^src/(?!platform|domain)' },
    },
    {
      name: 'adapters-know-no-feature',
      severity: 'error',
      comment: 'Database and hosts are carried by features, never the other way round.',
      from: { path: '^src/(database|hosts)/' },
      to: { path: '^src/(?!database|hosts|domain|platform)' },
    },
    {
      name: 'database-and-hosts-apart',
      severity: 'error',
      comment: 'What a host says reaches the books only through a decision.',
      from: { path: '^src/database' },
      to: { path: '^src/hosts' },
    },
    {
      name: 'cli-speaks-http',
      severity: 'error',
      comment: 'The command line is a client of the API; it never opens the books of a running service.',
      from: { path: '^src/cli/' },
      // The shapes of the API's answers are shared; they leave nothing behind at run time.
      to: {
        path: '^src/(database|engine|backups|bitmaps|chains|inventory|audit|runs|upkeep)/',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'one-place-chooses-the-sqlite-driver',
      severity: 'error',
      comment: 'The wrong version for a Node ends the process; see docs/adr/0008.',
      from: { pathNot: '^src/database/sqlite-driver\\.ts$' },
      to: { path: 'better-sqlite3', pathNot: '\\.d\\.ts$', dependencyTypesNot: ['local'] },
    },
    {
      name: 'src-does-not-import-test',
      severity: 'error',
      comment: 'The product does not need its tests.',
      from: { path: '^(src|migrations)', pathNot: '\\.(spec|fuzz)\\.ts$' },
      to: { path: '^test' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
  },
};
