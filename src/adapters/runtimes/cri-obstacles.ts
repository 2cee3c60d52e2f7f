// Tells from what a CRI runtime says to a checkpoint of nobody whether it could take any. Pure.
import { CRIU_ENDED_AT_VERSION_CHECK } from '../../api/engine-statements.ts';
import type { RuntimeObstacle } from '../../ports/container-runtime.ts';
import { GRPC } from './cri-connection.ts';

interface Row {
  readonly said: RegExp;
  readonly obstacle: RuntimeObstacle;
}

const RESTART = 'then restart containerd: it looks for criu once in its life.';

// Texts: containerd 2.0 to 2.4 internal/cri/server/container_checkpoint_linux.go; CRI-O 1.30 server/container_checkpoint.go.
const ROWS: readonly Row[] = [
  {
    said: /criu support is disabled by configuration/,
    obstacle: {
      reason: 'FeatureGateOff',
      message: 'Checkpoints are switched off in containerd (enable_criu = false).',
      hint: "Set enable_criu = true under [plugins.'io.containerd.cri.v1.runtime'] in containerd's configuration and restart it.",
    },
  },
  {
    said: /checkpoint\/restore support not available/,
    obstacle: {
      reason: 'FeatureGateOff',
      message: 'Checkpoints are switched off in CRI-O, or it found no criu when it started.',
      hint: 'Install criu, set enable_criu_support = true under [crio.runtime], then restart crio.',
    },
  },
  {
    said: CRIU_ENDED_AT_VERSION_CHECK,
    obstacle: {
      reason: 'ConfigInvalid',
      message:
        'criu does not start: it refuses a file that it reads before all others, such as /etc/criu/default.conf.',
      hint: `Correct that file ("ghostlimit lint" names the line), ${RESTART}`,
    },
  },
  {
    said: /criu binary not found|executable file not found/,
    obstacle: {
      reason: 'CriuMissing',
      message: "criu is not in containerd's PATH.",
      hint: `Install the package criu on this host, ${RESTART}`,
    },
  },
  {
    said: /requires at least CRIU \d+|found or too old/,
    obstacle: {
      reason: 'CriuTooOld',
      message: 'containerd found no criu that is new enough (3.16).',
      hint: `Install criu 3.16 or newer, ${RESTART}`,
    },
  },
];

const UNIMPLEMENTED: RuntimeObstacle = {
  reason: 'RuntimeUnsupported',
  message: 'This CRI runtime has no checkpoints.',
  hint: 'Upgrade to containerd 2.0 or newer, or CRI-O 1.25 or newer.',
};

/** null: nothing stands in the way (it said that nobody is there, as it should). */
export function criObstacle(code: number, said: string): RuntimeObstacle | null {
  if (code === GRPC.unimplemented) return UNIMPLEMENTED;
  return ROWS.find((row) => row.said.test(said))?.obstacle ?? null;
}
