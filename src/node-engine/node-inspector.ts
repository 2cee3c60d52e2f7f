// What this node is and what stands in the way of every checkpoint on it: CRIU, kernel, runtimes. Asked again at most every five minutes: each time starts programs.
import type { RuntimeReport } from '../api/checkpoint-node.ts';
import type { Clock } from '../ports/clock.ts';
import {
  RuntimeUnavailable,
  type ContainerRuntime,
  type RuntimeObstacle,
  type RuntimeProbe,
} from '../ports/container-runtime.ts';
import type { HostFacts, NodeFacts } from '../ports/host-facts.ts';

export interface NodeInspection {
  readonly nodeName: string;
  readonly runtime: RuntimeReport;
  readonly obstacles: readonly RuntimeObstacle[];
}

export interface NodeInspector {
  read(): Promise<NodeInspection>;
}

const FRESH_MS = 300_000;

export function createNodeInspector(
  facts: HostFacts,
  runtimes: readonly ContainerRuntime[],
  clock: Clock,
): NodeInspector {
  let known: { readonly inspection: NodeInspection; readonly atMs: number } | null = null;
  return {
    read: async () => {
      if (known !== null && clock.monotonicMs() - known.atMs < FRESH_MS) return known.inspection;
      const inspection = inspectionOf(await facts.read(), await probeAll(runtimes));
      known = { inspection, atMs: clock.monotonicMs() };
      return inspection;
    },
  };
}

/** The probes of the runtimes that are on this host. */
export async function probeAll(runtimes: readonly ContainerRuntime[]): Promise<readonly RuntimeProbe[]> {
  const probes = await Promise.all(
    runtimes.map(async (runtime) => {
      try {
        return await runtime.probe();
      } catch (error) {
        if (error instanceof RuntimeUnavailable) return null;
        throw error;
      }
    }),
  );
  return probes.filter((probe) => probe !== null);
}

function inspectionOf(facts: NodeFacts, probes: readonly RuntimeProbe[]): NodeInspection {
  const obstacles = probes.flatMap((probe) => probe.obstacles);
  return {
    nodeName: facts.nodeName,
    runtime: {
      containerRuntime: probes.map(({ version }) => version).join(', '),
      ociRuntime: probes.find(({ ociRuntime }) => ociRuntime !== null)?.ociRuntime ?? '',
      criuVersion: facts.criuVersion ?? '',
      kernelVersion: facts.kernelVersion,
    },
    obstacles: [
      ...(facts.criuVersion === null ? [CRIU_MISSING] : []),
      ...(probes.length === 0 ? [NO_RUNTIME] : []),
      ...obstacles,
    ],
  };
}

const NO_RUNTIME: RuntimeObstacle = {
  reason: 'RuntimeUnavailable',
  message: 'no container runtime answers',
  hint: 'see that the container runtime of this host runs and that its socket is the one that ghostlimit was given; in a cluster the setting "backend" may be "kubelet"',
};

const CRIU_MISSING: RuntimeObstacle = {
  reason: 'CriuMissing',
  message: 'no criu was found in PATH',
  hint: 'install the criu package of this distribution',
};
