// The contract of KubeApi on the fake.
import { systemClock } from '../../src/adapters/clock/system-clock.ts';
import { FakeKube } from '../fakes/fake-kube.ts';
import { kindFromCrd } from '../fakes/kube/fake-kind.ts';
import { kubeApiContract } from './kube-api.contract.ts';
import { WIDGET_CRD } from './widget-crd.ts';

kubeApiContract('FakeKube', () =>
  Promise.resolve({
    api: new FakeKube({ clock: systemClock, bookmarkMs: 200, kinds: [kindFromCrd(WIDGET_CRD)] }),
    namespace: 'contract',
    dispose: () => Promise.resolve(),
  }),
);
