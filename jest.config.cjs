// One project per kind of test, so that `npm run test:unit` never needs a server and a
// report says which kind failed. Everything but `unit` uses real servers (test/README.md).
const base = {
  testEnvironment: 'node',
  transform: { '^.+\\.ts$': ['@swc/jest'] },
  // The imports that Node's own rules want with their extension (src/cli/serve.ts, src/cli/books.ts).
  moduleNameMapper: { '^\\.\\./(main|books-copies)\\.js$': '<rootDir>/src/$1.ts' },
  moduleFileExtensions: ['ts', 'js', 'json'],
  setupFiles: ['<rootDir>/test/support/setup.ts'],
  // Copies of the sources: what Stryker works on, and what is built.
  modulePathIgnorePatterns: ['<rootDir>/.stryker-tmp/', '<rootDir>/dist/'],
};

const patient = { setupFilesAfterEnv: ['<rootDir>/test/support/patience.ts'] };
const project = (displayName, testMatch, extra = {}) => ({ ...base, displayName, testMatch, ...extra });

module.exports = {
  projects: [
    project(
      'unit',
      ['src', 'test/unit', 'test/fuzz'].map((folder) => `<rootDir>/${folder}/**/*.spec.ts`),
    ),
    project('contract', ['<rootDir>/test/contract/**/*.spec.ts'], patient),
    project('persistence', ['<rootDir>/test/persistence/**/*.spec.ts'], patient),
    project('e2e', ['<rootDir>/test/e2e/**/*.spec.ts'], patient),
    project('faults', ['<rootDir>/test/faults/**/*.spec.ts'], patient),
  ],
};
