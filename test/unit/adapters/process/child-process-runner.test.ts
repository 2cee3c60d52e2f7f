// The real runner on small real programs: nothing of it can be shown without processes.
import { describe, expect, test } from '@jest/globals';
import { ChildProcessRunner } from '../../../../src/adapters/process/child-process-runner.ts';
import { CommandNotFound } from '../../../../src/ports/process-runner.ts';

const run = (program: string): ReturnType<ChildProcessRunner['run']> =>
  new ChildProcessRunner().run(process.execPath, ['-e', program], { timeoutMs: 120_000 });

describe('ChildProcessRunner', () => {
  test('gives exit code, stdout and stderr, and an empty stdin', async () => {
    const program =
      'process.stdin.on("end", () => { console.log("out"); console.error("err"); process.exitCode = 3; }).resume()';
    expect(await run(program)).toEqual({ exitCode: 3, stdout: 'out\n', stderr: 'err\n', timedOut: false });
  });

  test('takes arguments as they are, without a shell', async () => {
    const runner = new ChildProcessRunner();
    const words = ['a b', '$HOME', '; false', '*', '\n'];
    const { stdout } = await runner.run(
      process.execPath,
      ['-p', 'JSON.stringify(process.argv.slice(1))', ...words],
      { timeoutMs: 120_000 },
    );
    expect(JSON.parse(stdout)).toEqual(words);
  });

  test('rejects with CommandNotFound for a program that is not there, or none', async () => {
    const runner = new ChildProcessRunner();
    await expect(runner.run('no-such-program-at-all', [], { timeoutMs: 1000 })).rejects.toBeInstanceOf(
      CommandNotFound,
    );
    await expect(runner.run('/etc/passwd', [], { timeoutMs: 1000 })).rejects.toBeInstanceOf(CommandNotFound);
  });

  test('after the time-out it sends SIGTERM and waits for the end', async () => {
    // A shell: it hears the signal a few milliseconds after its start, on a slow machine too.
    const script = 'trap "echo asked; exit 0" TERM; while :; do sleep 0.05; done';
    expect(await new ChildProcessRunner().run('sh', ['-c', script], { timeoutMs: 3000 })).toEqual({
      exitCode: 0,
      stdout: 'asked\n',
      stderr: '',
      timedOut: true,
    });
  });

  test('a program ended by a signal has no exit code', async () => {
    expect(await run('process.kill(process.pid, "SIGKILL"); setInterval(() => {}, 1000)')).toMatchObject({
      exitCode: null,
      timedOut: false,
    });
  });

  test('cuts long output at 1 MiB without blocking the program', async () => {
    const program = 'const part = "x".repeat(65536); for (let i = 0; i < 40; i++) process.stdout.write(part)';
    const { exitCode, stdout } = await run(program);
    expect({ exitCode, length: stdout.length }).toEqual({ exitCode: 0, length: 1024 * 1024 });
  });

  test('does not wait for what the program started and left behind with its pipes', async () => {
    const program =
      'const {spawn} = require("node:child_process"); const c = spawn("sleep", ["120"], {stdio: "inherit", detached: true}); c.unref(); console.log(c.pid)';
    const { stdout, exitCode } = await run(program);
    expect(exitCode).toBe(0);
    const left = Number(stdout);
    expect(() => process.kill(left, 0)).not.toThrow();
    process.kill(left, 'SIGKILL');
  });

  test('programs get a session of their own, so that Ctrl-C does not reach them', async () => {
    const { stdout } = await new ChildProcessRunner().run('sh', ['-c', 'cut -d" " -f1,6 /proc/$$/stat'], {
      timeoutMs: 120_000,
    });
    const [pid, session] = stdout.trim().split(' ');
    expect(session).toBe(pid);
  });

  test('the environment is the one that was given', async () => {
    const runner = new ChildProcessRunner({ PATH: process.env['PATH'], ONLY: 'this' });
    const { stdout } = await runner.run(process.execPath, ['-p', 'Object.keys(process.env).sort().join()'], {
      timeoutMs: 120_000,
    });
    expect(stdout).toBe('ONLY,PATH\n');
  });
});
