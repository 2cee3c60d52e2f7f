// The boolean CRIU options that a policy may ask for: the only ones, besides ghost-limit, that ever reach a CRIU file.

/** API name → line in a CRIU configuration file. Source: CRIU 4.2 criu/config.c, long_opts. */
export const CRIU_OPTION_LINES = {
  TcpEstablished: 'tcp-established',
  TcpClose: 'tcp-close',
  TcpSkipInFlight: 'skip-in-flight',
  FileLocks: 'file-locks',
  LinkRemap: 'link-remap',
  ExtUnixSockets: 'ext-unix-sk',
  ShellJob: 'shell-job',
} as const;

export type CriuOptionName = keyof typeof CRIU_OPTION_LINES;
export const CRIU_OPTION_NAMES = Object.keys(CRIU_OPTION_LINES) as [CriuOptionName, ...CriuOptionName[]];
