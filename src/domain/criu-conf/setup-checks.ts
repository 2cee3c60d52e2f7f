// What makes CRIU refuse a dump after it has taken all options: options that exclude one another, paths that are not there, options that crash it.
// Source: setup_opts_from_req() in CRIU 4.2.1 criu/cr-service.c, check_options() in criu/config.c; measured with runc 1.3.6.

import type { FoundOption } from './getopt.ts';
import { directoryOf } from './host-paths.ts';
import type { DirectoryExists } from './host-paths.ts';
import type { Refusal } from './refusal-messages.ts';
import { escapeBytes } from './bytes.ts';
import { parseInt32 } from './size.ts';

type Found = readonly FoundOption[];
type Check = (found: Found, directoryExists: DirectoryExists) => Refusal | null;

const AT_ONCE: ReadonlyMap<string, Omit<Refusal, 'line'>> = new Map([
  ['help', { code: 'HelpOption', message: 'the option "help" makes CRIU reject the whole file' }],
  [
    'version',
    {
      code: 'VersionOption',
      message: 'the option "version" makes CRIU print its version and exit without an answer',
    },
  ],
  [
    'ms',
    {
      code: 'RemovedOption',
      message: 'CRIU knows the option "ms" only to refuse it; it rejects the whole file',
    },
  ],
]);

/** For an option that CRIU refuses as soon as it reads it; null: it reads on. */
export function refusesAtOnce(found: FoundOption): Refusal | null {
  const refusal = AT_ONCE.get(found.option.name);
  return refusal ? { line: found.line, ...refusal } : null;
}

function lastOf(found: Found, name: string): FoundOption | undefined {
  return found.findLast(({ option }) => option.name === name);
}

/** The last line that turned on the int of `opts` that `flag` names; null: it is off at the end. */
function lineThatSets(found: Found, flag: string): number | null {
  const last = found.findLast(({ option }) => option.flag === flag);
  return last?.option.value === 1 ? last.line : null;
}

function isDetached(found: Found): boolean {
  return lineThatSets(found, 'restore_detach') !== null;
}

/** A check of one switch that makes every dump fail while it is on. */
function forbidden(flag: string, refusal: Omit<Refusal, 'line'>): Check {
  return (found) => {
    const line = lineThatSets(found, flag);
    return line === null ? null : { line, ...refusal };
  };
}

const checkSibling: Check = (found) => {
  const line = lineThatSets(found, 'restore_sibling');
  if (line === null || isDetached(found)) return null;
  const message = '"restore-sibling" without "restore-detached": CRIU refuses every dump';
  return { line, code: 'OptionConflict', message };
};

const checkPageSocket: Check = (found) => {
  const socket = lastOf(found, 'ps-socket');
  const descriptor = parseInt32(socket?.value ?? '-1');
  if (!socket || descriptor === -1 || descriptor > 2 || !isDetached(found)) return null;
  const message =
    '"ps-socket" with a standard descriptor and "daemon" or "restore-detached": CRIU refuses every dump';
  return { line: socket.line, code: 'OptionConflict', message };
};

function missing({ option, value, line }: FoundOption, what: string): Refusal {
  const message = `"${option.name} ${escapeBytes(value ?? '')}": CRIU refuses every dump unless ${what}`;
  return { line, code: 'MissingPath', message };
}

/** Only the last value of each counts. */
function checkDirectory(name: string): Check {
  return (found, directoryExists) => {
    const last = lastOf(found, name);
    if (!last || (last.value && directoryExists(last.value))) return null;
    return missing(last, 'this directory exists');
  };
}

/** log_init() in criu/log.c; `-` is standard output. */
const checkLogFile: Check = (found, directoryExists) => {
  const last = lastOf(found, 'log-file');
  if (!last) return null;
  const path = last.value ?? '';
  if (/(?:^|\/)\.{0,2}$/.test(path)) return missing(last, 'it names a file');
  return directoryExists(directoryOf(path)) ? null : missing(last, 'the directory of this file exists');
};

/** Without an address CRIU resolves a host name that is not there, and aborts. */
const checkPageServer: Check = (found) => {
  const line = lineThatSets(found, 'use_page_server');
  const hasSocket = parseInt32(lastOf(found, 'ps-socket')?.value ?? '-1') !== -1;
  if (line === null || hasSocket || lastOf(found, 'address')) return null;
  return {
    line,
    code: 'NotForDumps',
    message: '"page-server" without "address" makes CRIU crash in every dump',
  };
};

const CHECKS: readonly Check[] = [
  checkDirectory('images-dir'),
  forbidden('stream', {
    code: 'NotForDumps',
    message: '"stream" makes CRIU crash in every dump through a runtime',
  }),
  checkDirectory('prev-images-dir'),
  checkDirectory('work-dir'),
  checkLogFile,
  checkSibling,
  checkPageSocket,
  forbidden('mntns_compat_mode', {
    code: 'NotForDumps',
    message: '"mntns-compat-mode" is for restores only: CRIU refuses every dump',
  }),
  forbidden('track_mem', {
    code: 'NeedsKernelSupport',
    message: '"track-mem": CRIU refuses every dump unless the kernel tracks soft-dirty memory',
  }),
  checkPageServer,
];

/** What CRIU finds wrong when all options are taken, in its order; null: it goes on to dump. */
export function checkSetup(found: Found, directoryExists: DirectoryExists): Refusal | null {
  for (const check of CHECKS) {
    const refusal = check(found, directoryExists);
    if (refusal) return refusal;
  }
  return null;
}
