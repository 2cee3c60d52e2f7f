// The exit code of a checkpoint that did not succeed, the same on a host and through the cluster. Looks at reasons only.
import { EXIT, type ExitCode } from './output.ts';

/** 124 when one of the reasons is that its time was up, else 1. Reasons of the registry; undefined: none was given. */
export function exitCodeOfFailure(reasons: readonly (string | undefined)[]): ExitCode {
  return reasons.includes('TimedOut') || reasons.includes('DeadlineExceeded') ? EXIT.timedOut : EXIT.failed;
}
