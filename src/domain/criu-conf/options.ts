// The options that CRIU 4.2.1 knows, as its getopt_long() table holds them, and what makes some of them dangerous in a shared file.
// Only names and kinds: values are checked in option-values.ts, effects are collected in judge.ts.

/** required: takes `name value`, `name=value` or the next line's word; optional: only `name=value`; boolean: refuses a value after `=`. */
export type OptionKind = 'boolean' | 'required' | 'optional';

/** Why an option does not belong in a file that root's CRIU reads for every container. */
export type OptionDanger =
  | 'RunsCode'
  | 'WritesFiles'
  | 'SendsMemory'
  | 'ExposesHost'
  | 'WeakensConfinement'
  | 'BreaksDumps'
  | 'StopsWorkloads';

export interface CriuOption {
  /** the name after `--` */
  readonly name: string;
  readonly kind: OptionKind;
  readonly danger: OptionDanger | null;
  /** the int in CRIU's `opts` that getopt sets by itself; null: parse_options() handles the option */
  readonly flag: string | null;
  /** getopt's return value or, with a flag, what is stored; two options count as one abbreviation when kind, flag and value are equal */
  readonly value: number | string;
}

type Row = readonly [
  name: string,
  kind: OptionKind,
  flag: string | null,
  value: number | string,
  danger?: OptionDanger,
];

function booleanPair(name: string, flag: string, danger?: OptionDanger): readonly Row[] {
  return [
    danger === undefined ? [name, 'boolean', flag, 1] : [name, 'boolean', flag, 1, danger],
    [`no-${name}`, 'boolean', flag, 0],
  ];
}

/** In the order of long_opts[] in CRIU 4.2.1 criu/config.c; dangers from that source and from dumps with the option in runc.conf. */
const ROWS: readonly Row[] = [
  ['tree', 'required', null, 't'],
  ['leave-stopped', 'boolean', null, 's', 'StopsWorkloads'],
  ['leave-running', 'boolean', null, 'R'],
  ...booleanPair('restore-detached', 'restore_detach'),
  ...booleanPair('restore-sibling', 'restore_sibling', 'BreaksDumps'),
  ...booleanPair('daemon', 'restore_detach'),
  ['images-dir', 'required', null, 'D', 'WritesFiles'],
  ['work-dir', 'required', null, 'W', 'WritesFiles'],
  ['log-file', 'required', null, 'o', 'WritesFiles'],
  ['join-ns', 'required', null, 'J', 'ExposesHost'],
  ['root', 'required', null, 'r', 'ExposesHost'],
  ['ext-unix-sk', 'optional', null, 'x'],
  ['help', 'boolean', null, 'h', 'BreaksDumps'],
  ...booleanPair('tcp-established', 'tcp_established_ok'),
  ['close', 'required', null, 1043, 'BreaksDumps'],
  ...booleanPair('log-pid', 'log_file_per_pid'),
  ['version', 'boolean', null, 'V', 'BreaksDumps'],
  ...booleanPair('evasive-devices', 'evasive_devices'),
  ['pidfile', 'required', null, 1046, 'WritesFiles'],
  ['veth-pair', 'required', null, 1047, 'ExposesHost'],
  ['action-script', 'required', null, 1049, 'RunsCode'],
  ...booleanPair('link-remap', 'link_remap_ok'),
  ...booleanPair('shell-job', 'shell_job'),
  ...booleanPair('file-locks', 'handle_file_locks'),
  ...booleanPair('page-server', 'use_page_server', 'SendsMemory'),
  ['address', 'required', null, 1051, 'SendsMemory'],
  ['port', 'required', null, 1052, 'SendsMemory'],
  ['prev-images-dir', 'required', null, 1053, 'BreaksDumps'],
  ['ms', 'boolean', null, 1054, 'BreaksDumps'],
  ...booleanPair('track-mem', 'track_mem'),
  ...booleanPair('auto-dedup', 'auto_dedup'),
  ['libdir', 'required', null, 'L', 'RunsCode'],
  ['cpu-cap', 'optional', null, 1057],
  ...booleanPair('force-irmap', 'force_irmap'),
  ['ext-mount-map', 'required', null, 'M', 'ExposesHost'],
  ['exec-cmd', 'boolean', null, 1059],
  ['manage-cgroups', 'optional', null, 1060],
  ['cgroup-root', 'required', null, 1061, 'ExposesHost'],
  ['inherit-fd', 'required', null, 1062, 'ExposesHost'],
  ['feature', 'required', null, 1063],
  ['skip-mnt', 'required', null, 1064],
  ['enable-fs', 'required', null, 1065],
  ['enable-external-sharing', 'boolean', 'enable_external_sharing', 1, 'ExposesHost'],
  ['enable-external-masters', 'boolean', 'enable_external_masters', 1, 'ExposesHost'],
  ['freeze-cgroup', 'required', null, 1068, 'StopsWorkloads'],
  ['ghost-limit', 'required', null, 1069],
  ['irmap-scan-path', 'required', null, 1070],
  ['lsm-profile', 'required', null, 1071, 'WeakensConfinement'],
  ['timeout', 'required', null, 1072, 'StopsWorkloads'],
  ['external', 'required', null, 1073, 'ExposesHost'],
  ['empty-ns', 'required', null, 1074],
  ['lazy-pages', 'boolean', null, 1076, 'BreaksDumps'],
  ...booleanPair('extra', 'check_extra_features'),
  ...booleanPair('experimental', 'check_experimental_features'),
  ['all', 'boolean', null, 1079],
  ['cgroup-props', 'required', null, 1080],
  ['cgroup-props-file', 'required', null, 1081],
  ['cgroup-dump-controller', 'required', null, 1082],
  ...booleanPair('skip-in-flight', 'tcp_skip_in_flight'),
  ...booleanPair('deprecated', 'deprecated_ok'),
  ...booleanPair('display-stats', 'display_stats'),
  ...booleanPair('weak-sysctls', 'weak_sysctls'),
  ['status-fd', 'required', null, 1088, 'BreaksDumps'],
  ...booleanPair('tcp-close', 'tcp_close'),
  ['verbosity', 'optional', null, 'v'],
  ['ps-socket', 'required', null, 1091, 'SendsMemory'],
  ...booleanPair('stream', 'stream', 'BreaksDumps'),
  ['config', 'required', null, 1089],
  ['no-default-config', 'boolean', null, 1090],
  ['tls-cacert', 'required', null, 1092],
  ['tls-cacrl', 'required', null, 1093],
  ['tls-cert', 'required', null, 1094],
  ['tls-key', 'required', null, 1095],
  ...booleanPair('tls', 'tls'),
  ['tls-no-cn-verify', 'boolean', 'tls_no_cn_verify', 1, 'WeakensConfinement'],
  ['cgroup-yard', 'required', null, 1096, 'ExposesHost'],
  ['pre-dump-mode', 'required', null, 1097],
  ['file-validation', 'required', null, 1098],
  ...booleanPair('skip-file-rwx-check', 'skip_file_rwx_check', 'WeakensConfinement'),
  ['lsm-mount-context', 'required', null, 1099, 'WeakensConfinement'],
  ['network-lock', 'required', null, 1100],
  ...booleanPair('mntns-compat-mode', 'mntns_compat_mode', 'BreaksDumps'),
  ...booleanPair('unprivileged', 'unprivileged'),
  ...booleanPair('ghost-fiemap', 'ghost_fiemap'),
  ...booleanPair('allow-uprobes', 'allow_uprobes'),
];

export const CRIU_OPTIONS: readonly CriuOption[] = ROWS.map(([name, kind, flag, value, danger]) => ({
  name,
  kind,
  flag,
  value,
  danger: danger ?? null,
}));

/** CRIU's short option letters, each with the long option that means the same ("dSsRt:hD:o:v::x::Vr:jJ:lW:L:M:"). */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  d: 'restore-detached',
  S: 'restore-sibling',
  s: 'leave-stopped',
  R: 'leave-running',
  t: 'tree',
  h: 'help',
  D: 'images-dir',
  o: 'log-file',
  v: 'verbosity',
  x: 'ext-unix-sk',
  V: 'version',
  r: 'root',
  j: 'shell-job',
  J: 'join-ns',
  l: 'file-locks',
  W: 'work-dir',
  L: 'libdir',
  M: 'ext-mount-map',
};

const byName: ReadonlyMap<string, CriuOption> = new Map(CRIU_OPTIONS.map((option) => [option.name, option]));

/** The option with exactly this long name. */
export function optionNamed(name: string): CriuOption | null {
  return byName.get(name) ?? null;
}

/** The option that a short letter stands for; kinds are the same in both tables. */
export function optionForLetter(letter: string): CriuOption | null {
  const name = Object.hasOwn(SHORT_NAMES, letter) ? SHORT_NAMES[letter] : undefined;
  return name === undefined ? null : optionNamed(name);
}

export type LongMatch =
  | { readonly kind: 'Found'; readonly option: CriuOption }
  | { readonly kind: 'Ambiguous'; readonly candidates: readonly string[] }
  | { readonly kind: 'Unknown' };

function isSameOption(left: CriuOption, right: CriuOption): boolean {
  return left.kind === right.kind && left.flag === right.flag && left.value === right.value;
}

/** glibc's rule: an exact name wins; else a prefix counts when all options it fits are one and the same in effect. An empty name fits all. */
export function matchLongName(name: string): LongMatch {
  const exact = optionNamed(name);
  if (exact) return { kind: 'Found', option: exact };
  const fitting = CRIU_OPTIONS.filter((option) => option.name.startsWith(name));
  const first = fitting[0];
  if (!first) return { kind: 'Unknown' };
  if (fitting.every((option) => isSameOption(first, option))) return { kind: 'Found', option: first };
  return { kind: 'Ambiguous', candidates: fitting.map((option) => option.name) };
}
