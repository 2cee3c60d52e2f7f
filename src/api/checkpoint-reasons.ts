// Reasons of checkpoints that do not come from what the container does: the node's set-up, the runtime, the request. Entries only.
import type { Reason } from './reason.ts';

export const CHECKPOINT_REASONS = {
  Checkpointed: {
    subject: 'Checkpoint',
    severity: 'Info',
    sentence: 'The checkpoint was taken and the container goes on.',
    remedy: 'Nothing to do.',
  },
  ConfigInvalid: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence:
      'CRIU refuses one of its configuration files on the node, and with it every checkpoint and restore.',
    remedy: 'Run "ghostlimit lint" on the CRIU files of the node and correct the line that it names.',
  },
  CriuMissing: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'CRIU is not installed where the container runtime looks for it.',
    remedy:
      'Install the package criu (for crun also libcriu) on the node, then restart the container engine.',
  },
  CriuTooOld: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The CRIU of the node is older than the container runtime allows.',
    remedy: 'Install a newer CRIU on the node, then restart the container engine.',
  },
  RuntimeUnsupported: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container engine or its runtime cannot take checkpoints.',
    remedy:
      'Use a runtime that can: runc or crun built with CRIU support; containerd 2.0, CRI-O 1.25 or newer.',
  },
  RuntimeUnavailable: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container engine does not answer.',
    remedy: 'Check that the engine runs and that its socket is the one that ghostlimit was given.',
  },
  FeatureGateOff: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'Checkpoints are switched off in the container engine.',
    remedy:
      'Docker: set "experimental": true in /etc/docker/daemon.json and restart it. CRI-O: enable_criu_support. containerd: enable_criu. Kubernetes: feature gate ContainerCheckpoint.',
  },
  Unauthorized: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container engine refused the call for lack of permission.',
    remedy: 'Run ghostlimit as root; in a cluster check the role that allows checkpoints.',
  },
  ContainerNotRunning: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container does not exist or does not run.',
    remedy: 'Name a running container.',
  },
  CheckpointExists: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The container already has a checkpoint of that name.',
    remedy: 'Choose another name, or delete the old checkpoint.',
  },
  TimedOut: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The checkpoint was not finished in time and was given up.',
    remedy: 'Allow more time (timeoutSeconds); a container with much memory takes longer.',
  },
  DeadlineExceeded: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The checkpoint was not started before its deadline.',
    remedy: 'Raise startDeadlineSeconds, or ask for fewer checkpoints at a time.',
  },
  NoSpace: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The disk of the node is full.',
    remedy:
      'Free space on the node, or lower the retention of archives; a checkpoint needs up to three times the memory of the container.',
  },
  PauseTooLong: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The checkpoint would freeze the container longer than allowed.',
    remedy: 'Skip the check PredictedPause if the pause is acceptable, or use less memory.',
  },
  QueueFull: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'Too many checkpoints are waiting.',
    remedy: 'Wait until others are done, then ask again.',
  },
  CheckpointsPaused: {
    subject: 'Checkpoint',
    severity: 'Warning',
    sentence: 'Checkpoints are paused by the setting checkpointsPaused.',
    remedy: 'Set checkpointsPaused to false when the incident is over.',
  },
  OutcomeUnknown: {
    subject: 'Checkpoint',
    severity: 'Warning',
    sentence: 'The program was stopped during the checkpoint, and it cannot be told how it ended.',
    remedy: 'Look for the archive; ask again if there is none.',
  },
  Unclassified: {
    subject: 'Checkpoint',
    severity: 'Error',
    sentence: 'The checkpoint failed for a reason that ghostlimit does not know.',
    remedy: 'Read the message; the dump.log of CRIU has more.',
  },
} as const satisfies Record<string, Reason>;
