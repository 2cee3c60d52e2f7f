// Reasons said of a policy as a whole. Entries only.
import type { Reason } from './reason.ts';

export const POLICY_REASONS = {
  Accepted: {
    subject: 'Policy',
    severity: 'Info',
    sentence: 'The policy is valid and allowed.',
    remedy: 'Nothing to do.',
  },
  InvalidPolicy: {
    subject: 'Policy',
    severity: 'Error',
    sentence: 'The policy cannot be used as it is written.',
    remedy: 'Correct the field that the message names.',
  },
  LimitOverCap: {
    subject: 'Policy',
    severity: 'Error',
    sentence: 'The policy asks for a ghost-limit over the cap of the operator.',
    remedy: 'Lower the limit, or raise the setting maxGhostLimit.',
  },
  OptionConflict: {
    subject: 'Policy',
    severity: 'Error',
    sentence:
      'Policies of one node ask for CRIU options that exclude each other, so none of them is written.',
    remedy: 'Keep one of the options, or give one policy the scope Checkpoint.',
  },
  OptionNotAllowed: {
    subject: 'Policy',
    severity: 'Error',
    sentence: 'The policy asks for a CRIU option that the operator does not allow.',
    remedy: 'Remove the option, or add it to the setting allowedCriuOptions.',
  },
  NamespaceNotAllowed: {
    subject: 'Policy',
    severity: 'Error',
    sentence: 'Policies of this namespace do not count.',
    remedy: 'Add the namespace to the setting "namespaces".',
  },
  PlanFull: {
    subject: 'Policy',
    severity: 'Error',
    sentence: 'The policies of this namespace are larger than what is handed to the nodes.',
    remedy: 'Use fewer or smaller policies in the namespace; the oldest ones are in force.',
  },
  NoMatchingPods: {
    subject: 'Policy',
    severity: 'Info',
    sentence: 'No pod matches the policy now.',
    remedy: 'Check the selectors if pods should match.',
  },
  Audited: {
    subject: 'Policy',
    severity: 'Info',
    sentence: 'The policy is in mode Audit: what would be done is reported, nothing is written.',
    remedy: 'Set mode to Enforce to put it in force.',
  },
  RollingOut: {
    subject: 'Policy',
    severity: 'Info',
    sentence: 'Some nodes have not answered yet.',
    remedy: 'Wait; nodes that stay silent are named after a while.',
  },
  AllNodesInSync: {
    subject: 'Policy',
    severity: 'Info',
    sentence: 'The policy is in force on every node that needs it.',
    remedy: 'Nothing to do.',
  },
  NodesFailing: {
    subject: 'Policy',
    severity: 'Error',
    sentence: 'The policy is not in force on some nodes.',
    remedy: 'See status.problems for the nodes and their reasons.',
  },
  ScheduleInvalid: {
    subject: 'Policy',
    severity: 'Error',
    sentence: 'The schedule of the policy cannot be used as it is written.',
    remedy: 'Correct spec.checkpoint.schedule or spec.checkpoint.timeZone as the message says.',
  },
  ScheduleTooFrequent: {
    subject: 'Policy',
    severity: 'Error',
    sentence: 'The schedule of the policy is more often than the operator allows.',
    remedy:
      'Choose times further apart in spec.checkpoint.schedule, or lower the setting minimumScheduleIntervalSeconds.',
  },
  RoundSkipped: {
    subject: 'Policy',
    severity: 'Warning',
    sentence: 'A scheduled round of checkpoints was left out.',
    remedy:
      'Where the round before was still running, choose a longer schedule or raise maxConcurrent; where it was too late, raise startingDeadlineSeconds.',
  },
  CheckpointsSucceeded: {
    subject: 'Policy',
    severity: 'Info',
    sentence: 'Every container of the last scheduled round was checkpointed.',
    remedy: 'Nothing to do.',
  },
  CheckpointsFailing: {
    subject: 'Policy',
    severity: 'Warning',
    sentence: 'Some containers of the last scheduled round were not checkpointed.',
    remedy: 'Read the CheckpointRequests of the policy (label ghostlimit.dev/policy) for reason and hint.',
  },
  SettingsInvalid: {
    subject: 'Policy',
    severity: 'Error',
    sentence:
      'The settings of the operator cannot be used as they are written; the last good ones stay in force.',
    remedy: 'Correct the field of the ConfigMap ghostlimit-settings that the message names.',
  },
  TakenBack: {
    subject: 'Policy',
    severity: 'Info',
    sentence: 'The operator has taken its lines back on the nodes that answer.',
    remedy:
      'Delete the operator; nodes that the message names are undone when they are back, as long as the agent still runs there.',
  },
} as const satisfies Record<string, Reason>;
