// Three projects: `unit` needs nothing but Node; `contract` runs port suites on real files and processes (root, python3, util-linux); `lab` needs root and the throwaway node of hack/lab.
const project = (displayName, testMatch) => ({
  displayName,
  testMatch,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/test/strip-types.mjs' },
  moduleFileExtensions: ['ts', 'mjs', 'js', 'json'],
});

export default {
  testTimeout: 120_000,
  projects: [
    project('unit', ['<rootDir>/test/unit/**/*.test.ts']),
    project('contract', ['<rootDir>/test/contract/**/*.test.ts']),
    project('lab', ['<rootDir>/test/lab/**/*.test.ts']),
  ],
};
