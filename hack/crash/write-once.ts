// One pass of the writer over one file, as its own process, for the crash tests: recover, read, plan, replace or remove.
// Usage: write-once.ts ROOT PATH LIMIT|none [OPTION...]. Prints one JSON line; exits 0 when the file is as wanted, 1 when a file call failed.
// Run with UV_THREADPOOL_SIZE=1, all its file calls come from one thread, so that the n-th call is always the same one; its temporary file, and the second name of
// the file that it replaces, are always the same, so that strace can be told to look at them. It looks for no other processes: there are none.
import type { CriuOptionName } from '../../src/api/criu-option.ts';
import { nodeFileCalls, type FileCalls } from '../../src/adapters/host/file-calls.ts';
import { createPosixHostFiles } from '../../src/adapters/host/posix-host-files.ts';
import { judgeCriuConf } from '../../src/domain/criu-conf/judge.ts';
import { planFile, type FilePlan } from '../../src/domain/criu-conf/plan-file.ts';
import { HostFileError, type HostFileSnapshot } from '../../src/ports/host-files.ts';

const [hostRoot = '', path = '', limit = 'none', ...options] = process.argv.slice(2);
const known = (name: string): string =>
  name.replace(/[0-9a-f]{16}\.tmp$/, '0000000000000000.tmp').replace(/[0-9a-f]{8}\.old$/, '00000000.old');
const calls: FileCalls = {
  ...nodeFileCalls,
  create: (name) => nodeFileCalls.create(known(name)),
  rename: (from, to) => nodeFileCalls.rename(known(from), known(to)),
  link: (from, to) => nodeFileCalls.link(known(from), known(to)),
  unlink: (name) => nodeFileCalls.unlink(known(name)),
  writersOf: () => Promise.resolve([]),
};
const files = createPosixHostFiles({ hostRoot, requireRootOwner: true, processes: null, calls });

function carryOut(snapshot: HostFileSnapshot, { action }: FilePlan): Promise<string> {
  switch (action.kind) {
    case 'Leave':
      return Promise.resolve('Left');
    case 'Write':
      return files.replace(snapshot, action.content);
    case 'Remove':
      return files.remove(snapshot, action);
  }
}

async function pass(): Promise<{ outcome: string; swept: number }> {
  const swept = await files.recover(path);
  const snapshot = await files.read(path);
  const plan = planFile({
    path,
    content: snapshot.content,
    directoryPresent: snapshot.directoryPresent,
    desired: {
      ghostLimitBytes: limit === 'none' ? null : BigInt(limit),
      options: options as CriuOptionName[],
    },
    judge: judgeCriuConf,
    origin: { hadFile: false, hadDirectory: false },
  });
  return { outcome: await carryOut(snapshot, plan), swept };
}

try {
  process.stdout.write(`${JSON.stringify(await pass())}\n`);
} catch (error) {
  if (!(error instanceof HostFileError)) throw error;
  const { reason, code, message } = error;
  process.stdout.write(`${JSON.stringify({ outcome: 'Failed', reason, code, message })}\n`);
  process.exitCode = 1;
}
