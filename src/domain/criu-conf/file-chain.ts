// Which CRIU files count on a host: what each OCI runtime reads, and so which files must hold our lines. Pure; the facts are gathered elsewhere.
import type { CriuFileName, CriuReaders, UsedOciRuntime } from '../../api/criu-readers.ts';
import type { CriuOptionName } from '../../api/criu-option.ts';
import { CRIU_FILE_PATHS } from '../../api/names.ts';
import type { ReasonCode } from '../../api/reasons.ts';
import type { WantedLines } from '../policy/resolve.ts';

export interface FileChainFacts {
  /** null: nobody has looked yet. */
  readonly readers: CriuReaders | null;
  /** crun reads crun.conf in place of runc.conf when it exists, be it empty. */
  readonly crunConfPresent: boolean;
}

export interface KeptFile {
  readonly name: CriuFileName;
  readonly path: string;
  /** Who reads it and why it has to be this one; a sentence for the report. */
  readonly why: string;
}

export interface ChainRemark {
  readonly path: string;
  readonly reason: ReasonCode;
  readonly message: string;
}

export interface FileChain {
  readonly kept: readonly KeptFile[];
  /** Runtimes whose containers our lines do not reach, or not all of them. */
  readonly remarks: readonly ChainRemark[];
}

/** The first CRIU with configuration files. Source: the change log of CRIU 3.11. */
const FIRST_CRIU_WITH_FILES = [3, 11] as const;

/**
 * The options that take effect from default.conf for crun. The others are in every request of crun, on or off, and what is in the request overrules default.conf
 * (crun 1.28 src/libcrun/criu.c; CRIU 4.2 criu/cr-service.c). The ghost-limit is in no runtime's request.
 */
const HOLDS_IN_DEFAULT_CONF: ReadonlySet<CriuOptionName> = new Set([
  'LinkRemap',
  'TcpClose',
  'TcpSkipInFlight',
]);

/** Which files must hold our lines, and what they do not reach. Setting `auto`: runc.conf always, the others only where a runtime that is used here needs them. */
export function resolveFileChain(facts: FileChainFacts): FileChain {
  const files = facts.readers?.files ?? 'auto';
  const names =
    files === 'auto' ? neededFiles(facts) : CRIU_FILE_ORDER.filter((name) => files.includes(name));
  // An absent crun.conf is not made: that alone would hide all that is in runc.conf from crun.
  const present = names.filter((name) => name !== 'crun.conf' || facts.crunConfPresent);
  const kept = present.map((name) => ({ name, path: CRIU_FILE_PATHS[name], why: whyKept(name, facts) }));
  return { kept, remarks: [...oldCriu(facts), ...notReached(present, facts)] };
}

const CRIU_FILE_ORDER: readonly CriuFileName[] = ['runc.conf', 'crun.conf', 'default.conf'];

/**
 * The file that has the last word for containers of this runtime; null: not known. For crun it takes both sides: crun 1.26 to name a file, libcriu 4.2 to take it
 * (measured in the lab: crun 1.28 with libcriu 4.2.1 reads it, crun 1.21 with libcriu 4.1.1 does not).
 */
export function decidingFile(
  runtime: UsedOciRuntime,
  { readers, crunConfPresent }: FileChainFacts,
): CriuFileName | null {
  if (runtime.kind !== 'crun') return runtime.kind === 'runc' ? 'runc.conf' : null;
  if (!runtime.namesFile) return 'default.conf';
  const libcriu = readers?.libcriu ?? null;
  // Without the library no checkpoint works, and nobody knows what the one to come can do.
  if (libcriu === null) return null;
  if (!libcriu.takesFileName) return 'default.conf';
  return crunConfPresent ? 'crun.conf' : 'runc.conf';
}

/** What of `wanted` belongs into a file, and which options would have no effect there. */
export function linesFor(
  name: CriuFileName,
  wanted: WantedLines,
): { readonly lines: WantedLines; readonly overruled: readonly CriuOptionName[] } {
  if (name !== 'default.conf') return { lines: wanted, overruled: [] };
  const holds = (option: CriuOptionName): boolean => HOLDS_IN_DEFAULT_CONF.has(option);
  return {
    lines: { ...wanted, options: wanted.options.filter(holds) },
    overruled: wanted.options.filter((option) => !holds(option)),
  };
}

/** What to say about options that the only file which a runtime reads cannot carry. */
export function overruledRemark(overruled: readonly CriuOptionName[]): ChainRemark {
  return {
    path: CRIU_FILE_PATHS['default.conf'],
    reason: 'OptionOverruled',
    message: `${overruled.join(', ')}: crun sets this itself in each dump, which overrules default.conf, the only file that it reads here`,
  };
}

function neededFiles(facts: FileChainFacts): readonly CriuFileName[] {
  const deciding = usedRuntimes(facts).map((runtime) => decidingFile(runtime, facts));
  return CRIU_FILE_ORDER.filter((name) => name === 'runc.conf' || deciding.includes(name));
}

function usedRuntimes({ readers }: FileChainFacts): readonly UsedOciRuntime[] {
  return readers?.ociRuntimes ?? [];
}

function whyKept(name: CriuFileName, facts: FileChainFacts): string {
  const readBy = usedRuntimes(facts).filter((runtime) => decidingFile(runtime, facts) === name);
  if (readBy.length === 0) return nobodyReads(name);
  return readBy.map((runtime) => `${printRuntime(runtime)} ${whyReads(runtime, name, facts)}`).join('; ');
}

function nobodyReads(name: CriuFileName): string {
  return name === 'runc.conf'
    ? 'runc reads it, and crun where it can'
    : 'the setting "files" names it; no runtime that was found here needs it';
}

function whyReads(runtime: UsedOciRuntime, name: CriuFileName, { readers }: FileChainFacts): string {
  if (name === 'crun.conf') return 'reads it in place of runc.conf, because it exists';
  if (name === 'runc.conf')
    return runtime.kind === 'runc' ? 'reads it' : 'reads it, as there is no crun.conf';
  const tooOld = [
    ...(runtime.namesFile ? [] : ['crun 1.26']),
    ...(readers?.libcriu?.takesFileName === false ? ['libcriu 4.2'] : []),
  ];
  return `reads neither runc.conf nor crun.conf (that takes ${tooOld.join(' and ')}), so that only CRIU's own default.conf counts`;
}

/** e.g. "crun 1.28 (podman)". */
export function printRuntime({ kind, program, version, engines }: UsedOciRuntime): string {
  const name = kind === 'Other' ? program : kind;
  return `${[name, version].filter((part) => part !== null).join(' ')} (${engines.join(', ')})`;
}

function notReached(kept: readonly CriuFileName[], facts: FileChainFacts): ChainRemark[] {
  return usedRuntimes(facts).flatMap((runtime) => {
    const name = decidingFile(runtime, facts);
    if (name !== null && kept.includes(name)) return [];
    if (name !== null)
      return [
        {
          path: CRIU_FILE_PATHS[name],
          reason: name === 'crun.conf' ? 'HiddenByCrunConf' : 'FileNotKept',
          message: `${printRuntime(runtime)} ${whyReads(runtime, name, facts)}, and the setting "files" leaves it out`,
        },
      ];
    if (runtime.kind === 'crun') return [];
    return [
      {
        path: CRIU_FILE_PATHS['runc.conf'],
        reason: 'FileNotKept',
        message: `it is not known which CRIU files ${printRuntime(runtime)} reads`,
      },
    ];
  });
}

function oldCriu({ readers }: FileChainFacts): ChainRemark[] {
  const version = readers?.criuVersion ?? null;
  const match = /^(\d+)\.(\d+)/.exec(version ?? '');
  if (version === null || match === null) return [];
  const [major, minor] = [Number(match[1]), Number(match[2])];
  const [firstMajor, firstMinor] = FIRST_CRIU_WITH_FILES;
  if (major > firstMajor || (major === firstMajor && minor >= firstMinor)) return [];
  const message = `CRIU ${version} has no configuration files: it takes 3.11 or newer`;
  return [{ path: CRIU_FILE_PATHS['runc.conf'], reason: 'CriuTooOld', message }];
}
