// The part of the Kubernetes Container Runtime Interface (package runtime.v1) that is spoken here, as protobufjs reads it. Field numbers: k8s.io/cri-api, api.proto.
// Names are for this program only: on the wire there are numbers. Fields that are not named here are skipped.

import type { fromJSON } from '@grpc/proto-loader';

const text = (id: number) => ({ type: 'string', id });
const texts = (id: number) => ({ keyType: 'string', type: 'string', id });
const many = (type: string, id: number) => ({ rule: 'repeated', type, id });
const call = (requestType: string, responseType: string) => ({ requestType, responseType, comment: '' });

export const CRI_PROTO: Parameters<typeof fromJSON>[0] = {
  nested: {
    runtime: {
      nested: {
        v1: {
          nested: {
            RuntimeService: {
              methods: {
                Version: call('VersionRequest', 'VersionResponse'),
                Status: call('StatusRequest', 'StatusResponse'),
                ListContainers: call('ListContainersRequest', 'ListContainersResponse'),
                ContainerStatus: call('ContainerStatusRequest', 'ContainerStatusResponse'),
                ListPodSandbox: call('ListPodSandboxRequest', 'ListPodSandboxResponse'),
                CheckpointContainer: call('CheckpointContainerRequest', 'CheckpointContainerResponse'),
                GetContainerEvents: {
                  ...call('GetEventsRequest', 'ContainerEventResponse'),
                  responseStream: true,
                },
              },
            },
            VersionRequest: { fields: { version: text(1) } },
            VersionResponse: {
              fields: { version: text(1), runtimeName: text(2), runtimeVersion: text(3) },
            },
            StatusRequest: { fields: { verbose: { type: 'bool', id: 1 } } },
            StatusResponse: { fields: { info: texts(2) } },
            ListContainersRequest: { fields: {} },
            ListContainersResponse: { fields: { containers: many('Container', 1) } },
            Container: {
              fields: {
                id: text(1),
                podSandboxId: text(2),
                metadata: { type: 'ContainerMetadata', id: 3 },
                state: { type: 'ContainerState', id: 6 },
                labels: texts(8),
              },
            },
            ContainerMetadata: { fields: { name: text(1), attempt: { type: 'uint32', id: 2 } } },
            ContainerState: {
              values: {
                CONTAINER_CREATED: 0,
                CONTAINER_RUNNING: 1,
                CONTAINER_EXITED: 2,
                CONTAINER_UNKNOWN: 3,
              },
            },
            ContainerStatusRequest: {
              fields: { containerId: text(1), verbose: { type: 'bool', id: 2 } },
            },
            ContainerStatusResponse: {
              fields: { status: { type: 'ContainerStatus', id: 1 }, info: texts(2) },
            },
            ContainerStatus: {
              fields: { id: text(1), state: { type: 'ContainerState', id: 3 } },
            },
            ListPodSandboxRequest: { fields: {} },
            ListPodSandboxResponse: { fields: { items: many('PodSandbox', 1) } },
            PodSandbox: { fields: { id: text(1), labels: texts(5) } },
            CheckpointContainerRequest: {
              fields: { containerId: text(1), location: text(2), timeout: { type: 'int64', id: 3 } },
            },
            CheckpointContainerResponse: { fields: {} },
            GetEventsRequest: { fields: {} },
            ContainerEventResponse: { fields: { containerId: text(1) } },
          },
        },
      },
    },
  },
};
