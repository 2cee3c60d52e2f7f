import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { classifyFailure, ghostLimitHint } from '../../../../src/domain/checkpoint/classify-failure.ts';
import { DUMP_FAILURES, matchDumpFailure } from '../../../../src/domain/checkpoint/dump-failures.ts';
import { parseDumpLogLine } from '../../../../src/domain/checkpoint/dump-log.ts';
import { REASONS } from '../../../../src/api/reasons.ts';
import { MESSAGES } from '../../../fixtures/dump-logs/messages.ts';

const FIXTURES = join(import.meta.dirname, '../../../fixtures/dump-logs');
const log = (name: string): string => readFileSync(join(FIXTURES, 'logs', `${name}.log`), 'utf8');
const text = (name: string): string => readFileSync(join(FIXTURES, 'runtime-text', `${name}.txt`), 'utf8');
const RUNC_1_1 = 'criu failed: type NOTIFY errno 0\nlog file: /run/w/dump.log';

describe('a recorded dump.log', () => {
  test.each([
    ['ghost', 'GhostLimitExceeded'],
    ['link-remap', 'LinkRemapRequired'],
    ['file-locks', 'FileLocks'],
    ['tcp-established', 'TcpEstablished'],
    ['tcp-in-flight', 'TcpInFlight'],
    ['mptcp', 'UnsupportedProtocol'],
    ['unix-stream', 'ExternalUnixSocket'],
    ['unix-half-stream', 'ExternalUnixStream'],
    ['inotify', 'Inotify'],
    ['io-uring', 'IoUring'],
    ['io-uring-mapped', 'IoUring'],
    ['landlock', 'UnsupportedFd'],
    ['userfaultfd', 'UnsupportedFd'],
    ['perf', 'UnsupportedFd'],
    ['nested-pid', 'NestedNamespace'],
    ['nested-uts', 'NestedNamespace'],
    ['no-space', 'NoSpace'],
    ['mount-not-found', 'MountNotFound'],
  ])('%s → %s', (name, reason) => {
    const verdict = classifyFailure({ runtimeError: RUNC_1_1, dumpLog: log(name), timedOut: false });
    expect(verdict.reason).toBe(reason);
    expect(verdict.hint).toBe(REASONS[verdict.reason].remedy);
    expect(log(name)).toContain(verdict.evidence.replaceAll('\\t', '\t'));
  });

  test('the ghost file is named with its bytes', () => {
    expect(classifyFailure({ runtimeError: RUNC_1_1, dumpLog: log('ghost'), timedOut: false })).toEqual({
      reason: 'GhostLimitExceeded',
      message:
        'CRIU refused the deleted file /tmp/libnetty.so: its 2715648 bytes are more than the ghost-limit in force.',
      hint: REASONS.GhostLimitExceeded.remedy,
      ghostFile: { path: '/tmp/libnetty.so', bytes: 2715648 },
      evidence:
        "(00.004317) Error (criu/files-reg.c:1031): Can't dump ghost file /tmp/libnetty.so of 2715648 size, increase limit",
    });
  });

  test('a name with newlines that holds a line of its own is a name all the same', () => {
    const verdict = classifyFailure({ runtimeError: RUNC_1_1, dumpLog: log('forged'), timedOut: false });
    expect(verdict.reason).toBe('GhostLimitExceeded');
    const path =
      "/tmp/x\n(00.1) Error (criu_files-reg.c:1031): Can't dump ghost file -etc-passwd of 9 size, increase limit\nrest";
    expect(verdict.ghostFile).toEqual({ path, bytes: 2715648 });
    expect(verdict.message).toContain('/tmp/x\\n(00.1) Error');
  });

  test('a number that no file can have is not passed on', () => {
    const line =
      "(00.1) Error (criu/files-reg.c:1031): Can't dump ghost file /x of 99999999999999999999 size, increase limit";
    const verdict = classifyFailure({ runtimeError: RUNC_1_1, dumpLog: line, timedOut: false });
    expect(verdict).toMatchObject({ reason: 'GhostLimitExceeded', ghostFile: null });
  });

  test('a path may hold what stands around it in the message, and is shown escaped', () => {
    const line =
      "(00.1) Error (criu/files-reg.c:1031): Can't dump ghost file /tmp/a of 5 size, increase limit\u001b[2J of 2715648 size, increase limit";
    const verdict = classifyFailure({ runtimeError: '', dumpLog: line, timedOut: false });
    expect(verdict.ghostFile).toEqual({ path: '/tmp/a of 5 size, increase limit\u001b[2J', bytes: 2715648 });
    expect(verdict.message).toContain('/tmp/a of 5 size, increase limit\\x1b[2J: its 2715648 bytes');
  });
});

describe('one message for each row of the table', () => {
  test.each(MESSAGES.map((message) => [...message]))('%s: %s', (reason, ...lines) => {
    const dumpLog = ['(00.000028) Version: 4.2.1 (gitid 0)', ...lines.map(timed), FAILED].join('\n');
    expect(classifyFailure({ runtimeError: RUNC_1_1, dumpLog, timedOut: false }).reason).toBe(reason);
  });

  test('an absolute source path, as some builds print it, changes nothing', () => {
    for (const [reason, ...lines] of MESSAGES) {
      const dumpLog = lines
        .map((line) => timed(line.replace('Error (', 'Error (/usr/src/criu-4.2/')))
        .join('\n');
      expect(classifyFailure({ runtimeError: RUNC_1_1, dumpLog, timedOut: false }).reason).toBe(reason);
    }
  });

  test('every row of the table decides for some line here or recorded', () => {
    const recorded = readdirSync(join(FIXTURES, 'logs')).map((name) => log(name.replace('.log', '')));
    const texts = [
      ...recorded,
      ...MESSAGES.map(([, ...lines]) => lines.join('\n')),
      CONFIG_LINE,
      CAPABILITY_LINE,
    ];
    const deciding = texts.flatMap((one) => {
      const lines = one.split('\n').map(parseDumpLogLine);
      return lines.map((line, index) => matchDumpFailure({ line, before: lines.slice(0, index) }));
    });
    expect(
      DUMP_FAILURES.filter((row) => !deciding.includes(row)).map(({ message }) => message.source),
    ).toEqual([]);
  });
});

describe('what a runtime or an engine says, without a log', () => {
  test.each([
    ['runc-ghost', 'GhostLimitExceeded'],
    ['podman-runc-ghost', 'GhostLimitExceeded'],
    ['podman-crun-ghost', 'GhostLimitExceeded'],
    ['crun-mount-not-found', 'MountNotFound'],
    ['runc-config-syntax', 'ConfigInvalid'],
    ['runc-config-option', 'ConfigInvalid'],
    ['runc-default-conf', 'ConfigInvalid'],
    ['crun-config-syntax', 'ConfigInvalid'],
    ['crun-config-option', 'ConfigInvalid'],
    ['crun-default-conf', 'ConfigInvalid'],
    ['docker-config-syntax', 'ConfigInvalid'],
    ['docker-config-option', 'ConfigInvalid'],
    ['docker-default-conf', 'ConfigInvalid'],
    ['runc-criu-missing', 'CriuMissing'],
    ['crun-criu-missing', 'CriuMissing'],
    ['crun-libcriu-missing', 'CriuMissing'],
    ['docker-criu-missing', 'CriuMissing'],
    ['runc-no-container', 'ContainerNotRunning'],
    ['crun-no-container', 'ContainerNotRunning'],
    ['docker-no-container', 'ContainerNotRunning'],
    ['docker-not-running', 'ContainerNotRunning'],
    ['docker-name-taken', 'CheckpointExists'],
    ['docker-ghost', 'Unclassified'],
    // Podman's answer holds no word of the runtime; without a log that is written in the same call, CRIU never came to dump.
    ['podman-rest-crun', 'ConfigInvalid'],
    ['podman-rest-runc', 'ConfigInvalid'],
    ['podman-crun-1.21-ghost', 'Unclassified'],
    ['podman-rest-no-container', 'ContainerNotRunning'],
    ['podman-rest-not-running', 'ContainerNotRunning'],
    ...['cri-2.1', 'cri-2.4'].flatMap((version) => [
      [`${version}-ghost`, 'Unclassified'],
      [`${version}-config-syntax`, 'ConfigInvalid'],
      [`${version}-config-option`, 'ConfigInvalid'],
      [`${version}-default-conf`, 'ConfigInvalid'],
      [`${version}-criu-missing`, 'CriuMissing'],
      [`${version}-no-container`, 'ContainerNotRunning'],
      [`${version}-not-running`, 'ContainerNotRunning'],
    ]),
  ])('%s → %s', (name, reason) => {
    expect(classifyFailure({ runtimeError: text(name), dumpLog: null, timedOut: false }).reason).toBe(reason);
  });

  test.each([
    [
      'This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.',
      'FeatureGateOff',
    ],
    ['checkpoint/restore support not available', 'FeatureGateOff'],
    [
      'rpc error: code = Unimplemented desc = method CheckpointContainer not implemented',
      'RuntimeUnsupported',
    ],
    [
      'time="2026-11-23T15:10:49Z" level=error msg="this runc binary has not been compiled with checkpoint/restore support enabled (runc_nocriu)"',
      'RuntimeUnsupported',
    ],
    ['configured runtime does not support checkpoint/restore', 'RuntimeUnsupported'],
    ['CRIU version 30000 must be 31100 or higher', 'CriuTooOld'],
    [
      'check for CRIU checkpoint/restore requires at least CRIU 31600, current version is 30000',
      'CriuTooOld',
    ],
    ['libcriu is too old', 'CriuTooOld'],
    ['Container cannot be checkpointed in stopped state', 'ContainerNotRunning'],
    [
      'container "4f" is in CONTAINER_EXITED state. only CONTAINER_RUNNING containers can be checkpointed',
      'ContainerNotRunning',
    ],
    ['an error occurred when try to find container "4f": not found', 'ContainerNotRunning'],
    ['rpc error: code = NotFound desc = could not find container "4f": x', 'ContainerNotRunning'],
    ['container 4f is not running', 'ContainerNotRunning'],
    ['"exited" is not running, cannot checkpoint: container state improper', 'ContainerNotRunning'],
    ['criu failed: type NOTIFY errno 3\nlog file: /w/dump.log', 'ContainerNotRunning'],
    ['checkpointing requires root', 'Unauthorized'],
    ['checkpointing a container requires root', 'Unauthorized'],
    ['POST /containers/4f/checkpoints: connect EACCES /run/docker.sock', 'Unauthorized'],
    ['rpc error: code = Unauthenticated desc = no', 'Unauthorized'],
    ['write /var/lib/x/pages-1.img: no space left on device', 'NoSpace'],
    ['POST /containers/4f/checkpoints: connect ECONNREFUSED /run/docker.sock', 'RuntimeUnavailable'],
    ['POST /containers/4f/checkpoints: connect ENOENT /run/docker.sock', 'RuntimeUnavailable'],
    ['POST /containers/4f/checkpoints: socket hang up', 'RuntimeUnavailable'],
    ['runc is not installed, or not in PATH', 'RuntimeUnavailable'],
    ["Error: ENOSPC: no space left on device, mkdir '/archives/r1/c1'", 'NoSpace'],
    ['criu failed: type NOTIFY errno 56\nlog file: /w/dump.log', 'ConfigInvalid'],
    ['CRIU checkpointing failed -52.  Please check CRIU logfile /w/dump.log', 'Unclassified'],
    ['CRIU needs to have the CAP_SYS_ADMIN or the CAP_CHECKPOINT_RESTORE capability: ', 'Capability'],
    ['', 'Unclassified'],
  ])('%s → %s', (runtimeError, reason) => {
    expect(classifyFailure({ runtimeError, dumpLog: null, timedOut: false }).reason).toBe(reason);
  });

  test('containerd and CRI-O put the words of runc and crun into a sentence', () => {
    const containerd = `rpc error: code = Unknown desc = checkpointing container "4f" failed: runc did not terminate successfully: exit status 1: criu failed: type DUMP errno 56 path= /run/containerd/io.containerd.runtime.v2.task/k8s.io/4f/criu-dump.log: unknown`;
    const crio = `failed to checkpoint container 4f: running "/usr/bin/runc" ["checkpoint"] failed: \`/usr/bin/runc checkpoint 4f\` failed: ${text('runc-ghost')} : exit status 1`;
    expect(classifyFailure({ runtimeError: containerd, dumpLog: null, timedOut: false }).reason).toBe(
      'ConfigInvalid',
    );
    expect(classifyFailure({ runtimeError: crio, dumpLog: null, timedOut: false })).toMatchObject({
      reason: 'GhostLimitExceeded',
      ghostFile: { path: '/tmp/ghost.so', bytes: 2715648 },
    });
  });

  test('the two places where CRIU stumbles over a file get different hints', () => {
    const options = classifyFailure({
      runtimeError: text('runc-config-option'),
      dumpLog: null,
      timedOut: false,
    });
    const early = classifyFailure({
      runtimeError: text('docker-default-conf'),
      dumpLog: null,
      timedOut: false,
    });
    expect(options.hint).toContain('/etc/criu/runc.conf');
    expect(early.hint).toContain('/etc/criu/default.conf');
  });

  test('a file name inside a quoted log line is no statement of the runtime', () => {
    const runtimeError = [
      'time="2026-11-23T15:10:49Z" level=warning msg="19:(00.001) Dumping path for 3 fd via self 21 [/tmp/criu failed: type DUMP errno 56]"',
      '--- excerpt from CRIU log `/w/dump.log`',
      '(00.002) Dumping path for 3 fd via self 21 [/tmp/exec: "criu": executable file not found]',
      '--- end of excerpt',
      'criu failed: type DUMP errno 0',
    ].join('\n');
    expect(classifyFailure({ runtimeError, dumpLog: null, timedOut: false }).reason).toBe('Unclassified');
  });
});

describe('runtime and log together', () => {
  test('Docker names no cause; its log does', () => {
    const verdict = classifyFailure({
      runtimeError: text('docker-ghost'),
      dumpLog: log('ghost'),
      timedOut: false,
    });
    expect(verdict.reason).toBe('GhostLimitExceeded');
  });

  test.each(['docker-config-option', 'docker-default-conf', 'docker-criu-missing', 'docker-name-taken'])(
    '%s: said before CRIU opens a log, so a log that is there all the same is an old one',
    (name) => {
      const reason = classifyFailure({
        runtimeError: text(name),
        dumpLog: log('ghost'),
        timedOut: false,
      }).reason;
      expect(reason).not.toBe('GhostLimitExceeded');
      expect(reason).not.toBe('Unclassified');
    },
  );

  test('CRIU ended without a word: with a log of this call it was killed, its configuration is fine', () => {
    const cut = log('success').split('\n').slice(0, 40).join('\n');
    const runtimeError = text('runc-config-syntax');
    expect(classifyFailure({ runtimeError, dumpLog: cut, timedOut: false }).reason).toBe('Unclassified');
    expect(classifyFailure({ runtimeError, dumpLog: null, timedOut: false }).reason).toBe('ConfigInvalid');
  });

  test('a full disk is the cause even when a later step complains', () => {
    const dumpLog = [
      "(00.1) Error (criu/image.c:845): Can't write img file: No space left on device",
      '(00.2) something',
      "(00.3) Error (criu/mem.c:1): Can't go on",
    ].join('\n');
    expect(classifyFailure({ runtimeError: '', dumpLog, timedOut: false }).reason).toBe('NoSpace');
  });

  test('an unknown failure keeps the last 20 lines, escaped', () => {
    const dumpLog = Array.from(
      { length: 30 },
      (_, index) => `(00.${index.toString()}) line \u0007 ${index.toString()}`,
    );
    dumpLog.push('(00.9) Error (criu/new.c:1): A failure of tomorrow');
    const verdict = classifyFailure({
      runtimeError: 'criu failed: type DUMP errno 0',
      dumpLog: dumpLog.join('\n'),
      timedOut: false,
    });
    expect(verdict.reason).toBe('Unclassified');
    expect(verdict.message).toContain('A failure of tomorrow');
    expect(verdict.evidence.split('\n')).toHaveLength(20);
    expect(verdict.evidence).toContain('line \\x07 29');
  });

  test('after a time-out nothing else counts, but the last line is kept', () => {
    const verdict = classifyFailure({
      runtimeError: text('docker-ghost'),
      dumpLog: log('ghost'),
      timedOut: true,
    });
    expect(verdict).toMatchObject({ reason: 'TimedOut', ghostFile: null });
    expect(verdict.evidence).toContain('Dumping FAILED.');
  });
});

describe('ghostLimitHint', () => {
  test.each([
    [
      { requiredBytes: 2715648, file: '/etc/criu/runc.conf', line: 3 },
      'Set ghostLimit of a CheckpointPolicy to at least 2715648 bytes, or change line 3 of /etc/criu/runc.conf to "ghost-limit 2715648".',
    ],
    [
      { requiredBytes: 2715648, file: '/etc/criu/runc.conf', line: null },
      'Set ghostLimit of a CheckpointPolicy to at least 2715648 bytes, or add the line "ghost-limit 2715648" to /etc/criu/runc.conf.',
    ],
    [
      { requiredBytes: 2715648, file: null, line: null },
      'A ghost-limit of 2715648 bytes would do: set ghostLimit of a CheckpointPolicy, or "ghost-limit 2715648" in the CRIU file of the node.',
    ],
  ])('%j', (advice, hint) => {
    expect(ghostLimitHint(advice)).toBe(hint);
  });
});

const CONFIG_LINE =
  'Error (criu/config.c:239): Unsupported configuration file format. Please consult man page criu(8)';
const CAPABILITY_LINE =
  'Error (criu/cr-check.c:1961): CRIU needs to have the CAP_SYS_ADMIN or the CAP_CHECKPOINT_RESTORE capability: ';
const FAILED = '(00.313298) Error (criu/cr-dump.c:1975): Dumping FAILED.';

function timed(line: string): string {
  return line.startsWith('(') ? line : `(00.111713) ${line}`;
}
