// Stands for the host's programs where none can be run: in a container that shares no namespace with the host.
import { CommandNotFound, type ProcessRunner } from '../../ports/process-runner.ts';

export const noProgramRunner: ProcessRunner = {
  run: (command) =>
    Promise.reject(new CommandNotFound(`${command}: programs of the host cannot be run from here`)),
};
