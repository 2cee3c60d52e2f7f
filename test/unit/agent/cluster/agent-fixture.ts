// Reflectors as an agent of a cluster has them, on a fake API server in virtual time.
import type { KubeObject, KubeResource } from '../../../../src/api/kube-object.ts';
import { createReflector, type Reflector } from '../../../../src/machinery/reflector.ts';
import type { KubeSelection } from '../../../../src/ports/kube-api.ts';
import { FakeKube } from '../../../fakes/fake-kube.ts';
import { kindFromCrd } from '../../../fakes/kube/fake-kind.ts';
import { VirtualTime } from '../../../fakes/virtual-time.ts';
import { crdFiles } from '../../codegen/crd-files.ts';
import { RecordingLog, RecordingMetrics } from '../../machinery/recording.ts';

export class AgentFixture {
  readonly time = new VirtualTime();
  readonly kube = new FakeKube({
    clock: this.time,
    kinds: crdFiles().map(({ object }) => kindFromCrd(object)),
    garbage: 'Manual',
  });
  readonly log = new RecordingLog();
  readonly stop = new AbortController();
  readonly #running: Promise<void>[] = [];

  /** Not yet synced. */
  reflect<T>(
    resource: KubeResource,
    project: (object: KubeObject) => T,
    selection: KubeSelection = {},
  ): Reflector<T> {
    const parts = {
      api: this.kube,
      clock: this.time,
      log: this.log,
      metrics: new RecordingMetrics(),
      random: () => 0.5,
    };
    const reflector = createReflector(parts, { name: resource.plural, resource, project, selection });
    this.#running.push(reflector.run(this.stop.signal));
    return reflector;
  }

  async end(): Promise<void> {
    this.stop.abort();
    await Promise.all(this.#running);
  }
}
