// Cuts the power of a mounted disk, or makes it write down what it has in memory, within a tenth of a millisecond: a program that waits for orders. Decides nothing.
import { spawn } from 'node:child_process';
import { forEachLine } from '../lab/program.ts';

export interface PowerSwitch {
  /** syncfs(2) on a descriptor of its own: journal and data, as any other program may ask for at any moment. */
  commit: () => Promise<void>;
  /** FS_IOC_SHUTDOWN without a log flush, `delayUs` microseconds from now. Resolves when it is done. */
  cut: (delayUs: number) => Promise<void>;
  close: () => void;
}

/** Node has neither call. The descriptor is closed again each time, as one that stays open would keep the disk from being unmounted. */
const SCRIPT = `$| = 1;
while (<STDIN>) {
  my ($what, $us) = split;
  select(undef, undef, undef, $us / 1e6) if $us;
  open(my $disk, "<", $ARGV[0]) or die "open: $!";
  if ($what eq "cut") { my $flag = pack("L", 2); ioctl($disk, 0x8004587d, $flag) or die "shutdown: $!" }
  else { syscall($ARGV[1], fileno($disk)) == 0 or die "syncfs: $!" }
  close($disk);
  print "done\\n";
}`;
const SYNCFS: Readonly<Record<string, string>> = { x64: '306', arm64: '267' };

/** For the disk mounted at `mountPoint`. It dies with this process, as its input ends then. */
export function startPowerSwitch(mountPoint: string): PowerSwitch {
  const child = spawn('perl', ['-e', SCRIPT, mountPoint, SYNCFS[process.arch] ?? ''], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  let said = '';
  forEachLine(child.stdout, () => waiting.shift()?.resolve());
  child.stderr.on('data', (data: Buffer) => (said += data.toString()));
  child.on('close', () => {
    for (const { reject } of waiting) reject(new Error(`the power switch ended: ${said}`));
  });
  const order = (line: string): Promise<void> =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      child.stdin.write(`${line}\n`);
    });
  return {
    commit: () => order('commit 0'),
    cut: (delayUs) => order(`cut ${delayUs}`),
    close: () => {
      child.stdin.end();
    },
  };
}
