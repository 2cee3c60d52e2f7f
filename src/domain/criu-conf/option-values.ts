// The values that CRIU checks while it takes its options, by the rules of its sub-parsers. Values it only stores are not checked here either.

import type { DirectoryExists } from './host-paths.ts';
import { FEATURES } from './kernel-features.ts';
import type { CriuOption } from './options.ts';
import { parseInt32, parseUnsignedLong } from './size.ts';

/** Why CRIU refuses the value; null: it takes it. A plain clause to follow "CRIU refuses the value:". */
type Check = (value: string, directoryExists: DirectoryExists) => string | null;

function oneOf(...allowed: readonly string[]): Check {
  return (value) => (allowed.includes(value) ? null : `it must be one of ${allowed.join(', ')}`);
}

const INODES = 'it must be inode numbers with commas between them, none of them 0';

/** unix_sk_ids_parse() in criu/sk-unix.c: each number cut to 32 bits and not 0, any number of commas. */
const checkUnixInodes: Check = (value) => {
  let rest = value;
  while (rest !== '') {
    const { digits, number } = parseUnsignedLong(rest);
    if (rest.startsWith(',')) rest = rest.slice(1);
    else if (BigInt.asUintN(32, number) === 0n) return INODES;
    else rest = rest.slice(digits);
  }
  return null;
};

/** parse_cpu_cap() in criu/config.c: the words may follow one another without a comma. */
const checkCpuCap: Check = (value) =>
  /^(?:\^|,|fpu|all|none|cpu|ins)*$/.test(value)
    ? null
    : 'it must be made of cpu, fpu, all, ins, none, with ^ and commas';

const BLANKS = '[ \\t\\n\\v\\f\\r]*';
const DESCRIPTOR = new RegExp(`^(?:fd|debug)\\[${BLANKS}([+-]?[0-9]+)`);
/** Descriptors that a CRIU started by runc has open at that moment; measured with runc 1.3.6. */
const LAST_OPEN_DESCRIPTOR = 4;
const WRITABLE_DESCRIPTORS = [1, 2];

/** inherit_fd_parse() in criu/files.c. `debug[N]` writes to the descriptor at once: 3 and 4 are CRIU's line to the runtime. */
const checkInheritFd: Check = (value) => {
  const match = DESCRIPTOR.exec(value);
  const descriptor = parseInt32(match?.[1] ?? '-1');
  const colon = value.indexOf(':');
  if (descriptor < 0 || colon === -1 || colon === value.length - 1)
    return 'it must look like fd[NUMBER]:PATH';
  const isUsable = value.startsWith('debug')
    ? WRITABLE_DESCRIPTORS.includes(descriptor)
    : descriptor <= LAST_OPEN_DESCRIPTOR;
  return isUsable ? null : `CRIU has no descriptor ${descriptor} open for that`;
};

const NAMESPACES = ['uts', 'time', 'ipc', 'user', 'mnt'];

/** 0 to 65535, or nothing: what check_int_str() in criu/namespaces.c takes. */
function isShortNumber(text: string): boolean {
  const match = new RegExp(`^${BLANKS}[+-]?[0-9]+$`).exec(text);
  return text === '' || (match !== null && Number(text) >= 0 && Number(text) <= 65_535);
}

function namespaceFileExists(file: string, directoryExists: DirectoryExists): boolean {
  // Process 1 is the only one that is always there.
  if (isShortNumber(file)) return parseInt32(file) === 1;
  return /^\/proc\/(?:1|self)\/ns\/[a-z]+$/.test(file) || directoryExists(file);
}

/** parse_join_ns() in criu/config.c, join_ns_add() in criu/namespaces.c; runc itself asks for an empty network namespace, which excludes net. */
const checkJoinNs: Check = (value, directoryExists) => {
  const colon = value.indexOf(':');
  if (colon === -1) return 'it must look like NAMESPACE:FILE';
  const [file = '', ...extra] = value.slice(colon + 1).split(',');
  if (!namespaceFileExists(file, directoryExists)) return 'the process or file that it names must exist';
  const type = value.slice(0, colon);
  if (type === 'net') return 'runc asks for an empty network namespace, which conflicts with it';
  if (!NAMESPACES.includes(type)) return `the namespace must be one of ${NAMESPACES.join(', ')}`;
  const ids = [extra[0] ?? '', extra.slice(1).join(',')];
  return type === 'user' && !ids.every(isShortNumber) ? 'user and group must be numbers' : null;
};

/** add_external() in criu/external.c: mnt[] may be followed by `:` and a letter; a macvlan names an interface, of which only `lo` is always there. */
const checkExternal: Check = (value) => {
  const auto = /^mnt\[\](.*)$/s.exec(value);
  if (auto) return /^:[^ms]/s.test(auto[1] ?? '') ? 'only m or s can follow mnt[]:' : null;
  if (!value.startsWith('macvlan')) return null;
  const target = /^[^[]*\[[^\]]*\]:(.*)$/s.exec(value)?.[1];
  return target === 'lo' ? null : 'the network interface that it names must exist';
};

const CHECKS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['tree', (value) => (parseInt32(value) > 0 ? null : 'it must start with a process number above 0')],
  ['port', (value) => ((parseInt32(value) & 0xffff) === 0 ? 'it must start with a port number' : null)],
  ['ext-unix-sk', checkUnixInodes],
  ['veth-pair', (value) => (value.includes('=') ? null : 'it must look like INNER=OUTER')],
  [
    'ext-mount-map',
    (value) => (value === 'auto' || value.includes(':') ? null : 'it must be auto or look like KEY:VALUE'),
  ],
  ['cpu-cap', checkCpuCap],
  ['manage-cgroups', oneOf('none', 'props', 'soft', 'full', 'strict', 'ignore')],
  ['inherit-fd', checkInheritFd],
  ['join-ns', checkJoinNs],
  ['feature', (value) => (FEATURES.includes(value) ? null : 'it must be the name of a kernel feature')],
  ['external', checkExternal],
  ['empty-ns', oneOf('net')],
  [
    'status-fd',
    (value) => (new RegExp(`^${BLANKS}[+-]?[0-9]`).test(value) ? null : 'it must start with a number'),
  ],
  ['pre-dump-mode', oneOf('read', 'splice')],
  ['file-validation', oneOf('filesize', 'buildid')],
  ['network-lock', oneOf('iptables', 'nftables', 'skip', 'none')],
]);

/** What is wrong with an option's value, as CRIU 4.2.1's sub-parsers see it; null: CRIU takes it. */
export function checkOptionValue(
  option: CriuOption,
  value: string | null,
  directoryExists: DirectoryExists,
): string | null {
  if (value === null) return null;
  return CHECKS.get(option.name)?.(value, directoryExists) ?? null;
}
