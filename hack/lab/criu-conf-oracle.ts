// Asks real CRIU, through runc, about CRIU configuration files: accepted or refused, and which ghost limit is in force.
// A container holds deleted files of rising sizes; the first one that CRIU refuses to dump names the limit's interval.
import { ghostLadderHolder, HOLD_FOLDER } from './ghost-holders.ts';
import type { LabNode } from './lab-node.ts';
import { startLabNode } from './lab-node.ts';
import { GRAIN_BYTES, guessLimits, planRungs, RUNGS } from './limit-ladder.ts';
import type { LimitInterval } from './limit-ladder.ts';
import type { Progress } from './node-root.ts';
import { startRuncContainer } from './runc.ts';
import type { RuncContainer } from './runc.ts';

export interface ConfFile {
  name: string;
  bytes: Uint8Array;
}

export interface Verdict {
  name: string;
  verdict: 'Accepted' | 'Refused';
  /** A deleted file of this many allocated bytes passed (0: none did); null when the file is refused. */
  ghostLimitAtLeastBytes: number | null;
  /** A deleted file of this many allocated bytes was refused; null when none was, up to 64 GiB, or the file is refused. */
  ghostLimitBelowBytes: number | null;
  /**
   * The last error of runc (`criu failed: type DUMP errno 56`, `read unixpacket @->@: EOF`); this and the next two are
   * empty when the limit is known.
   */
  runcError: string;
  /** What CRIU wrote to the stderr that runc closes, and its exit code as a shell has it (139: a crash). Both from the last criu of the try. */
  criuStderr: string;
  criuExitCode: number | null;
}

const CONTAINER = 'oracle';
const DISK = '/run/oracle-disk';
const HELD = `${DISK}/held`;
const ATTEMPT_SECONDS = 120;
const MAX_ROUNDS = 8;

/** Stands before the real criu in PATH: runs it unchanged and keeps what it says and how it ends (runc closes both). */
const CRIU_WITNESS = `#!/bin/sh
/usr/sbin/criu "$@" >> /run/oracle/stderr 2>&1
code=$?
echo $code > /run/oracle/status
exit $code
`;

/** A disk on which an allocated block costs nothing: files of 64 GiB are held without memory. */
const MAKE_DISK = `
mkdir -p ${DISK} /run/oracle
truncate -s 512G /run/oracle.img
mkfs.ext4 -q -b ${GRAIN_BYTES} -N 4096 -m 0 -O ^has_journal,^resize_inode -E lazy_itable_init=1,nodiscard /run/oracle.img
mount -o loop /run/oracle.img ${DISK}
mkdir ${HELD}
`;

/** One try. Stdin is the file; the answer is sections, each under a line that no log has. */
const ATTEMPT = `
rm -rf /run/oracle/*; mkdir /run/oracle/image /run/oracle/work
cat > /etc/criu/runc.conf
cd /run/oracle/work
timeout -s KILL ${ATTEMPT_SECONDS} runc checkpoint --leave-running --image-path /run/oracle/image --work-path /run/oracle/work ${CONTAINER} < /dev/null > /run/oracle/runc 2>&1
code=$?
echo "=== code"; echo $code
echo "=== runc"; cat /run/oracle/runc
echo "=== status"; cat /run/oracle/status
echo "=== stderr"; cat /run/oracle/stderr
echo "=== state"; sed -n 's/^State:.\\(.\\).*/\\1/p' /proc/$1/status
echo "=== log"; find /run/oracle/work -type f -exec cat {} + | grep -a -E "^\\([0-9.]+\\) (Error|Dumping processes|Dumping finished)|Can't dump ghost file"
true
`;

/**
 * Gives the held files the sizes on stdin, the rest none, and prints their blocks. A large file's map takes blocks of
 * its own, which count: it is made anew that much smaller.
 */
const HOLD = `
for i in $(seq 0 ${RUNGS - 1}); do
  read -r bytes || bytes=0
  file=/proc/$1/fd/$((i + 3))
  truncate -s 0 $file
  [ $bytes = 0 ] && continue
  fallocate --keep-size --length $bytes $file
  [ $bytes -lt 100000000 ] && continue
  extra=$(($(stat -L -c %b $file) * 512 - bytes))
  [ $extra = 0 ] || { truncate -s 0 $file; fallocate --keep-size --length $((bytes - extra)) $file; }
done
stat -L -c %b $(seq -f "/proc/$1/fd/%g" 3 ${RUNGS + 2})
`;

export interface Attempt {
  code: number;
  runcError: string;
  criuStderr: string;
  criuExitCode: number | null;
  /** CRIU got past its configuration: it opened its log, or finished. */
  isAccepted: boolean;
  /** Allocated bytes of the first deleted file over the limit; null when none was. */
  refusedBytes: number | null;
  /** The container is as it was: frozen, its program alive and not stopped. */
  isContainerWell: boolean;
}

/** Reads what ATTEMPT printed. CRIU opens its log only once it has taken its configuration, so a refused file leaves none. */
export function parseAttempt(text: string): Attempt {
  const sections = new Map(
    text
      .split(/^=== /m)
      .slice(1)
      .map((section) => {
        const end = section.indexOf('\n');
        return [section.slice(0, end), section.slice(end + 1)] as const;
      }),
  );
  const section = (name: string): string => (sections.get(name) ?? '').trimEnd();
  const runcError = lastError(section('runc'));
  const code = Number(section('code'));
  const refused = /Can't dump ghost file .* of (\d+) size, increase limit/.exec(
    section('log') + section('stderr'),
  );
  return {
    code,
    runcError,
    criuStderr: section('stderr').slice(0, 400),
    criuExitCode: section('status') === '' ? null : Number(section('status')),
    // `log-file` may have put the log out of our sight: errno 0 is a dump that failed after its configuration was read.
    isAccepted: code === 0 || section('log') !== '' || /criu failed: type \w+ errno 0$/.test(runcError),
    refusedBytes: refused ? Number(refused[1]) : null,
    isContainerWell: ['S', 'D'].includes(section('state')),
  };
}

/** The message of runc's last error line, or all it said when it has none. */
function lastError(stderr: string): string {
  const message =
    [...stderr.matchAll(/level=error msg=("(?:[^"\\]|\\.)*"|\S+)/g)].at(-1)?.[1] ?? stderr.slice(-400);
  return message.startsWith('"') ? (JSON.parse(message) as string) : message;
}

interface Judge {
  /** Gives the held files these sizes (rising); returns what was really allocated. */
  hold: (rungs: readonly number[]) => Promise<number[]>;
  attempt: (bytes: Uint8Array) => Promise<Attempt>;
}

async function startJudge(node: LabNode): Promise<Judge> {
  await node.run(['sh', '-ec', MAKE_DISK]);
  await node.writeFile('/usr/local/sbin/criu', CRIU_WITNESS);
  await node.run(['chmod', '755', '/usr/local/sbin/criu']);
  let container = await startLadder(node);
  let held: readonly number[] = [];
  const hold = async (rungs: readonly number[]): Promise<number[]> => {
    held = rungs;
    const blocks = await node.run(['bash', '-ec', HOLD, 'hold', String(container.pid)], {
      input: rungs.join('\n') + '\n',
    });
    return blocks
      .trim()
      .split('\n')
      .map((count) => Number(count) * 512)
      .slice(0, rungs.length);
  };
  return {
    hold,
    attempt: async (bytes) => {
      const text = await node.run(['sh', '-c', ATTEMPT, 'attempt', String(container.pid)], { input: bytes });
      const attempt = parseAttempt(text);
      if (!attempt.isContainerWell) {
        await container.remove();
        container = await startLadder(node);
        await hold(held);
      }
      return attempt;
    },
  };
}

/** Frozen and on the host's network a dump takes 25 ms; else CRIU waits 100 ms for the freezer and 60 ms for the network. */
async function startLadder(node: LabNode): Promise<RuncContainer> {
  const names = Array.from({ length: RUNGS }, (_, index) => String(index).padStart(4, '0')).join(' ');
  await node.run(['sh', '-ec', `cd ${HELD} && rm -f * && touch ${names}`]);
  const mounts = [{ destination: HOLD_FOLDER, type: 'bind', source: HELD, options: ['rbind', 'rw'] }];
  const options = { id: CONTAINER, args: ghostLadderHolder(), mounts, hostNetwork: true };
  const container = await startRuncContainer(node, options);
  const opened = `until [ "$(ls /proc/$1/fd | wc -l)" -ge ${RUNGS + 3} ]; do sleep 0.02; done; rm ${HELD}/*; runc pause ${CONTAINER}`;
  await node.run(['sh', '-ec', opened, 'opened', String(container.pid)], { timeoutMs: 120_000 });
  return container;
}

interface Case {
  file: ConfFile;
  guesses: readonly number[];
  interval: LimitInterval;
  attempt: Attempt | undefined;
  /** Further rounds would not tell more. */
  isSettled: boolean;
}

const key = ({ lowBytes, highBytes }: LimitInterval): string => `${lowBytes}-${highBytes ?? ''}`;

/** The interval after a try with these held sizes: the largest that passed, the first that did not. */
export function narrow(
  interval: LimitInterval,
  held: readonly number[],
  refusedBytes: number | null,
): LimitInterval {
  const passed = held.filter((size) => refusedBytes === null || size < refusedBytes);
  return {
    lowBytes: Math.max(interval.lowBytes, ...passed),
    highBytes: refusedBytes ?? interval.highBytes,
  };
}

/** CRIU got as far as the files: whether it dumped them or refused one. Another failure tells nothing of the limit. */
const tellsLimit = ({ code, refusedBytes }: Attempt): boolean => code === 0 || refusedBytes !== null;

const widthBytes = ({ lowBytes, highBytes }: LimitInterval): number => (highBytes ?? Infinity) - lowBytes;

function judgeCase(each: Case, held: readonly number[], attempt: Attempt): void {
  const before = widthBytes(each.interval);
  each.attempt = attempt;
  if (tellsLimit(attempt)) each.interval = narrow(each.interval, held, attempt.refusedBytes);
  const after = widthBytes(each.interval);
  each.isSettled = !tellsLimit(attempt) || after <= GRAIN_BYTES || after === Infinity || after > before / 2;
}

/** One round: the open cases in groups of the same interval, each group with rungs of its own. */
async function playRound(judge: Judge, cases: readonly Case[], progress: Progress): Promise<void> {
  const groups = Map.groupBy(cases, ({ interval }) => key(interval));
  let done = 0;
  for (const group of groups.values()) {
    const interval = group[0]?.interval ?? { lowBytes: 0, highBytes: null };
    const guesses = group.flatMap((each) => each.guesses);
    const held = await judge.hold(planRungs(interval, guesses));
    for (const each of group) {
      judgeCase(each, held, await judge.attempt(each.file.bytes));
      done += 1;
      if (done % 100 === 0) progress(`asked CRIU about ${done} of ${cases.length} files`);
    }
  }
}

function verdictOf({ file, interval, attempt }: Case): Verdict {
  if (!attempt) throw new Error(`${file.name} was not tried`);
  const { isAccepted, runcError, criuStderr, criuExitCode } = attempt;
  const isKnown = isAccepted && tellsLimit(attempt);
  return {
    name: file.name,
    verdict: isAccepted ? 'Accepted' : 'Refused',
    ghostLimitAtLeastBytes: isKnown ? interval.lowBytes : null,
    ghostLimitBelowBytes: isKnown ? interval.highBytes : null,
    runcError: isKnown ? '' : runcError,
    criuStderr: isKnown ? '' : criuStderr,
    criuExitCode: isKnown ? null : criuExitCode,
  };
}

/**
 * The verdict of real CRIU, through runc, on each file as /etc/criu/runc.conf, 50 to 100 ms a file. Limits under 16 GiB
 * are told to 1024 bytes, those up to 64 GiB roughly. An accepted file whose dump then fails for another reason, or
 * whose `log-file` hides the log, has both bounds null and runcError set.
 */
export async function recordVerdicts(files: readonly ConfFile[], progress: Progress): Promise<Verdict[]> {
  const node = await startLabNode({ name: 'oracle', progress });
  try {
    const judge = await startJudge(node);
    const cases = files.map((file): Case => {
      const guesses = [...guessLimits(file.bytes), 1024 ** 2];
      return {
        file,
        guesses,
        interval: { lowBytes: 0, highBytes: null },
        attempt: undefined,
        isSettled: false,
      };
    });
    for (let round = 1; round <= MAX_ROUNDS; round += 1) {
      const open = cases.filter(({ isSettled }) => !isSettled);
      if (open.length === 0) break;
      progress(`round ${round}: ${open.length} files`);
      await playRound(judge, open, progress);
    }
    return cases.map(verdictOf);
  } finally {
    await node.stop();
  }
}
