// The port to where a node's report goes: a status file, a CheckpointNode object.
import type { CheckpointNodeStatus } from '../api/checkpoint-node.ts';

export interface ReportSink {
  /** Publishes the whole report; the last one wins. */
  publish(report: CheckpointNodeStatus): Promise<void>;
}
