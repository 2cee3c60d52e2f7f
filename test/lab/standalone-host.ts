// A lab node as a user's host: Docker Engine or runc, the built product in it, and what a test asks of them.
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { ChildProcess } from 'node:child_process';
import { startDocker, importBusyboxImage, type LabDocker } from '../../hack/lab/docker.ts';
import { ghostHolder, type HeldFile } from '../../hack/lab/ghost-holders.ts';
import {
  PROJECT_INSIDE,
  startLabNode,
  type Bind,
  type ExecResult,
  type LabNode,
} from '../../hack/lab/lab-node.ts';
import { CheckpointNodeStatusSchema, type CheckpointNodeStatus } from '../../src/api/checkpoint-node.ts';

export const RUNC_CONF = '/etc/criu/runc.conf';
export const POLICIES = '/etc/ghostlimit/policies';
const PROGRAM = `${PROJECT_INSIDE}/dist/ghostlimit.mjs`;
/** Met waits cost nothing, and a loaded machine may take long. */
const WAIT_MS = 60_000;
/** The agent's process, and not the shell that asks for it. */
const AGENT = 'ghostlimit.mjs agen[t]';

export const MIB = 2 ** 20;

export interface StandaloneHost {
  readonly node: LabNode;
  readonly docker: LabDocker;
  /** Runs the product in the node. */
  ghostlimit(...args: string[]): Promise<ExecResult>;
  /** The same with -o json: what it printed, checked by `schema`, whatever its exit code. */
  ghostlimitJson<T>(
    schema: z.ZodType<T>,
    ...args: string[]
  ): Promise<{ readonly code: number; readonly value: T }>;
  /** Starts the agent over POLICIES and returns when it is ready. */
  startAgent(...args: string[]): Promise<ChildProcess>;
  /** SIGKILL to every agent; returns when none is left, nor its port and its lock. */
  killAgents(): Promise<void>;
  /** The agent's report, by `ghostlimit status`, once `holds` of it: in a pass it comes after the file. */
  reported(what: string, holds: (report: CheckpointNodeStatus) => boolean): Promise<CheckpointNodeStatus>;
  /** A busybox container that holds `bytes` in one deleted file, /tmp/ghost.so. */
  startGhostContainer(name: string, bytes: number, ...dockerArgs: string[]): Promise<void>;
  conf(): Promise<string | null>;
  stop(): Promise<void>;
}

export async function startStandaloneHost(
  name: string,
  binds: readonly Bind[] = [],
): Promise<StandaloneHost> {
  const node = await startLabNode({ name, binds, progress: () => undefined });
  const docker = await startDocker(node);
  await importBusyboxImage(node, 'busybox');
  await node.run(['mkdir', '-p', POLICIES]);
  const ghostlimit: StandaloneHost['ghostlimit'] = (...args) => node.exec(['node', PROGRAM, ...args]);
  const ghostlimitJson: StandaloneHost['ghostlimitJson'] = async (schema, ...args) => {
    const { code, stdout, stderr } = await ghostlimit(...args, '-o', 'json');
    if (stdout === '')
      throw new Error(`ghostlimit ${args.join(' ')} printed nothing (exit ${code.toString()}): ${stderr}`);
    return { code, value: schema.parse(JSON.parse(stdout)) };
  };
  return {
    node,
    docker,
    ghostlimit,
    ghostlimitJson,
    startAgent: async (...args) => {
      const log = '/var/log/ghostlimit.log';
      const child = node.spawn([
        'sh',
        '-c',
        `exec node ${PROGRAM} agent --standalone --policies ${POLICIES} "$@" >> ${log} 2>&1`,
        'agent',
        ...args,
      ]);
      await eventually('the agent to be ready', async () => ((await readyz(node)) === 'ok\n' ? true : null));
      return child;
    },
    killAgents: async () => {
      await node.exec(['pkill', '-KILL', '-f', AGENT]);
      await eventually('the end of the agents', async () =>
        (await node.exec(['pgrep', '-f', AGENT])).code === 1 ? true : null,
      );
    },
    reported: (what, holds) =>
      eventually(what, async () => {
        const { value } = await ghostlimitJson(CheckpointNodeStatusSchema, 'status');
        return holds(value) ? value : null;
      }),
    startGhostContainer: async (container, bytes, ...dockerArgs) => {
      const held: HeldFile[] = [{ path: '/tmp/ghost.so', bytes }];
      await docker.docker(
        'run',
        '-d',
        '--network',
        'host',
        '--name',
        container,
        ...dockerArgs,
        'busybox',
        ...ghostHolder(held),
      );
      await eventually(`${container} to hold its file`, async () =>
        (await node.exec(['docker', 'exec', container, 'cat', '/tmp/ready'])).stdout === 'ready\n'
          ? true
          : null,
      );
    },
    conf: async () => (await node.readFile(RUNC_CONF))?.toString() ?? null,
    stop: () => node.stop(),
  };
}

async function readyz(node: LabNode): Promise<string> {
  return (await node.exec(['curl', '--silent', 'http://127.0.0.1:9808/readyz'])).stdout;
}

/** What `doctor -o json` prints. */
export const DoctorSchema = z.object({
  checks: z.array(
    z.object({
      name: z.string(),
      ok: z.boolean(),
      reason: z.string(),
      message: z.string(),
      hint: z.string(),
    }),
  ),
});

/** What `look` finds, once it finds something; throws after `waitMs`, 60 s if not said. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | null>,
  waitMs = WAIT_MS,
): Promise<T> {
  const giveUpAt = Date.now() + waitMs;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (Date.now() > giveUpAt) throw new Error(`waited ${(waitMs / 1000).toString()} s for ${what}`);
    await sleep(50);
  }
}

/** A CheckpointPolicy as YAML; `spec` is what comes below `spec:`, indented by two. */
export function policyYaml(name: string, spec: string): string {
  return `apiVersion: ghostlimit.dev/v1alpha1\nkind: CheckpointPolicy\nmetadata: {name: ${name}}\nspec:\n${spec}\n`;
}

/** A policy with one target by the label app=`app`. */
export function limitPolicy(app: string, limit: string, more = ''): string {
  return policyYaml(
    app,
    `${more}  targets:\n  - name: main\n    selector: {matchLabels: {app: ${app}}}\n    ghostLimit: ${limit}`,
  );
}
