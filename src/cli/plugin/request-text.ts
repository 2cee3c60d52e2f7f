// What a request of the cluster looks like on a terminal: a line for each change while it goes on, a table at its end. Pure.
import type { ContainerResult } from '../../api/checkpoint-request.ts';
import { printable } from '../../api/printable.ts';
import { printSize } from '../../api/quantity.ts';
import { isReasonCode, REASONS } from '../../api/reasons.ts';
import { printTable } from '../output.ts';
import type { RequestState } from './request-state.ts';

/** A line for each thing that differs; `before` null: nothing was told yet. */
export function changesBetween(before: RequestState | null, after: RequestState): string[] {
  const told = new Set(before === null ? [] : linesOf(before));
  return linesOf(after).filter((line) => !told.has(line));
}

function linesOf(state: RequestState): string[] {
  const containers = state.containers.map(containerLine);
  if (state.outcome !== null) return [...containers, outcomeLine(state)];
  if (state.summary === 'Waiting') return containers;
  const where = state.nodeName === '' ? '' : ` on ${shown(state.nodeName)}`;
  return [`${shown(state.summary)}${where}`, ...containers];
}

function outcomeLine({ outcome, summary }: RequestState): string {
  return outcome?.type === 'Failed' ? `${shown(summary)}: ${shown(outcome.reason)}` : shown(summary);
}

function containerLine({ name, result, reason, durationSeconds, archive }: ContainerResult): string {
  const verdict = [result, ...(reason === undefined ? [] : [reason])].map((word) => shown(word)).join(': ');
  const duration = durationSeconds === undefined ? '' : ` in ${printSeconds(durationSeconds)}`;
  const size = archive === undefined ? '' : `, ${printSize(archive.sizeBytes)}`;
  return `${shown(name)}: ${verdict}${duration}${size}`;
}

/** Of a finished request: the table of its containers, then what went wrong and what to do. */
export function resultText(state: RequestState): string {
  const { containers, outcome } = state;
  const failures = containers.filter(({ result }) => result !== 'Succeeded').map(failureText);
  const blocks = containers.length === 0 ? [] : [resultTable(state)];
  blocks.push(...failures);
  // Else the containers say it all.
  if (failures.length === 0 && (outcome?.type === 'Failed' || containers.length === 0))
    blocks.push(outcomeText(state));
  return blocks.join('\n\n');
}

function resultTable({ containers, nodeName }: RequestState): string {
  const rows = containers.map(({ name, result, reason, durationSeconds, archive }) => [
    shown(name),
    result,
    shown(reason ?? '-'),
    durationSeconds === undefined ? '-' : printSeconds(durationSeconds),
    archive === undefined ? '-' : printSize(archive.sizeBytes),
    shown(nodeName || '-'),
    shown(archive?.path ?? '-'),
  ]);
  return printTable(['CONTAINER', 'RESULT', 'REASON', 'DURATION', 'SIZE', 'NODE', 'ARCHIVE'], rows);
}

function failureText(container: ContainerResult): string {
  const { name, result, reason = '', message = '', ghostFile, requiredGhostLimitBytes } = container;
  const lines = [`${shown(name)}: ${[result, reason, message].filter(Boolean).map(shown).join(': ')}`];
  if (ghostFile !== undefined)
    lines.push(
      `  ghost file: ${shown(ghostFile.path)}, ${ghostFile.bytes} bytes (${printSize(ghostFile.bytes)})`,
    );
  if (requiredGhostLimitBytes !== undefined)
    lines.push(`  smallest limit that would do: ${requiredGhostLimitBytes}`);
  return [...lines, ...adviceLines(container.hint ?? remedyOf(reason))].join('\n');
}

function outcomeText({ outcome, hint }: RequestState): string {
  const { type = '', reason = '', message = '' } = outcome ?? {};
  const head = [type, reason, message].filter(Boolean).map(shown).join(': ');
  return [head, ...(type === 'Failed' ? adviceLines(hint || remedyOf(reason)) : [])].join('\n');
}

function adviceLines(advice: string): string[] {
  return advice === '' ? [] : [`  what to do: ${shown(advice)}`];
}

function remedyOf(reason: string): string {
  return isReasonCode(reason) ? REASONS[reason].remedy : '';
}

function printSeconds(seconds: number): string {
  return `${Number(seconds.toFixed(seconds < 10 ? 2 : 1))} s`;
}

/** Safe on a terminal. Whoever wrote the status has escaped names of hosts already: their backslashes stay single. */
export function shown(text: string): string {
  return printable(text).replaceAll('\\\\', '\\');
}
