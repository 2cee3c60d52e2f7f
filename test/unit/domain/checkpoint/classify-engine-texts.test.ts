// What the kubelet and the engines behind it answer, by code and words; Kubernetes pkg/kubelet/server, containerd internal/cri, CRI-O server, runc, crun, Docker, Podman.
import { describe, expect, test } from '@jest/globals';
import { REASONS } from '../../../../src/api/reasons.ts';
import { classifyFailure } from '../../../../src/domain/checkpoint/classify-failure.ts';

const reasonOf = (runtimeError: string): string =>
  classifyFailure({ runtimeError, dumpLog: null, timedOut: false }).reason;

describe('an answer of the kubelet', () => {
  test.each([
    ['404', '404 page not found\n', 'FeatureGateOff'],
    ['401', 'Unauthorized', 'Unauthorized'],
    [
      '500',
      'Authorization error (user=system:serviceaccount:ghostlimit-system:ghostlimit-agent, verb=create, resource=nodes, subresource=checkpoint)',
      'Unauthorized',
    ],
    [
      '403',
      'Forbidden (user=system:serviceaccount:ghostlimit-system:ghostlimit-agent, verb=create, resource=nodes, subresource(s)=[checkpoint])\n',
      'Unauthorized',
    ],
    ['403', 'Forbidden (user=u, verb=create, resource=nodes, subresource=checkpoint)', 'Unauthorized'],
    ['404', 'pod does not exist', 'ContainerNotRunning'],
    ['404', 'container app does not exist', 'ContainerNotRunning'],
    // What only a wrong call brings about has no class of its own.
    ['404', '404: Page Not Found', 'Unclassified'],
    ['405', '405: Method Not Allowed', 'Unclassified'],
    ['415', '415: Unsupported Media Type\n\nAvailable representations: application/json', 'Unclassified'],
    ['404', 'cannot parse value of timeout parameter', 'Unclassified'],
  ])('%s %s → %s', (code, body, reason) => {
    expect(reasonOf(`kubelet answered ${code}: ${body}`)).toBe(reason);
  });

  test.each([
    ['container app not found', 'ContainerNotRunning'],
    ['CheckpointContainer requires the timeout value to be > 0', 'Unclassified'],
    ['CheckpointContainer is only supported in the CRI v1 runtime API', 'RuntimeUnsupported'],
    [
      'rpc error: code = Unimplemented desc = unknown method CheckpointContainer for service runtime.v1.RuntimeService',
      'RuntimeUnsupported',
    ],
    [
      'rpc error: code = Unimplemented desc = method CheckpointContainer not implemented',
      'RuntimeUnsupported',
    ],
    ['rpc error: code = Unknown desc = checkpoint/restore support not available', 'FeatureGateOff'],
    [
      'rpc error: code = Unknown desc = CRIU binary not found or too old (<31600). Failed to checkpoint container "4f": failed to check for criu version: exec: "criu": executable file not found in $PATH',
      'CriuMissing',
    ],
    [
      'rpc error: code = Unknown desc = failed to checkpoint container "4f": criu binary not found in shim path or system PATH',
      'CriuMissing',
    ],
    [
      'rpc error: code = Unknown desc = failed to checkpoint container "4f": criu support is disabled by configuration',
      'FeatureGateOff',
    ],
    [
      'rpc error: code = Unknown desc = failed to checkpoint container "4f": failed to retrieve criu version: exit status 1',
      'CriuMissing',
    ],
    [
      'rpc error: code = Unknown desc = failed to checkpoint container "4f": checkpoint/restore requires at least CRIU 31600, current version is 31500',
      'CriuTooOld',
    ],
    ['rpc error: code = DeadlineExceeded desc = context deadline exceeded', 'TimedOut'],
    ['rpc error: code = Canceled desc = context canceled', 'TimedOut'],
    [
      'rpc error: code = Unknown desc = checkpointing container "4f" failed: runc did not terminate successfully: exit status 1: criu failed: type DUMP errno 56 path= /run/containerd/io.containerd.runtime.v2.task/k8s.io/4f/criu-dump.log: unknown',
      'ConfigInvalid',
    ],
    [
      'rpc error: code = Unknown desc = checkpointing container "4f" failed: runc did not terminate successfully: exit status 1: CRIU version check failed: read criu-xprt-cln: connection reset by peer',
      'ConfigInvalid',
    ],
    // containerd keeps CRIU's words to itself: they are in the log of the shim.
    [
      'rpc error: code = Unknown desc = checkpointing container "4f" failed: runc did not terminate successfully: exit status 1: criu failed: type DUMP errno 0 path= /run/containerd/io.containerd.runtime.v2.task/k8s.io/4f/criu-dump.log',
      'Unclassified',
    ],
    ['rpc error: code = Unknown desc = write /tmp/ctrd-checkpoint1: no space left on device', 'NoSpace'],
  ])('500 checkpointing of shop/web/app failed (%s) → %s', (inner, reason) => {
    expect(reasonOf(`kubelet answered 500: checkpointing of shop/web/app failed (${inner})`)).toBe(reason);
  });

  test('CRI-O with runc 1.2 or newer has all of the log in it', () => {
    const body = [
      'checkpointing of shop/web/app failed (rpc error: code = Unknown desc = failed to checkpoint container 4f: running "/usr/bin/runc" ["checkpoint"] failed: `/usr/bin/runc checkpoint 4f` failed: time="2026-11-23T15:10:49Z" level=warning msg="--- Quoting \\"/w/dump.log\\""',
      'time="2026-11-23T15:10:49Z" level=warning msg="21:(00.004317) Error (criu/files-reg.c:1031): Can\'t dump ghost file /tmp/libnetty.so of 2715648 size, increase limit"',
      'time="2026-11-23T15:10:49Z" level=error msg="criu failed: type DUMP errno 0"',
      ' : exit status 1)',
    ].join('\n');
    const verdict = classifyFailure({
      runtimeError: `kubelet answered 500: ${body}`,
      dumpLog: null,
      timedOut: false,
    });
    expect(verdict).toMatchObject({
      reason: 'GhostLimitExceeded',
      ghostFile: { path: '/tmp/libnetty.so', bytes: 2715648 },
    });
  });

  test('CRI-O with crun 1.27 or newer too', () => {
    const body = [
      'checkpointing of shop/web/app failed (rpc error: code = Unknown desc = failed to checkpoint container 4f: running "/usr/bin/crun" ["checkpoint"] failed: `/usr/bin/crun checkpoint 4f` failed: ',
      '--- excerpt from CRIU log `/w/dump.log`',
      '(00.054145) Error (criu/sk-inet.c:188): inet: Connected TCP socket, consider using --tcp-established option.',
      '(00.055215) Error (criu/cr-dump.c:1975): Dumping FAILED.',
      '--- end of excerpt',
      'CRIU checkpointing failed: -52: Invalid exchange',
      ' : exit status 1)',
    ].join('\n');
    expect(reasonOf(`kubelet answered 500: ${body}`)).toBe('TcpEstablished');
  });

  test.each([
    ['404: 404 page not found', /ContainerCheckpoint/],
    [
      '403: Forbidden (user=u, verb=create, resource=nodes, subresource(s)=[checkpoint])',
      /nodes\/checkpoint/,
    ],
  ])('%s: the hint names what to change', (answer, hint) => {
    const verdict = classifyFailure({
      runtimeError: `kubelet answered ${answer}`,
      dumpLog: null,
      timedOut: false,
    });
    expect(verdict.hint).toMatch(hint);
    expect(verdict.hint).not.toBe(REASONS[verdict.reason].remedy);
  });

  test.each([['pod does not exist'], ['404 page not found'], ['Forbidden (user=u, verb=create)']])(
    'the words of a kubelet without a kubelet around them mean nothing: %s',
    (body) => {
      expect(reasonOf(body)).toBe('Unclassified');
    },
  );
});

describe('the words of an engine or an OCI runtime', () => {
  test.each([
    // containerd
    ['an error occurred when trying to find container "4f": not found', 'ContainerNotRunning'],
    // CRI-O
    [
      'check for CRIU failed to check for criu version: exec: "criu": executable file not found in $PATH',
      'CriuMissing',
    ],
    ['check for CRIU failed to check for criu version: exit status 1', 'CriuMissing'],
    [
      'failed to check for criu version: write criu-xprt-cln: broken pipe\ncriu swrk failed: exit status 1',
      'ConfigInvalid',
    ],
    ['failed to check for criu version: EOF', 'ConfigInvalid'],
    ['failed to pause container "4f" before checkpointing: timed out', 'FreezeFailed'],
    ['unable to stat() "/var/lib/gone": no such file or directory', 'MountOther'],
    [
      'failed to checkpoint container 4f: running "/usr/bin/runc" ["checkpoint"] failed: `/usr/bin/runc checkpoint 4f` failed: criu failed: type NOTIFY errno 0\nlog file: /w/dump.log : exit status 1',
      'Unclassified',
    ],
    // runc
    ['CRIU version check failed: exec: "criu": executable file not found in $PATH', 'CriuMissing'],
    [
      'CRIU version check failed: read criu-xprt-cln: connection reset by peer\ncriu swrk failed: exit status 1',
      'ConfigInvalid',
    ],
    ['criu failed: type DUMP errno 3', 'ContainerNotRunning'],
    ['criu failed: type DUMP errno 0', 'Unclassified'],
    ['container does not exist', 'ContainerNotRunning'],
    ['Container cannot be checkpointed in created state', 'ContainerNotRunning'],
    ['invalid directory to save checkpoint', 'Unclassified'],
    ['time="2026-11-23T23:04:37Z" level=error msg="lstat /run/runc//web: permission denied"', 'Unauthorized'],
    // crun
    ['could not load `libcriu.so.2`', 'CriuMissing'],
    ['libcriu RPC config files supported in CRIU >= 4.2', 'CriuTooOld'],
    // Docker
    ['checkpoint is only supported in experimental mode', 'FeatureGateOff'],
    ['Invalid checkpoint ID (x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed', 'Unclassified'],
    ['image "busybox:gone": not found', 'Unclassified'],
    ['No such container: web', 'ContainerNotRunning'],
    ['container 4f2d is not running', 'ContainerNotRunning'],
    [
      'Cannot checkpoint container web: runc did not terminate successfully: exit status 1: criu failed: type DUMP errno 0 path= /run/containerd/io.containerd.runtime.v2.task/moby/4f/criu-dump.log: unknown',
      'Unclassified',
    ],
    // Podman
    [
      "cannot checkpoint containers that have been started with '--rm' unless '--export' is used",
      'RuntimeUnsupported',
    ],
  ])('%s → %s', (text, reason) => {
    expect(reasonOf(text)).toBe(reason);
  });
});
