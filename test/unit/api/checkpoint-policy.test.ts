import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseAllDocuments } from 'yaml';
import { parseCheckpointPolicy } from '../../../src/api/checkpoint-policy.ts';
import { printFieldProblem } from '../../../src/api/field-problem.ts';
import { aPolicyDocument, aTarget } from '../../builders/policies.ts';

const problemsOf = (document: unknown): string[] => {
  const parsed = parseCheckpointPolicy(document);
  return parsed.ok ? [] : parsed.problems.map(printFieldProblem);
};
const withTarget = (changes: Record<string, unknown>): unknown =>
  aPolicyDocument({ targets: [aTarget(changes)] });
const withLimit = (ghostLimit: unknown): unknown => withTarget({ ghostLimit });
const withSelector = (selector: unknown): unknown => withTarget({ selector });
const withSchedule = (checkpoint: Record<string, unknown>): unknown =>
  aPolicyDocument({ checkpoint: { schedule: '0 * * * *', ...checkpoint } });

const T = 'spec.targets[0]';
const LIMIT = `${T}.ghostLimit`;
const QUANTITY = 'must be a quantity such as "3Mi", or a whole number of bytes such as 3145728';
const NAME = 'must be a name: lower-case letters, digits and "-", at most 63 characters';
const LABEL_KEY = 'must be a label key: letters, digits, "-", "_", ".", with an optional "prefix/"';
const LABEL_VALUE = 'must be a label value: at most 63 letters, digits, "-", "_" or "."';
const LEAST = 'must be at least 1Mi, what CRIU allows without any setting';
const OPTIONS =
  'must be one of TcpEstablished, TcpClose, TcpSkipInFlight, FileLocks, LinkRemap, ExtUnixSockets, ShellJob';

describe('a policy that is wrong: each message names the field, the value and what to do', () => {
  test.each<[string, unknown, string[]]>([
    ['no document', null, ['null: must be a mapping: write {} for one without fields']],
    ['a list', [1], ['[1]: must be a mapping']],
    [
      'another apiVersion',
      { ...aPolicyDocument(), apiVersion: 'v1' },
      ['apiVersion: "v1": must be "ghostlimit.dev/v1alpha1"'],
    ],
    ['another kind', { ...aPolicyDocument(), kind: 'Pod' }, ['kind: "Pod": must be "CheckpointPolicy"']],
    ['no spec', { ...aPolicyDocument(), spec: undefined }, ['spec: is missing: must be a mapping']],
    [
      'an unknown field of the document',
      { ...aPolicyDocument(), specs: {} },
      ['has the unknown field "specs": remove it or correct its name'],
    ],
    [
      'an unknown field of the spec',
      aPolicyDocument({ ghostLimit: '3Mi' }),
      ['spec: has the unknown field "ghostLimit": remove it or correct its name'],
    ],
    ['no name', aPolicyDocument({}, { name: undefined }), ['metadata.name: is missing: must be text']],
    [
      'a number for a name',
      aPolicyDocument({}, { name: 5 }),
      ['metadata.name: 5: must be text, written "5" with quotes'],
    ],
    ['an empty name', aPolicyDocument({}, { name: '' }), [`metadata.name: "": ${NAME}`]],
    [
      'a name of 64 characters',
      aPolicyDocument({}, { name: 'a'.repeat(64) }),
      [`metadata.name: "${'a'.repeat(64)}": ${NAME}`],
    ],
    ['a name in capitals', aPolicyDocument({}, { name: 'Web' }), [`metadata.name: "Web": ${NAME}`]],
    [
      'a name with a newline',
      aPolicyDocument({}, { name: 'a\nlibdir /x' }),
      [`metadata.name: "a\\nlibdir /x": ${NAME}`],
    ],
    [
      'a namespace with a slash',
      aPolicyDocument({}, { namespace: 'a/b' }),
      [
        'metadata.namespace: "a/b": must be a namespace: lower-case letters, digits and "-", at most 63 characters',
      ],
    ],
    [
      'another mode',
      aPolicyDocument({ mode: 'enforce' }),
      ['spec.mode: "enforce": must be one of Enforce, Audit'],
    ],
    [
      'another scope',
      aPolicyDocument({ scope: 'Pod' }),
      ['spec.scope: "Pod": must be one of Node, Checkpoint'],
    ],
    ['no target', aPolicyDocument({ targets: [] }), ['spec.targets: []: must have at least 1 item']],
    [
      '65 targets',
      aPolicyDocument({
        targets: Array.from({ length: 65 }, (_value, index) => aTarget({ name: `t${index}` })),
      }),
      [expect.stringMatching(/^spec\.targets: \[.*…: must have at most 64 items$/) as never],
    ],
    [
      'two targets of one name',
      aPolicyDocument({ targets: [aTarget(), aTarget()] }),
      [expect.stringMatching(/^spec\.targets\[1\]: .*: the name "all" is there twice$/) as never],
    ],
    [
      'neither selector nor workloadRef',
      withTarget({ selector: undefined }),
      [
        expect.stringContaining(
          `${T}: {"name":"all","ghostLimit":{"fixed":"3Mi"}}: exactly one of \`selector\` and \`workloadRef\` must be set; none is`,
        ) as never,
      ],
    ],
    [
      'both selector and workloadRef',
      withTarget({ workloadRef: { kind: 'Deployment', name: 'web' } }),
      [expect.stringContaining('must be set; both are') as never],
    ],
    [
      'a workloadRef of another kind',
      withTarget({ selector: undefined, workloadRef: { kind: 'Pod', name: 'x' } }),
      [
        `${T}.workloadRef.kind: "Pod": must be one of Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob`,
      ],
    ],
    [
      'no container name in the list',
      withTarget({ containerNames: [] }),
      [`${T}.containerNames: []: must have at least 1 item`],
    ],
    [
      'both fixed and auto',
      withLimit({ fixed: '3Mi', auto: {} }),
      [`${LIMIT}: {"fixed":"3Mi","auto":{}}: exactly one of \`fixed\` and \`auto\` must be set; both are`],
    ],
    [
      'neither fixed nor auto',
      withLimit({}),
      [`${LIMIT}: {}: exactly one of \`fixed\` and \`auto\` must be set; none is`],
    ],
    ['a size for the whole ghostLimit', withLimit('3Mi'), [`${LIMIT}: "3Mi": must be a mapping`]],
    ['3MB', withLimit({ fixed: '3MB' }), [`${LIMIT}.fixed: "3MB": is not a quantity: write "3Mi"`]],
    ['zero', withLimit({ fixed: 0 }), [`${LIMIT}.fixed: 0: ${LEAST}`]],
    ['negative', withLimit({ fixed: '-1Mi' }), [`${LIMIT}.fixed: "-1Mi": must not be negative`]],
    [
      'a negative number',
      withLimit({ fixed: -5 }),
      [`${LIMIT}.fixed: -5: must be a whole number of bytes, such as 3145728`],
    ],
    ['1023Ki', withLimit({ fixed: '1023Ki' }), [`${LIMIT}.fixed: "1023Ki": ${LEAST}`]],
    ['over 1Ti', withLimit({ fixed: '1025Gi' }), [`${LIMIT}.fixed: "1025Gi": must be at most 1Ti`]],
    ['a fraction as a number', withLimit({ fixed: 1.5 }), [`${LIMIT}.fixed: 1.5: ${QUANTITY}`]],
    ['true', withLimit({ fixed: true }), [`${LIMIT}.fixed: true: ${QUANTITY}`]],
    ['infinite', withLimit({ fixed: Infinity }), [`${LIMIT}.fixed: Infinity: ${QUANTITY}`]],
    ['nothing after fixed:', withLimit({ fixed: null }), [`${LIMIT}.fixed: null: ${QUANTITY}`]],
    [
      'nothing after auto:',
      withLimit({ auto: null }),
      [`${LIMIT}.auto: null: must be a mapping: write {} for one without fields`],
    ],
    [
      'a maximum under the minimum',
      withLimit({ auto: { minimum: '4Mi', maximum: '2Mi' } }),
      [`${LIMIT}.auto.maximum: "2Mi": must not be smaller than \`minimum\``],
    ],
    [
      'a maximum under the default minimum',
      withLimit({ auto: { maximum: '512Ki' } }),
      [
        `${LIMIT}.auto.maximum: "512Ki": ${LEAST}`,
        `${LIMIT}.auto.maximum: "512Ki": must not be smaller than \`minimum\``,
      ],
    ],
    [
      'headroom 401',
      withLimit({ auto: { headroomPercent: 401 } }),
      [`${LIMIT}.auto.headroomPercent: 401: must be at most 400`],
    ],
    [
      'headroom -1',
      withLimit({ auto: { headroomPercent: -1 } }),
      [`${LIMIT}.auto.headroomPercent: -1: must be at least 0`],
    ],
    [
      'headroom 2.5',
      withLimit({ auto: { headroomPercent: 2.5 } }),
      [`${LIMIT}.auto.headroomPercent: 2.5: must be a whole number`],
    ],
    [
      'an unknown field of auto',
      withLimit({ auto: { max: '4Mi' } }),
      [`${LIMIT}.auto: has the unknown field "max": remove it or correct its name`],
    ],
    [
      'a label key that begins with a dash',
      withSelector({ matchLabels: { '-app': 'x' } }),
      [`${T}.selector.matchLabels: "-app": ${LABEL_KEY}`],
    ],
    [
      'a label key with a blank',
      withSelector({ matchLabels: { 'a b': 'x' } }),
      [`${T}.selector.matchLabels: "a b": ${LABEL_KEY}`],
    ],
    [
      'a label value with a newline',
      withSelector({ matchLabels: { app: 'x\ny' } }),
      [`${T}.selector.matchLabels.app: "x\\ny": ${LABEL_VALUE}`],
    ],
    [
      'a boolean label value',
      withSelector({ matchLabels: { app: true } }),
      [`${T}.selector.matchLabels.app: true: must be text, written "true" with quotes`],
    ],
    [
      'a label key that JavaScript gives a meaning',
      withSelector({ matchLabels: JSON.parse('{"__proto__":"x"}') as unknown }),
      [`${T}.selector.matchLabels: has the key "__proto__": remove it or correct it`],
    ],
    [
      'labels without matchLabels',
      withSelector({ app: 'web' }),
      [`${T}.selector: has the unknown field "app": remove it or correct its name`],
    ],
    [
      'In without values',
      withSelector({ matchExpressions: [{ key: 'a', operator: 'In' }] }),
      [
        `${T}.selector.matchExpressions[0].values: is missing: must have at least one value for the operator In`,
      ],
    ],
    [
      'Exists with values',
      withSelector({ matchExpressions: [{ key: 'a', operator: 'Exists', values: ['b'] }] }),
      [`${T}.selector.matchExpressions[0].values: ["b"]: must be empty for the operator Exists`],
    ],
    [
      'another operator',
      withSelector({ matchExpressions: [{ key: 'a', operator: 'in', values: ['b'] }] }),
      [`${T}.selector.matchExpressions[0].operator: "in": must be one of In, NotIn, Exists, DoesNotExist`],
    ],
    [
      'an option that is root code execution',
      aPolicyDocument({ criuOptions: ['action-script /x'] }),
      [`spec.criuOptions[0]: "action-script /x": ${OPTIONS}`],
    ],
    [
      "an option in CRIU's own words",
      aPolicyDocument({ criuOptions: ['tcp-established'] }),
      [`spec.criuOptions[0]: "tcp-established": ${OPTIONS}`],
    ],
    [
      'an option twice',
      aPolicyDocument({ criuOptions: ['FileLocks', 'FileLocks'] }),
      ['spec.criuOptions[1]: "FileLocks": the option "FileLocks" is there twice'],
    ],
    [
      'a schedule without its line',
      withSchedule({ schedule: undefined }),
      ['spec.checkpoint.schedule: is missing: must be text'],
    ],
    [
      'a time-out of 601 s',
      withSchedule({ timeoutSeconds: 601 }),
      ['spec.checkpoint.timeoutSeconds: 601: must be at most 600'],
    ],
    [
      'a retention of 3MB',
      withSchedule({ retention: { maxTotalSize: '3MB' } }),
      ['spec.checkpoint.retention.maxTotalSize: "3MB": is not a quantity: write "3Mi"'],
    ],
    [
      'two mistakes',
      aPolicyDocument({ mode: 'x', scope: 'y' }),
      ['spec.mode: "x": must be one of Enforce, Audit', 'spec.scope: "y": must be one of Node, Checkpoint'],
    ],
    [
      'a field that would move the cursor',
      aPolicyDocument({ '\u001b[2Jx': 1 }),
      ['spec: has the unknown field "\\x1b[2Jx": remove it or correct its name'],
    ],
  ])('%s', (_sentence, document, problems) => {
    expect(problemsOf(document)).toEqual(problems);
  });

  test.each(['&a [*a]', '&a {kind: *a}', 'spec: &a {targets: [*a]}'])(
    'YAML that contains itself: %s',
    (text) => {
      const [document] = parseAllDocuments(text);
      expect(problemsOf(document?.toJS())[0]).toMatch(/contains itself: remove the alias/);
    },
  );

  test('an object that is there twice is no cycle', () => {
    const limit = { fixed: '3Mi' };
    const targets = [aTarget({ name: 'a', ghostLimit: limit }), aTarget({ name: 'b', ghostLimit: limit })];
    expect(problemsOf(aPolicyDocument({ targets }))).toEqual([]);
  });

  test('no JSON value makes it throw, and every problem is one line', () => {
    const anywhere = fc.oneof(
      fc.jsonValue().map((value) => value as unknown),
      fc.jsonValue().map((spec) => aPolicyDocument({ targets: [spec] })),
      fc.jsonValue().map((value) => withLimit(value)),
      fc.jsonValue().map((value) => withSelector({ matchLabels: value })),
    );
    fc.assert(
      fc.property(anywhere, (document) => {
        for (const problem of problemsOf(document)) expect(problem).toMatch(/^[^\p{Cc}]+$/u);
      }),
    );
  });
});

describe('a policy that is right', () => {
  test('defaults are filled in', () => {
    const parsed = parseCheckpointPolicy(withLimit({ auto: {} }));
    expect(parsed).toEqual({
      ok: true,
      policy: {
        apiVersion: 'ghostlimit.dev/v1alpha1',
        kind: 'CheckpointPolicy',
        metadata: { name: 'p' },
        spec: {
          mode: 'Enforce',
          scope: 'Node',
          targets: [
            { name: 'all', selector: {}, ghostLimit: { auto: { minimum: '1Mi', headroomPercent: 25 } } },
          ],
        },
      },
    });
  });

  test.each<[string, unknown]>([
    ['exactly 1Mi', withLimit({ fixed: '1Mi' })],
    ['exactly 1Ti', withLimit({ fixed: '1Ti' })],
    ['1048575.5 bytes, rounded up', withLimit({ fixed: '1048575.5' })],
    ['a number', withLimit({ fixed: 1_048_576 })],
    ['equal bounds', withLimit({ auto: { minimum: '2Mi', maximum: '2Mi', headroomPercent: 400 } })],
    ['options only', withTarget({ ghostLimit: undefined })],
    ['a name of 63 characters', aPolicyDocument({}, { name: 'a'.repeat(63) })],
    ['a label key with a prefix', withSelector({ matchLabels: { 'app.kubernetes.io/name': 'web' } })],
    ['an empty label value', withSelector({ matchLabels: { app: '' } })],
    [
      'what kubectl get prints',
      {
        ...aPolicyDocument({}, { labels: { a: 'b' }, resourceVersion: '7', managedFields: [] }),
        status: { x: 1 },
      },
    ],
  ])('%s', (_sentence, document) => {
    expect(problemsOf(document)).toEqual([]);
  });
});
