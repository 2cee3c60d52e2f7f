// Which CRIU files count on this host, each judged as CRIU would: those that runtimes name, and those that CRIU reads by itself before.
import { CRIU_FILE_NAMES, type CriuFileName, type CriuReaders } from '../api/criu-readers.ts';
import { CRIU_DEFAULT_GHOST_LIMIT_BYTES, CRIU_FILE_PATHS } from '../api/names.ts';
import { printable } from '../api/printable.ts';
import { resolveFileChain, type FileChain } from '../domain/criu-conf/file-chain.ts';
import { judgeCriuConf } from '../domain/criu-conf/judge.ts';
import type { EngineEnvironments } from '../ports/engine-environments.ts';
import { HostFileError, type HostFiles } from '../ports/host-files.ts';
import { bad, fine, type Check } from './check.ts';

export interface FileDiagnosisParts {
  readonly files: HostFiles;
  readonly environments: EngineEnvironments;
}

/** Every file of CRIU's chain, the kept ones with why. */
export async function checkFiles(readers: CriuReaders, parts: FileDiagnosisParts): Promise<Check[]> {
  const crunConf = await checkFile(CRIU_FILE_PATHS['crun.conf'], parts.files);
  const chain = resolveFileChain({ readers, crunConfPresent: crunConf !== null });
  const checks: Check[] = [];
  for (const name of CRIU_FILE_NAMES) {
    const path = CRIU_FILE_PATHS[name];
    const check = name === 'crun.conf' ? crunConf : await checkFile(path, parts.files);
    checks.push(...explained(name, check, chain));
  }
  checks.push(...(await checkEarlyFiles(parts)));
  return [...checks, ...chain.remarks.map(({ path, reason, message }) => bad(path, reason, message))];
}

/** runc.conf and default.conf are always worth a line, crun.conf where it exists. */
function explained(name: CriuFileName, check: Check | null, chain: FileChain): Check[] {
  const path = CRIU_FILE_PATHS[name];
  const why = chain.kept.find((file) => file.name === name)?.why;
  if (check === null && name === 'crun.conf') return [];
  const found =
    check ??
    fine(
      path,
      `is not there${name === 'default.conf' ? '' : `: CRIU's own limit of ${CRIU_DEFAULT_GHOST_LIMIT_BYTES.toString()} bytes counts`}`,
    );
  return [
    why === undefined || !found.ok ? found : { ...found, message: `${found.message}; kept, as ${why}` },
  ];
}

/**
 * What CRIU reads between default.conf and the file that the runtime names: HOME/.criu/default.conf, then the file of CRIU_CONFIG_FILE, by the environment of the
 * daemon that starts the runtime. Source: CRIU 4.2 criu/config.c. Of root's home always: whoever calls runc by hand has it.
 */
async function checkEarlyFiles({ files, environments }: FileDiagnosisParts): Promise<Check[]> {
  const found = await environments.read();
  const readers = new Map<string, Set<string>>([[homeFile('/root'), new Set(['programs that root starts'])]]);
  const add = (path: string, program: string): void => {
    readers.set(path, (readers.get(path) ?? new Set()).add(program));
  };
  for (const { program, home, criuConfigFile } of found) {
    if (home?.startsWith('/') === true) add(homeFile(home), program);
    if (criuConfigFile?.startsWith('/') === true) add(criuConfigFile, `${program} (CRIU_CONFIG_FILE)`);
  }
  const checks: Check[] = [];
  for (const [path, programs] of readers) {
    const check = await checkFile(path, files);
    const by = `read by CRIU under ${[...programs].join(', ')}, after default.conf`;
    if (check !== null) checks.push({ ...check, message: `${check.message}; ${printable(by, 512)}` });
  }
  return checks;
}

function homeFile(home: string): string {
  return `${home.replace(/\/+$/, '')}/.criu/default.conf`;
}

/** null: it is not there. */
async function checkFile(path: string, files: HostFiles): Promise<Check | null> {
  const name = printable(path, 256);
  try {
    const { content } = await files.read(path);
    if (content === null) return null;
    const { refusal, ghostLimitBytes, findings } = judgeCriuConf(content);
    if (refusal !== null)
      return bad(name, 'ForeignLineInvalid', `line ${refusal.line.toString()}: ${refusal.message}`);
    const limit =
      ghostLimitBytes === null ? 'sets no ghost-limit' : `ghost-limit ${ghostLimitBytes.toString()}`;
    const remarks = findings.map(({ line, message }) => `line ${line.toString()}: ${message}`);
    return fine(name, [`CRIU accepts it, ${limit}`, ...remarks].join('; '));
  } catch (error) {
    if (error instanceof HostFileError) return bad(name, error.reason, error.message);
    throw error;
  }
}
