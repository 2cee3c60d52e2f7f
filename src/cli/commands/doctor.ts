// `ghostlimit doctor`: what on this host would make a checkpoint fail, each with a remedy. Exit 3 when something would.
import { diagnoseNode, type DiagnosisParts } from '../../node-engine/diagnose-node.ts';
import { EXIT, type ExitCode, type Output } from '../output.ts';

export async function doctor(parts: DiagnosisParts, output: Output): Promise<ExitCode> {
  const checks = await diagnoseNode(parts);
  if (output.format === 'json') output.printJson({ checks });
  for (const { name, ok, reason, message, hint } of output.format === 'json' ? [] : checks) {
    output.print(`${ok ? 'ok  ' : 'FAIL'}  ${name}: ${ok ? message : `${reason}: ${message}`}`);
    if (!ok) output.print(`      what to do: ${hint}`);
  }
  return checks.every(({ ok }) => ok) ? EXIT.fine : EXIT.finding;
}
