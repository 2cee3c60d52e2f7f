import { describe, expect, test } from '@jest/globals';
import type { OciRuntime } from '../../../src/api/criu-readers.ts';
import { createCriuReaders, type CriuReadersSource } from '../../../src/node-engine/criu-readers.ts';
import { openDocuments, type NodeDocuments } from '../../../src/node-engine/documents.ts';
import { FakeClock } from '../../fakes/fake-clock.ts';
import { FakeContainerRuntime } from '../../fakes/fake-container-runtime.ts';
import { FakeNode } from '../../fakes/fake-node.ts';

const RUNC: OciRuntime = {
  program: '/usr/sbin/runc',
  kind: 'runc',
  version: '1.3',
  builtWithCriu: null,
  namesFile: false,
};
const CRUN: OciRuntime = {
  program: '/usr/bin/crun',
  kind: 'crun',
  version: '1.28',
  builtWithCriu: true,
  namesFile: true,
};
const PROGRAMS: Record<string, OciRuntime> = { runc: RUNC, crun: CRUN, '/usr/bin/crun': CRUN };
const MINUTE_MS = 60_000;

class Host {
  readonly docker = new FakeContainerRuntime('docker');
  readonly podman = new FakeContainerRuntime('podman');
  readonly clock = new FakeClock();
  readonly documents: NodeDocuments;
  looks = 0;
  constructor() {
    const { state, log } = new FakeNode();
    this.documents = openDocuments(state, log);
  }
  source(): CriuReadersSource {
    return createCriuReaders({
      runtimes: [this.docker, this.podman],
      inspector: {
        inspect: (command) => Promise.resolve(PROGRAMS[command] ?? null),
        findLibcriu: () => {
          this.looks += 1;
          return Promise.resolve(null);
        },
        cgroupMode: () => Promise.resolve('V2'),
      },
      facts: {
        read: () => Promise.resolve({ nodeName: 'n1', kernelVersion: '6.12.0', criuVersion: '4.2.1' }),
      },
      document: this.documents.criuReaders,
      clock: this.clock,
    });
  }
  async uses(): Promise<unknown> {
    return (await this.documents.criuReaders.read())?.ociRuntimes.map(
      ({ program, engines, defaultOf, commands }) => [program, engines, defaultOf, commands],
    );
  }
}

const BOTH_RUNC = ['/usr/sbin/runc', ['docker', 'podman'], ['docker', 'podman'], ['runc']];

describe('who reads CRIU files', () => {
  test('are the default runtimes of the engines and those of their containers, by program', async () => {
    const host = new Host();
    host.podman.add({ id: 'a', ociRuntime: 'crun' });
    host.podman.add({ id: 'b', ociRuntime: '/usr/bin/crun' });
    host.podman.add({ id: 'c', ociRuntime: 'not-there' });
    await host.source().refresh('auto');
    expect(await host.uses()).toEqual([
      ['/usr/bin/crun', ['podman'], [], ['crun', '/usr/bin/crun']],
      BOTH_RUNC,
    ]);
  });

  test('an engine that is silent keeps what it had', async () => {
    const host = new Host();
    const source = host.source();
    host.podman.add({ id: 'a', ociRuntime: 'crun' });
    await source.refresh('auto');
    const before = await host.uses();
    host.podman.available = false;
    host.clock.jump(MINUTE_MS);
    await source.refresh('auto');
    expect(await host.uses()).toEqual(before);
    host.podman.available = true;
    host.podman.remove('a');
    host.clock.jump(MINUTE_MS);
    await source.refresh('auto');
    expect(await host.uses()).toEqual([BOTH_RUNC]);
  });

  test('are asked for once a minute, and by a command only when nobody ever did', async () => {
    const host = new Host();
    const agent = host.source();
    await agent.refresh(['runc.conf']);
    await agent.refresh(['runc.conf']);
    host.clock.jump(MINUTE_MS - 1);
    await agent.refresh(['runc.conf']);
    expect(host.looks).toBe(1);
    host.clock.jump(1);
    await agent.refresh(['runc.conf']);
    expect(host.looks).toBe(2);
    await host.source().refreshIfUnknown('auto');
    expect(host.looks).toBe(2);
    expect((await host.documents.criuReaders.read())?.files).toEqual(['runc.conf']);
    await host.documents.criuReaders.remove();
    await host.source().refreshIfUnknown('auto');
    expect((await host.documents.criuReaders.read())?.files).toBe('auto');
  });
});
