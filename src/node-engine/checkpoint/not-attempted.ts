// The result of a checkpoint that was not begun: nothing was frozen. Pure.
import type { ContainerResult } from '../../api/checkpoint-request.ts';
import { printable } from '../../api/printable.ts';
import { REASONS, type ReasonCode } from '../../api/reasons.ts';
import type { CheckpointSubject } from '../checkpoint-subjects.ts';

export function notAttempted(
  { matched }: CheckpointSubject,
  reason: ReasonCode,
  message: string,
  hint: string = REASONS[reason].remedy,
): ContainerResult {
  return { name: nameOf(matched), result: 'Failed', reason, message, hint, attempts: 0 };
}

export function nameOf({ container }: CheckpointSubject['matched']): string {
  return printable(container.name, 253);
}
