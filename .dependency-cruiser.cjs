// The boundaries of docs/ARCHITECTURE.md, as rules. `npm run boundaries` fails on the first arrow that should not be there.
const only = (name, from, allowed, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from },
  to: { pathNot: allowed },
});
const npm = (names) => `node_modules/(${names.join('|')})/`;
const core = (modules) => `^(node:)?(${modules.join('|')})$`;

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: '^src/(main|codegen/.*)\\.ts$' },
      to: {},
    },
    only(
      'api-imports-zod-only',
      '^src/api/',
      ['^src/api/', npm(['zod'])],
      'api is the contract: zod and nothing else',
    ),
    only('domain-is-pure', '^src/domain/', ['^src/(domain|api)/'], 'domain decides; it imports api only'),
    only('ports-are-interfaces', '^src/ports/', ['^src/(ports|api)/'], 'ports import api only'),
    only(
      'engine-acts-through-ports',
      '^src/node-engine/',
      ['^src/(node-engine|domain|ports|api)/', npm(['zod'])],
      'the node engine reaches the world through ports; zod checks its state documents',
    ),
    only(
      'machinery-knows-no-kind',
      '^src/machinery/',
      ['^src/(machinery|ports)/', '^src/api/kube-object\\.ts$'],
      'machinery is a controller runtime: it knows ports, and no kind by name',
    ),
    {
      name: 'adapters-stand-alone',
      severity: 'error',
      from: { path: '^src/adapters/([^/]+)/' },
      to: { path: '^src/', pathNot: ['^src/adapters/$1/', '^src/adapters/errno[.]ts$', '^src/(ports|api)/'] },
    },
    {
      name: 'programs-do-not-import-each-other',
      severity: 'error',
      from: { path: '^src/(agent|controller|cli)/' },
      to: { path: '^src/(agent|controller|cli)/', pathNot: '^src/$1/' },
    },
    {
      name: 'nothing-imports-codegen',
      severity: 'error',
      from: { pathNot: '^src/codegen/' },
      to: { path: '^src/codegen/' },
    },
    {
      name: 'src-imports-no-test',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|hack|bench)/' },
    },
    {
      name: 'fs-only-at-the-edge',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: '^src/(adapters/(archives|host|proc|runtimes|process|policy-folder)|codegen)/',
      },
      to: { path: core(['fs', 'fs/promises']) },
    },
    {
      name: 'child-process-only-in-adapters-process',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/adapters/process/' },
      to: { path: core(['child_process', 'worker_threads', 'cluster']) },
    },
    {
      name: 'pino-only-in-adapters-log',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/adapters/log/' },
      to: { path: npm(['pino']) },
    },
    {
      name: 'prom-only-in-adapters-metrics',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/adapters/metrics/' },
      to: { path: npm(['prom-client']) },
    },
    {
      name: 'ini-only-in-adapters-ini',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/adapters/ini/' },
      to: { path: npm(['ini']) },
    },
    {
      name: 'croner-only-in-adapters-cron',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/adapters/cron/' },
      to: { path: npm(['croner']) },
    },
    {
      name: 'kubernetes-client-only-in-adapters-kube',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/adapters/kube/' },
      to: { path: npm(['@kubernetes/client-node', 'undici']) },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.mjs', '.js', '.json'],
    },
  },
};
