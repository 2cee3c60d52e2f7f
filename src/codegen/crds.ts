// Writes crds/*.yaml from the kinds of src/api. `--check` fails when they are out of date.
import { KIND_DEFINITIONS } from '../api/kinds.ts';
import { crdOf } from './crd.ts';
import { printYaml, putFiles } from './generated-file.ts';

const GENERATED = '# Made from src/api by "npm run crds". Do not edit.\n';

await putFiles(
  KIND_DEFINITIONS.map((kind) => ({
    path: `crds/${kind.resource.plural}.yaml`,
    text: GENERATED + printYaml(crdOf(kind)),
  })),
  { check: process.argv.includes('--check'), command: 'npm run crds' },
);
