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
