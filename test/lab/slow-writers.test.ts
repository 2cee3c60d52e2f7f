// Programs that hold the CRIU file open while they write it slowly, beside the real agent: whatever the agent does meanwhile, their text is in the file in the end, with our lines below it.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ChildProcess } from 'node:child_process';
import { CheckpointNodeStatusSchema, type FileReport } from '../../src/api/checkpoint-node.ts';
import { DEFAULT_STATUS_FILE } from '../../src/api/names.ts';
import { ended } from '../../hack/lab/program.ts';
import {
  eventually,
  limitPolicy,
  MIB,
  POLICIES,
  RUNC_CONF,
  startStandaloneHost,
  type StandaloneHost,
} from './standalone-host.ts';

const DEFAULT_CONF = '/etc/criu/default.conf';
const POLICY = `${POLICIES}/web.yaml`;
/** The agent waits half a minute for a program that never closes the file, and as long again for each text that comes from one. */
const PATIENCE_MS = 120_000;

let host: StandaloneHost;
let agent: ChildProcess;
/** Counts the tests: no two of them write the same text, as a text that comes again and again in place of ours would count as a fight. */
let number = 0;
/** What is in the file when a test begins. */
let before = '';

const sh = (script: string): Promise<string> => host.node.run(['sh', '-ec', script], { timeoutMs: 60_000 });
const ask = (mib: number): Promise<void> =>
  host.node.writeFile(POLICY, limitPolicy('web', `{fixed: ${mib.toString()}Mi}`));

/** The file without our block, and what our block says; null: there is no file. */
async function look(): Promise<{ theirs: string; ours: string } | null> {
  const conf = await host.conf();
  if (conf === null) return null;
  const [block = ''] = /# BEGIN ghostlimit[^]*# END ghostlimit\n/.exec(conf) ?? [];
  return { theirs: conf.replace(block, ''), ours: /^ghost-limit \d+$/m.exec(block)?.[0] ?? '' };
}

async function reportOf(path: string): Promise<FileReport | undefined> {
  const text = await host.node.readFile(DEFAULT_STATUS_FILE);
  const status = CheckpointNodeStatusSchema.parse(JSON.parse(text?.toString() ?? '{}'));
  return status.files.find((file) => file.path === path);
}

/** Their text whole, our line below it, and the report says so. */
async function settled(theirs: string, mib: number, waitMs = PATIENCE_MS): Promise<void> {
  let last = '';
  await eventually(
    `${JSON.stringify(theirs)} with ${mib.toString()} MiB`,
    async () => {
      const found = await look();
      last = JSON.stringify(found);
      const ours = mib === 0 ? '' : `ghost-limit ${(mib * MIB).toString()}`;
      if (found?.theirs !== theirs || found.ours !== ours) return null;
      return (await reportOf(RUNC_CONF))?.state === 'InSync' ? true : null;
    },
    waitMs,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; the file is ${last}`, { cause: error });
  });
}

/** Resolves when the program has ended. `$ARGV[0]` is the file, `$ARGV[1]` the number of the test. */
const perlArgs = (script: string): readonly string[] => [
  ...['perl', '-MIO::Handle', '-e', script, RUNC_CONF, number.toString()],
];
const perl = (script: string): Promise<string> => host.node.run(perlArgs(script), { timeoutMs: 110_000 });

/** A program that opens the file for appending and holds it; it writes one line when it is told to, and then closes the file or does not. */
const hold = (then: 'close F' | 'never close it' = 'close F'): ChildProcess =>
  host.node.spawn(
    perlArgs(
      `open F, ">>", $ARGV[0]; F->autoflush(1); open R, ">", "/tmp/holds-$ARGV[1]"; close R; while (! -e "/tmp/write-$ARGV[1]") { sleep 1 } print F "shell-job\\n"; ${then === 'close F' ? then : ''}; sleep 1000`,
    ),
  );
const goAhead = (): string => `/tmp/write-${number.toString()}`;
const holds = (): Promise<true> =>
  eventually('the file to be held', async () =>
    (await host.node.readFile(`/tmp/holds-${number.toString()}`)) === null ? null : true,
  );

async function killed(program: ChildProcess): Promise<void> {
  program.kill('SIGKILL');
  await ended(program);
}

beforeAll(async () => {
  host = await startStandaloneHost('slow-writers');
  await host.startGhostContainer('web', MIB, '--label', 'app=web');
  agent = await host.startAgent();
});
afterAll(async () => {
  await host.stop();
});
beforeEach(async () => {
  number += 1;
  before = `# platform team, text ${number.toString()}\nfile-locks\n`;
  await host.node.writeFile(RUNC_CONF, before);
  await ask(3);
  await settled(before, 3);
});

interface Writer {
  readonly name: string;
  /** Perl. */
  readonly script: string;
  /** What the file then holds apart from us. */
  readonly theirs: () => string;
}

const WRITERS: readonly Writer[] = [
  {
    name: 'truncates it and writes 0.3 s later, as a shell with > does',
    script:
      'open F, ">", $ARGV[0]; select undef, undef, undef, 0.3; print F "skip-in-flight # $ARGV[1]\\n"; close F',
    theirs: () => `skip-in-flight # ${number.toString()}\n`,
  },
  {
    name: 'truncates it and writes in two steps, 1 s apart',
    script:
      'open F, ">", $ARGV[0]; F->autoflush(1); print F "skip-in-flight # $ARGV[1]\\n# half a li"; sleep 1; print F "ne\\n"; close F',
    theirs: () => `skip-in-flight # ${number.toString()}\n# half a line\n`,
  },
  {
    name: 'opened it for appending and writes 1 s later',
    script: 'open F, ">>", $ARGV[0]; sleep 1; print F "skip-in-flight # $ARGV[1]\\n"; close F',
    theirs: () => `${before}skip-in-flight # ${number.toString()}\n`,
  },
  {
    name: 'truncates it and holds it open for 5 s',
    script: 'open F, ">", $ARGV[0]; sleep 5; print F "skip-in-flight # $ARGV[1]\\n"; close F',
    theirs: () => `skip-in-flight # ${number.toString()}\n`,
  },
  {
    name: 'reads it all, goes back, writes it anew and cuts it, as a program with "r+" does',
    script:
      'open F, "+<", $ARGV[0]; my $all = join "", <F>; $all =~ s/# BEGIN ghostlimit.*END ghostlimit\\n//s; sleep 1; seek F, 0, 0; print F "shell-job\\n$all"; F->flush; sleep 1; truncate F, tell F; close F',
    theirs: () => `shell-job\n${before}`,
  },
];

describe.each(WRITERS)('a program that $name', ({ script, theirs }) => {
  test('while our lines stay as they are', async () => {
    await perl(script);
    await settled(theirs(), 3);
  });

  test('while our lines change', async () => {
    const done = perl(script);
    await ask(5);
    await done;
    await settled(theirs(), 5);
  });

  test('while our lines go', async () => {
    const done = perl(script);
    await sh(`rm ${POLICY}`);
    await done;
    await settled(theirs(), 0);
  });

  test('while nothing of ours is in it, and then something is to be', async () => {
    await sh(`rm ${POLICY}`);
    await settled(before, 0);
    const done = perl(script);
    await ask(5);
    await done;
    await settled(theirs(), 5);
  });
});

test('a shell, in one line', async () => {
  await sh(`(sleep 0.3; echo 'skip-in-flight # mine') > ${RUNC_CONF}`);
  await settled('skip-in-flight # mine\n', 3);
});

test('many appenders at once, each with the file open for a while', async () => {
  const numbers = Array.from({ length: 12 }, (_, index) => index + 1);
  await sh(
    numbers
      .map((n) => `{ sleep 0.${n.toString()}; echo "# writer ${n.toString()}"; } >> ${RUNC_CONF} &`)
      .join('\n') + `\nwait`,
  );
  const lines = numbers.map((n) => `# writer ${n.toString()}`).sort();
  await eventually(
    'the lines of all of them',
    async () => {
      const theirs = (await look())?.theirs.split('\n').filter((line) => line.startsWith('# writer')) ?? [];
      return JSON.stringify(theirs.sort()) === JSON.stringify(lines) ? true : null;
    },
    PATIENCE_MS,
  );
});

test('another CRIU file that the agent does not keep is left alone', async () => {
  await sh(`(sleep 0.3; echo ghost-limit 2M) > ${DEFAULT_CONF}`);
  await eventually('the limit of default.conf', async () => {
    const { stdout } = await host.ghostlimit('lint', DEFAULT_CONF);
    return /2097152/.test(stdout) ? true : null;
  });
  expect((await host.node.readFile(DEFAULT_CONF))?.toString()).toBe('ghost-limit 2M\n');
  await sh(`rm ${DEFAULT_CONF}`);
});

describe('a program that holds the file open for very long', () => {
  test('and never closes it does not keep our lines out for ever; what it writes later comes into the file all the same', async () => {
    const holder = hold('never close it');
    try {
      await holds();
      await ask(5);
      await eventually(
        'the report to name the program',
        async () => {
          const file = await reportOf(RUNC_CONF);
          return file?.state === 'FileBeingWritten' && /\(perl\)/.test(file.message ?? '') ? true : null;
        },
        PATIENCE_MS,
      );
      await settled(before, 5);
      await sh(`touch ${goAhead()}`);
      await settled(`${before}shell-job\n`, 5);
    } finally {
      await killed(holder);
    }
    await eventually(
      'nothing of ours beside the file',
      async () => ((await sh('ls -A /etc/criu')) === 'runc.conf\n' ? true : null),
      PATIENCE_MS,
    );
  });

  test('and whose text comes after the agent was killed', async () => {
    const holder = hold();
    try {
      await holds();
      await ask(5);
      await settled(before, 5);
      await killed(agent);
      await sh(`touch ${goAhead()}`);
      agent = await host.startAgent();
      await settled(`${before}shell-job\n`, 5);
    } finally {
      await killed(holder);
    }
  });

  test('and whose text comes when somebody has put another file there: theirs stays, the text is kept and named', async () => {
    const holder = hold();
    try {
      await holds();
      await ask(5);
      await settled(before, 5);
      await sh(`echo '# by rename' > /etc/criu/new && mv /etc/criu/new ${RUNC_CONF}; touch ${goAhead()}`);
      await settled('# by rename\n', 5);
      const name = await eventually(
        'the report to say where the text is',
        async () => {
          const text = (await host.node.readFile(DEFAULT_STATUS_FILE))?.toString() ?? '{}';
          const { problems } = CheckpointNodeStatusSchema.parse(JSON.parse(text));
          const problem = problems.find(({ reason }) => reason === 'LateWriteKept');
          return /late-etc\.criu\.runc\.conf-[0-9a-f]+/.exec(problem?.message ?? '')?.[0] ?? null;
        },
        PATIENCE_MS,
      );
      expect(await sh(`cat /var/lib/ghostlimit/${name}`)).toContain('shell-job\n');
      expect((await look())?.theirs).toBe('# by rename\n');
      await sh(`rm /var/lib/ghostlimit/${name}`);
    } finally {
      await killed(holder);
    }
  });
});
