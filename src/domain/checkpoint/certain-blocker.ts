// Which finding of a scan makes a dump fail for sure, so that nothing need be frozen to learn it. Pure.
import type { CriuOptionName } from '../../api/criu-option.ts';
import type { ScanRemark } from '../../api/ghost-scan.ts';
import { isReasonCode, type ReasonCode } from '../../api/reasons.ts';

export interface CertainBlocker {
  readonly reason: ReasonCode;
  /** What was found; one line, safe to show. */
  readonly message: string;
}

/**
 * Blockers that no option, plugin or runtime takes away and that do not go by themselves: each was seen to fail in real dumps (CRIU 4.2.1).
 * The others of a scan (a tracer, a mount, an unknown descriptor ...) may be over by the time of the dump, or be known to another CRIU: the dump tells.
 */
const CERTAIN: ReadonlySet<string> = new Set<ReasonCode>(['IoUring', 'NestedNamespace']);

interface Scanned {
  readonly linkRemapRequired: boolean;
  readonly blockers: readonly ScanRemark[];
}

/** `inForce`: the options that CRIU reads for the container; null: not known. Null: nothing that is certain was found. */
export function certainBlocker(
  { blockers, linkRemapRequired }: Scanned,
  inForce: ReadonlySet<CriuOptionName> | null,
): CertainBlocker | null {
  for (const { code, message } of blockers)
    if (CERTAIN.has(code) && isReasonCode(code)) return { reason: code, message };
  if (!linkRemapRequired || inForce === null || inForce.has('LinkRemap')) return null;
  return {
    reason: 'LinkRemapRequired',
    message: 'a file that is in use lost its name and has others left, and link-remap is not in force',
  };
}
