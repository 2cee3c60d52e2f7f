// How a node's report is shown; and `ghostlimit status`: the last report of the agent or of `apply`.
import type { CheckpointNodeStatus, FileReport, PolicyReport } from '../../api/checkpoint-node.ts';
import { printable } from '../../api/printable.ts';
import { printSize } from '../../api/quantity.ts';
import { CommandFailure, EXIT, printTable, type ExitCode, type Output } from '../output.ts';

export async function status(
  readReport: () => Promise<CheckpointNodeStatus | null>,
  statusFile: string,
  output: Output,
): Promise<ExitCode> {
  const report = await readReport();
  if (report === null) {
    throw new CommandFailure(
      `there is no report in ${statusFile}: start "ghostlimit agent --standalone --policies DIR", or run "ghostlimit apply -f DIR" once`,
    );
  }
  showReport(report, output);
  return EXIT.fine;
}

export function showReport(report: CheckpointNodeStatus, output: Output): void {
  if (output.format === 'json') output.printJson(report);
  else output.print(reportText(report));
}

function reportText(report: CheckpointNodeStatus): string {
  const { runtime, conditions, files, policies, problems } = report;
  const blocks = [
    printTable(
      ['CONDITION', 'STATUS', 'REASON', 'MESSAGE'],
      conditions.map((condition) => [condition.type, condition.status, condition.reason, condition.message]),
    ),
    printTable(['FILE', 'STATE', 'LIMIT IN FORCE', 'ASKED FOR', 'OUR LINES', 'MESSAGE'], files.map(fileRow)),
  ];
  if (policies.length > 0) {
    blocks.push(
      printTable(
        ['POLICY', 'TARGET', 'STATE', 'REASON', 'CONTAINERS', 'ASKS FOR', 'LARGEST GHOST FILE'],
        policies.flatMap(policyRows),
      ),
    );
  }
  if (problems.length > 0) {
    blocks.push(
      printTable(
        ['PROBLEM IN', 'REASON', 'MESSAGE'],
        problems.map(({ origin, reason, message }) => [printable(origin, 253), reason, message]),
      ),
    );
  }
  blocks.push(
    `CRIU ${runtime.criuVersion || 'not found'}, ${runtime.containerRuntime || 'no container runtime'}, ${runtime.ociRuntime || 'OCI runtime unknown'}, Linux ${runtime.kernelVersion}`,
  );
  return blocks.join('\n\n');
}

function fileRow({
  path,
  state,
  effectiveLimitBytes,
  desiredLimitBytes,
  decidedBy,
  managed,
  message,
  findings,
}: FileReport): string[] {
  const finding = findings[0];
  const remark =
    message ?? (finding === undefined ? '' : `line ${finding.line.toString()}: ${finding.message}`);
  return [
    path,
    state,
    printSize(effectiveLimitBytes),
    desiredLimitBytes === 0 ? '-' : [printSize(desiredLimitBytes), decidedBy].filter(Boolean).join(' by '),
    managed ? 'yes' : 'no',
    remark,
  ];
}

function policyRows({ namespace, name, state, reason, targets }: PolicyReport): string[][] {
  return targets.map((target) => {
    const file = target.largestGhostFile;
    return [
      `${namespace}/${name}`,
      target.name,
      state,
      reason,
      target.matchedPods.toString(),
      target.effectiveLimitBytes === 0 ? '-' : printSize(target.effectiveLimitBytes),
      file === undefined ? '-' : `${printSize(file.bytes)} ${file.path}`,
    ];
  });
}
