// Runs the host's programs (criu, runc) from a container that shares the host's pid namespace. Brings none of its own but nsenter.
import { CommandNotFound, type ProcessResult, type ProcessRunner } from '../../ports/process-runner.ts';

/** All namespaces of the host but the pid namespace, which is shared: nsenter then becomes the program, and signals reach it. */
const BESIDE_PROCESS_1 = ['--target=1', '--mount', '--uts', '--ipc', '--net', '--cgroup', '--'];

/** `own` runs nsenter of util-linux, which is in the container. */
export function hostProgramRunner(own: ProcessRunner): ProcessRunner {
  return {
    run: async (command, args, options) => {
      const result = await own.run('nsenter', [...BESIDE_PROCESS_1, command, ...args], options);
      if (couldNotStart(result))
        throw new CommandNotFound(`${command} is not installed on the host: ${result.stderr.trim()}`);
      return result;
    },
  };
}

/** Exit codes of nsenter's own failure to execute. Source: util-linux include/exitcodes.h, EX_EXEC_FAILED and EX_EXEC_ENOENT. */
function couldNotStart({ exitCode, stderr }: ProcessResult): boolean {
  return (exitCode === 126 || exitCode === 127) && stderr.startsWith('nsenter: failed to execute ');
}
