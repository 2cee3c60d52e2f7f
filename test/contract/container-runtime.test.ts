import { FakeContainerRuntime } from '../fakes/fake-container-runtime.ts';
import { MEBIBYTE, describeContainerRuntime } from './container-runtime.contract.ts';
import type { RuntimeRig } from './container-runtime.contract.ts';

function fakeRig(): RuntimeRig {
  const runtime = new FakeContainerRuntime('docker');
  let started = 0;
  let ticks = 0;
  return {
    runtime,
    archiveDirectory: '/archives',
    ociRuntime: 'runc',
    keeps: 'ByName',
    start: ({ ghostBytes, labels = {} }) => {
      started += 1;
      const id = started.toString(16).padStart(2, 'a').repeat(32);
      runtime.add({ id, name: `c${started.toString()}`, labels }, [
        { path: '/tmp/ghost.so', bytes: ghostBytes },
      ]);
      return Promise.resolve(id);
    },
    stopContainer: (id) => {
      runtime.stop(id);
      return Promise.resolve();
    },
    setCriuFile: (content) => {
      const bytes = /^ghost-limit (\d+)\n$/.exec(content ?? '')?.[1];
      runtime.ghostLimitBytes = () => (bytes === undefined ? MEBIBYTE : Number(bytes));
      runtime.configFault =
        content === null || bytes !== undefined ? null : content.includes('=') ? 'Syntax' : 'Option';
      return Promise.resolve();
    },
    hangDumps: () => {
      let letGo = (): void => undefined;
      runtime.hang = new Promise((resolve) => {
        letGo = resolve;
      });
      return Promise.resolve({
        isHanging: () => Promise.resolve(true),
        letGo: () => {
          letGo();
          return Promise.resolve();
        },
      });
    },
    counter: () => Promise.resolve((ticks += 1)),
    look: (path) => {
      const archive = runtime.archives.get(path);
      return Promise.resolve(archive === undefined ? null : { sizeBytes: archive.sizeBytes, openModes: [] });
    },
    dispose: () => Promise.resolve(),
  };
}

describeContainerRuntime('FakeContainerRuntime', () => Promise.resolve(fakeRig()));
