// The table from what runtimes and engines say themselves to reasons. Owns the patterns; quoted lines of CRIU's log are matched by dump-failures.ts.
import { CRIU_ENDED_AT_VERSION_CHECK } from '../../api/engine-statements.ts';
import type { ReasonCode } from '../../api/reasons.ts';

export interface RuntimeFailure {
  readonly reason: ReasonCode;
  readonly statement: RegExp;
  /** Instead of the remedy of the registry, where the text tells more. */
  readonly hint?: string;
}

const OPTIONS_FILE_HINT =
  'CRIU refuses /etc/criu/runc.conf (crun: crun.conf; or the file of the annotation org.criu.config). Run "ghostlimit lint" on it and correct the line that it names.';
const EARLY_FILE_HINT =
  'CRIU refuses a file that it reads before all others: /etc/criu/default.conf, ~/.criu/default.conf or that of CRIU_CONFIG_FILE. Run "ghostlimit lint" on it and correct the line that it names.';
const PODMAN_HINT =
  'Podman keeps the words of its OCI runtime to itself (see "journalctl -u podman"), but CRIU got no further than its configuration files or was not started at all: run "ghostlimit doctor".';
const CRIO_HINT =
  'CRI-O: install criu, set enable_criu_support = true under [crio.runtime], then restart crio: it looks for criu only at its start.';
const KUBELET_OFF_HINT =
  'The kubelet of the node does not serve checkpoints: set its feature gate ContainerCheckpoint (on since Kubernetes 1.30) and leave enableDebuggingHandlers true.';
const KUBELET_RIGHT_HINT =
  "The kubelet knows the agent's account but does not allow it checkpoints: grant the verb create on nodes/checkpoint, and see that the kubelet authorizes by webhook.";
const REMOVED_AFTERWARDS_HINT =
  'Start the container without --rm: Podman refuses to checkpoint one that it removes when it ends.';

/**
 * Statements that can only be made before CRIU opened its log: with one of them any dump.log is an older one.
 * In order: the first row that matches decides.
 */
export const BEFORE_DUMP_FAILURES: readonly RuntimeFailure[] = [
  { reason: 'CriuMissing', statement: /exec: "criu": executable file not found/ },
  { reason: 'CriuMissing', statement: /Can't exec criu swrk: No such file or directory/ },
  { reason: 'CriuMissing', statement: /could not load `libcriu\.so/ },
  // containerd 2.1 says both in one text: the end of it tells.
  { reason: 'ConfigInvalid', statement: CRIU_ENDED_AT_VERSION_CHECK, hint: EARLY_FILE_HINT },
  { reason: 'CriuTooOld', statement: /requires at least CRIU \d+, current version is/ },
  {
    reason: 'CriuMissing',
    statement:
      /CRIU binary not found or too old|criu binary not found in|failed to (?:retrieve|check for) criu version: /,
  },
  { reason: 'CriuMissing', statement: /^criu is not in PATH/ },
  { reason: 'CriuTooOld', statement: /CRIU version \d+ must be \d+ or higher/ },
  { reason: 'CriuTooOld', statement: /libcriu is too old/ },
  { reason: 'CriuTooOld', statement: /libcriu RPC config files supported in CRIU >= / },
  { reason: 'Capability', statement: /CRIU needs to have the CAP_SYS_ADMIN or the CAP_CHECKPOINT_RESTORE/ },

  // 56 = EBADRQC: CRIU's answer to options that it refuses (measured, runc 1.1 and 1.3).
  { reason: 'ConfigInvalid', statement: /criu failed: type \w+ errno 56\b/, hint: OPTIONS_FILE_HINT },
  // crun passes CRIU's stderr on: the version check has read the early files, the dump reads runc.conf as well.
  { reason: 'ConfigInvalid', statement: /CRIU: failed checking version:/, hint: EARLY_FILE_HINT },
  {
    reason: 'ConfigInvalid',
    statement: /^criu: .*\b(?:unrecognized|ambiguous|invalid) option|^criu: option '/,
    hint: OPTIONS_FILE_HINT,
  },
  { reason: 'ConfigInvalid', statement: /CRIU version check failed: /, hint: EARLY_FILE_HINT },

  // The kubelet, whose answers come as "kubelet answered CODE: BODY": the page of Go's own multiplexer is said before anything else is looked at.
  {
    reason: 'FeatureGateOff',
    statement: /^kubelet answered 404: 404 page not found/,
    hint: KUBELET_OFF_HINT,
  },
  {
    reason: 'Unauthorized',
    statement: /^kubelet answered (?:403: Forbidden|500: Authorization error) \(user=/,
    hint: KUBELET_RIGHT_HINT,
  },
  { reason: 'Unauthorized', statement: /^kubelet answered 401: / },
  { reason: 'ContainerNotRunning', statement: /^kubelet answered 404: pod does not exist/ },

  { reason: 'FeatureGateOff', statement: /experimental feature is disabled by default/ },
  { reason: 'FeatureGateOff', statement: /checkpoint is only supported in experimental mode/ },
  { reason: 'FeatureGateOff', statement: /checkpoint\/restore support not available/, hint: CRIO_HINT },
  { reason: 'FeatureGateOff', statement: /criu support is disabled by configuration/ },
  {
    reason: 'RuntimeUnsupported',
    statement: /method CheckpointContainer not implemented|unknown method CheckpointContainer /,
  },
  {
    reason: 'RuntimeUnsupported',
    statement: /CheckpointContainer is only supported in the CRI v1 runtime API/,
  },
  {
    reason: 'RuntimeUnsupported',
    statement: /not been compiled with checkpoint\/restore support|runc_nocriu/,
  },
  { reason: 'RuntimeUnsupported', statement: /configured runtime does not support checkpoint\/restore/ },
  {
    reason: 'RuntimeUnsupported',
    statement: /cannot checkpoint containers that have been started with '--rm'/,
    hint: REMOVED_AFTERWARDS_HINT,
  },
  { reason: 'CheckpointExists', statement: /checkpoint with name .* already exists/ },
  { reason: 'ContainerNotRunning', statement: /no such container/i },
  { reason: 'ContainerNotRunning', statement: /\bcontainer (?:\S+ )?(?:is not running|does not exist)/i },
  { reason: 'ContainerNotRunning', statement: /Container cannot be checkpointed in \S+ state/i },
  { reason: 'ContainerNotRunning', statement: /only CONTAINER_RUNNING containers can be checkpointed/ },
  { reason: 'ContainerNotRunning', statement: /could not find container|when try(?:ing)? to find container/ },
  {
    reason: 'ContainerNotRunning',
    statement: /^kubelet answered 500: .* failed \(container \S+ not found\)/,
  },
  { reason: 'ContainerNotRunning', statement: /is not running, cannot checkpoint/ },
  { reason: 'Unauthorized', statement: /checkpointing (?:a container )?requires root/ },
  {
    reason: 'Unauthorized',
    statement: /connect(?::)? (?:EACCES|permission denied)|\b(?:401 Unauthorized|403 Forbidden)\b/,
  },
  { reason: 'Unauthorized', statement: /code = (?:Unauthenticated|PermissionDenied)/ },
  // CRI-O freezes the container and looks at its bind mounts before it calls the OCI runtime.
  { reason: 'FreezeFailed', statement: /failed to pause container \S+ before checkpointing: / },
  { reason: 'MountOther', statement: /unable to stat\(\) ".*": / },
];

/** Statements that say something only when neither a fresh dump.log nor a quoted line of it tells more. */
export const AFTER_DUMP_FAILURES: readonly RuntimeFailure[] = [
  { reason: 'NoSpace', statement: /no space left on device/i },
  // runc without root cannot even look at its containers (measured, runc 1.3.6).
  { reason: 'Unauthorized', statement: /^(?:lstat|stat|open|mkdir) \/.*: permission denied$/ },
  // Who calls on behalf of others has a time-out of its own; CRIU may have come far by then.
  { reason: 'TimedOut', statement: /code = DeadlineExceeded desc = |code = Canceled desc = / },
  // 3 = ESRCH: the process ended before CRIU could look at it.
  { reason: 'ContainerNotRunning', statement: /criu failed: type \w+ errno 3\b/ },
  // CRIU ended without an answer and without a log: measured for a configuration file that it cannot parse.
  { reason: 'ConfigInvalid', statement: /read unixpacket @->@: EOF/, hint: OPTIONS_FILE_HINT },
  { reason: 'ConfigInvalid', statement: /CRIU checkpointing failed:? -70/, hint: OPTIONS_FILE_HINT },
  // Podman names the command and nothing else; without a log of CRIU the command failed before CRIU looked at the container (measured: a refused file).
  {
    reason: 'ConfigInvalid',
    statement: /^`\S+ .*checkpoint --image-path .*` failed: exit status 1$/,
    hint: PODMAN_HINT,
  },
  {
    reason: 'RuntimeUnavailable',
    statement:
      /is not installed, or not in PATH|connect ENOENT|ECONNREFUSED|ECONNRESET|socket hang up|Connection dropped|Cannot connect to the Docker daemon/,
  },
];

/** The first row that one of the statements matches, with that statement; null: none. */
export function matchRuntimeFailure(
  table: readonly RuntimeFailure[],
  statements: readonly string[],
): { readonly failure: RuntimeFailure; readonly statement: string } | null {
  for (const failure of table) {
    const statement = statements.find((candidate) => failure.statement.test(candidate));
    if (statement !== undefined) return { failure, statement };
  }
  return null;
}
