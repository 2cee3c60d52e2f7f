// The names that other programs rely on: group, version, kinds, labels, annotations, well-known paths and numbers.

export const GROUP = 'ghostlimit.dev';
export const API_VERSION = `${GROUP}/v1alpha1`;

/** Carries the token of a checkpoint asked for by annotation, and on a container of a host without Kubernetes nothing. */
export const CHECKPOINT_ANNOTATION = `${GROUP}/checkpoint`;
export const POLICY_LABEL = `${GROUP}/policy`;
export const TRIGGER_LABEL = `${GROUP}/trigger`;

/** The OCI annotation that makes runc and crun read another CRIU file (or none, when empty) instead of /etc/criu/runc.conf. */
export const CRIU_CONFIG_ANNOTATION = 'org.criu.config';

/** What CRIU allows without any configuration, in bytes. Source: CRIU 4.2 criu/include/cr_options.h, DEFAULT_GHOST_LIMIT. */
export const CRIU_DEFAULT_GHOST_LIMIT_BYTES = 1_048_576;

/** No limit above this is ever written, in bytes (1 TiB): far over any file that one would put into a checkpoint. */
export const GHOST_LIMIT_CEILING_BYTES = 2 ** 40;

export const RUNC_CONF_PATH = '/etc/criu/runc.conf';
/** The CRIU files that can be kept. Source: runc 1.3 libcontainer/criu_linux.go, crun 1.28 src/libcrun/criu.c, CRIU 4.2 criu/config.c. */
export const CRIU_FILE_PATHS = {
  'runc.conf': RUNC_CONF_PATH,
  'crun.conf': '/etc/criu/crun.conf',
  'default.conf': '/etc/criu/default.conf',
} as const;
export const DEFAULT_STATE_DIRECTORY = '/var/lib/ghostlimit';
export const DEFAULT_STATUS_FILE = '/run/ghostlimit/status.json';
export const DEFAULT_LISTEN_ADDRESS = '127.0.0.1:9808';

/** Objects of the operator in a cluster. */
export const SYSTEM_NAMESPACE = 'ghostlimit-system';
export const CONTROLLER_NAME = 'ghostlimit-controller';
export const AGENT_NAME = 'ghostlimit-agent';
/** By which the agents' pods are known, in the DaemonSet and everywhere else. Fixed for good: a selector cannot be changed. */
export const AGENT_POD_LABELS = {
  'app.kubernetes.io/name': 'ghostlimit',
  'app.kubernetes.io/component': 'agent',
} as const;
export const SETTINGS_CONFIG_MAP = 'ghostlimit-settings';
/** Its key: the settings as YAML. */
export const SETTINGS_KEY = 'settings.yaml';
export const CONTROLLER_FIELD_MANAGER = CONTROLLER_NAME;
export const AGENT_FIELD_MANAGER = AGENT_NAME;
/** Kept on a policy until no node holds its lines any more. */
export const CLEANUP_FINALIZER = `${GROUP}/cleanup`;
/** Without a tag. */
export const IMAGE_REPOSITORY = 'docker.io/ghostlimit/ghostlimit';
/** Port of /healthz, /readyz and /metrics. */
export const STATUS_PORT = 9808;
