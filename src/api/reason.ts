// The shape of one entry of the reason registry (reasons.ts). Owns no entry itself.

/** What the reason is said of: the outcome of one checkpoint, the state of a node, or the state of a policy. */
export type ReasonSubject = 'Checkpoint' | 'Node' | 'Policy';

/** Info: as it should be. Warning: works, but somebody should look. Error: something asked for is not done. */
export type ReasonSeverity = 'Info' | 'Warning' | 'Error';

export interface Reason {
  readonly subject: ReasonSubject;
  readonly severity: ReasonSeverity;
  /** What it means, one plain sentence without a value of the case. */
  readonly sentence: string;
  /** What to do about it, one or two plain sentences. */
  readonly remedy: string;
}
