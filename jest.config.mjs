// Three projects: `unit` needs nothing but Node; `contract` runs port suites on real files and processes (root, python3, util-linux); `lab` needs root and the throwaway node of hack/lab; `kube` the throwaway Kubernetes of hack/kube.
const project = (displayName, testMatch) => ({
  displayName,
  testMatch,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/test/strip-types.mjs' },
  moduleFileExtensions: ['ts', 'mjs', 'js', 'json'],
});

export default {
  // For tests that hang, on any machine: each wait in a test has its own, shorter limit, and says what it was for.
  testTimeout: 600_000,
  projects: [
    project('unit', ['<rootDir>/test/unit/**/*.test.ts']),
    project('contract', ['<rootDir>/test/contract/**/*.test.ts']),
    {
      ...project('lab', ['<rootDir>/test/lab/**/*.test.ts']),
      globalSetup: '<rootDir>/test/lab/build-trees.mjs',
    },
    {
      ...project('kube', ['<rootDir>/test/kube/**/*.test.ts']),
      globalSetup: '<rootDir>/test/kube/build-trees.mjs',
    },
  ],
};
