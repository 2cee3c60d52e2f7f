// The port to the metrics of the controller runtime. Named after client-go's and controller-runtime's, so that dashboards for those fit; times in seconds.

/** How a watch came to its end: the server's time-out or closing, our idle watchdog, 410, another failure, our own stop. */
export type WatchEndReason = 'ended' | 'idle' | 'gone' | 'failed' | 'stopped';

export interface MachineryMetrics {
  /** workqueue_depth: keys that wait for a worker. */
  queueDepth(queue: string, keys: number): void;
  /** workqueue_adds_total: adds that were not already waiting. */
  queueAdded(queue: string): void;
  /** workqueue_queue_duration_seconds: from the add to the worker. */
  queueWaited(queue: string, seconds: number): void;
  /** workqueue_work_duration_seconds: from the worker's get to its done. */
  queueWorked(queue: string, seconds: number): void;
  /** workqueue_retries_total: rate-limited adds. */
  queueRetried(queue: string): void;
  /** controller_runtime_reconcile_total and controller_runtime_reconcile_time_seconds. */
  reconciled(controller: string, result: 'success' | 'requeue_after' | 'error', seconds: number): void;
  /** reflector_lists_total and reflector_list_duration_seconds; all pages of one list together. */
  listed(source: string, result: 'success' | 'error', seconds: number): void;
  /** reflector_watches_total and reflector_watch_duration_seconds. */
  watched(source: string, end: WatchEndReason, seconds: number): void;
  /** reflector_objects: objects held in the store. */
  objectsHeld(source: string, objects: number): void;
  /** leader_election_master_status. */
  leading(election: string, leading: boolean): void;
}
