// A host with a real systemd and Docker Engine as its service, and without Node: what docs/standalone.md is written for.
import { importBusyboxImage } from '../../hack/lab/docker.ts';
import { ghostHolder } from '../../hack/lab/ghost-holders.ts';
import { startLabNode, type Bind, type LabNode } from '../../hack/lab/lab-node.ts';
import { startSystemd } from '../../hack/lab/systemd.ts';
import { takeAwayNodeAndProject } from './standalone-files.ts';
import { eventually } from './standalone-host.ts';

/** As in hack/lab/docker.ts: no bridge, as a node has no way out, and no image store that a checkpoint would need. */
const DOCKER_SETTINGS = {
  experimental: true,
  bridge: 'none',
  iptables: false,
  ip6tables: false,
  features: { 'containerd-snapshotter': false },
};

export interface SystemdHost {
  /** As seen on the host; its stop ends all of it. */
  readonly host: LabNode;
  /** A container of busybox that holds `bytes` in a deleted file, with the label app=`name`. */
  startGhostContainer(name: string, bytes: number): Promise<void>;
}

/** 3 s. */
export async function startSystemdHost(name: string, bind: Bind): Promise<SystemdHost> {
  const node = await startLabNode({ name, binds: [bind], progress: () => undefined });
  try {
    await takeAwayNodeAndProject(node);
    await node.run(['rmdir', '/etc/criu']);
    const host = await startSystemd(node);
    await host.writeFile('/etc/docker/daemon.json', JSON.stringify(DOCKER_SETTINGS));
    await host.run(['systemctl', 'start', 'docker']);
    await importBusyboxImage(host, 'busybox');
    return {
      host: {
        ...host,
        stop: async () => {
          await host.stop();
          await node.stop();
        },
      },
      startGhostContainer: async (container, bytes) => {
        const run = ['docker', 'run', '-d', '--network', 'host', '--name', container];
        const holder = ghostHolder([{ path: '/tmp/ghost.so', bytes }]);
        await host.run([...run, '--label', `app=${container}`, 'busybox', ...holder]);
        await eventually(`${container} to hold its file`, async () =>
          (await host.exec(['docker', 'exec', container, 'cat', '/tmp/ready'])).stdout === 'ready\n'
            ? true
            : null,
        );
      },
    };
  } catch (error) {
    await node.stop();
    throw error;
  }
}
