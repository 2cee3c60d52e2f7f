// How a program of the host is run from a container; with the real nsenter in test/lab/standalone-image.test.ts.
import { describe, expect, test } from '@jest/globals';
import { hostProgramRunner } from '../../../../src/adapters/process/host-program-runner.ts';
import {
  CommandNotFound,
  type ProcessResult,
  type ProcessRunner,
} from '../../../../src/ports/process-runner.ts';

function runnerThatAnswers(result: Partial<ProcessResult>): {
  readonly own: ProcessRunner;
  readonly ran: string[][];
} {
  const ran: string[][] = [];
  const own: ProcessRunner = {
    run: (command, args) => {
      ran.push([command, ...args]);
      return Promise.resolve({ exitCode: 0, stdout: '', stderr: '', timedOut: false, ...result });
    },
  };
  return { own, ran };
}

describe('hostProgramRunner', () => {
  test('runs the program by nsenter, whose own flags end before it', async () => {
    const { own, ran } = runnerThatAnswers({ stdout: 'Version: 4.2\n' });
    const result = await hostProgramRunner(own).run('criu', ['--version'], { timeoutMs: 1 });
    expect(result.stdout).toBe('Version: 4.2\n');
    expect(ran).toEqual([
      ['nsenter', '--target=1', '--mount', '--uts', '--ipc', '--net', '--cgroup', '--', 'criu', '--version'],
    ]);
  });

  // The text of util-linux 2.38 and 2.42 for a program that is not there.
  test('rejects with CommandNotFound when the host has no such program', async () => {
    const { own } = runnerThatAnswers({
      exitCode: 127,
      stderr: 'nsenter: failed to execute criu: No such file or directory\n',
    });
    await expect(hostProgramRunner(own).run('criu', [], { timeoutMs: 1 })).rejects.toThrow(CommandNotFound);
  });

  test('passes on an exit code 127 of the program itself', async () => {
    const { own } = runnerThatAnswers({ exitCode: 127, stderr: 'runc: something else\n' });
    await expect(hostProgramRunner(own).run('runc', [], { timeoutMs: 1 })).resolves.toMatchObject({
      exitCode: 127,
    });
  });
});
