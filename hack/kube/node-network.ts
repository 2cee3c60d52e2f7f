// The network of a lab cluster's nodes: a veth pair each into the control plane's bridge, a route each to its pods.
// Nothing of it is in this machine's own network.
import { ensureNodeRoot } from '../lab/node-root.ts';
import { runProgram } from '../lab/program.ts';

/** How many nodes a lab may have: each knows the routes to all of them from the start. */
export const MOST_NODES = 9;

/** InternalIP of node `number`. */
export const nodeIp = (number: number): string => `172.30.0.1${number}`;

const podSubnet = (number: number): string => `10.244.${number}.0/24`;

const ATTACH = String.raw`
mount --rbind /proc "$1/proc"
in_root() { chroot "$root" ip "$@"; }
root=$1 number=$2 pid=$3 subnet=$4 ip=$5
in_root link delete "veth$number" 2> /dev/null || true
in_root link add "veth$number" type veth peer name eth0 netns "$pid"
in_root link set "veth$number" master br0 up
in_root route replace "$subnet" via "$ip"
`;

export interface Attachment {
  /** Pid, as this machine counts, of a process in the network with the bridge br0. */
  bridgePid: number;
  /** Pid of a process in the node's network. */
  nodePid: number;
  number: number;
}

/**
 * Gives the node an eth0 that leads to the bridge. The words are those of the `ip` of the node's root, run over this
 * machine's /proc, where both networks have a name: this machine may have no iproute2.
 */
export async function attachToBridge({ bridgePid, nodePid, number }: Attachment): Promise<void> {
  const root = await ensureNodeRoot(() => undefined);
  const values = [root, number.toString(), nodePid.toString(), podSubnet(number), nodeIp(number)];
  const { code, stderr } = await runProgram([
    ...['nsenter', `--net=/proc/${bridgePid}/ns/net`, 'unshare', '--mount', '--propagation', 'private'],
    ...['bash', '-ec', ATTACH, 'attach', ...values],
  ]);
  if (code !== 0) throw new Error(`Node ${number} could not be joined to the lab's bridge:\n${stderr}`);
}

/** For bash in the node, once it has its eth0. */
export function nodeNetworkScript(number: number): string {
  const others = Array.from({ length: MOST_NODES }, (_, index) => index + 1).filter(
    (other) => other !== number,
  );
  return [
    'ip link set eth0 up',
    `ip addr add ${nodeIp(number)}/24 dev eth0`,
    'ip route add default via 172.30.0.1',
    ...others.map((other) => `ip route add ${podSubnet(other)} via ${nodeIp(other)}`),
    'echo 1 > /proc/sys/net/ipv4/ip_forward',
  ].join('\n');
}
