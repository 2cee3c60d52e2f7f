import { describe, expect, test } from '@jest/globals';
import { REASONS, REASON_CODES, isReasonCode } from '../../../src/api/reasons.ts';

/** The names that other programs are written against: the API's page and the classes of CRIU's failures. */
const CONTRACT = [
  'GhostLimitExceeded LinkRemapRequired FileLocks TcpEstablished IoUring ConfigInvalid CriuMissing CriuTooOld KernelTooNew',
  'RuntimeUnsupported FeatureGateOff Unauthorized ContainerNotRunning TimedOut DeadlineExceeded NoSpace PauseTooLong QueueFull',
  'Unclassified OutcomeUnknown LinkRemapFailed PathReused TcpInFlight UnsupportedProtocol SocketCorked NetworkLockFailed',
  'ExternalUnixSocket ExternalUnixStream UnixSocketState FileLockUnresolved GpuDevice UnsupportedDevice UnsupportedFd BpfMap',
  'Pidfd Inotify EpollEscaped MountNotFound Overmounted MountNoRoot MountSharing MountUnsupportedFs MountOther TmpfsContent',
  'NestedNamespace PidNamespace SessionOutside ShellJob SysVShm Seccomp Rseq Uprobes FreezeFailed TaskState ParasiteFailed',
  'MemoryTracking AppArmor Capability',
  'InSync WriteFailed ReadOnlyFileSystem ForeignLineInvalid OverriddenByForeignLine ForeignLimitSuffices HiddenByCrunConf',
  'Contended UnsupportedHost AgentMissing ReadFailed FileImmutable FileMountedOver FileSystemFull FileBeingWritten LateWriteKept',
  'PodNotFound PodReplaced ContainerNotFound NodeNotServed NodeGone Withdrawn InvalidRequest CheckpointsPaused Queued CheckpointRunning',
  'NoMatchingPods LimitOverCap OptionNotAllowed PlanFull RollingOut AllNodesInSync NodesFailing Audited InvalidPolicy',
].flatMap((line) => line.split(' '));

describe('the registry of reasons', () => {
  test('holds every name that others rely on', () => {
    expect(CONTRACT.filter((name) => !isReasonCode(name))).toEqual([]);
  });

  test('does not take inherited names for reasons', () => {
    expect(['toString', 'constructor', '', 'inSync'].filter(isReasonCode)).toEqual([]);
  });

  test.each(REASON_CODES)('%s is a condition reason of Kubernetes with a sentence and a remedy', (code) => {
    const { sentence, remedy } = REASONS[code];
    expect(code).toMatch(/^[A-Z][A-Za-z0-9]{1,62}$/);
    expect(sentence).toMatch(/^\p{Lu}[^\n]{10,200}\.$/u);
    expect(remedy).toMatch(/^\p{Lu}[^\n]{8,260}[.)]$/u);
  });

  test('no two reasons mean the same', () => {
    const sentences = REASON_CODES.map((code) => REASONS[code].sentence);
    expect(new Set(sentences).size).toBe(sentences.length);
  });
});
