// Who reads CRIU's files on a host: the OCI runtimes of its engines, and the library through which crun speaks to CRIU. Gathered on the node, kept in its state folder.
import { z } from 'zod';

/** The files of /etc/criu that can count, without the folder. */
export const CRIU_FILE_NAMES = ['runc.conf', 'crun.conf', 'default.conf'] as const;
export type CriuFileName = (typeof CRIU_FILE_NAMES)[number];

/** The setting `files`: found out, or said. */
export const FilesSettingSchema = z.union(
  [z.literal('auto'), z.array(z.enum(CRIU_FILE_NAMES)).min(1)],
  `must be auto, or a list of ${CRIU_FILE_NAMES.join(', ')}`,
);
export type FilesSetting = z.output<typeof FilesSettingSchema>;

export const OciRuntimeSchema = z.object({
  /** The file of the program, without links. */
  program: z.string(),
  kind: z.enum(['runc', 'crun', 'Other']),
  /** null: it does not say. */
  version: z.string().nullable(),
  /** Whether it was built so that it can take checkpoints, as it says itself; null: it does not say. */
  builtWithCriu: z.boolean().nullable(),
  /** crun only: whether it can hand the name of a file to libcriu. Version 1.26 and newer. */
  namesFile: z.boolean(),
});
export type OciRuntime = z.output<typeof OciRuntimeSchema>;

export const LibcriuSchema = z.object({
  path: z.string(),
  /** Whether it can be handed the name of a file. Version 4.2 and newer. */
  takesFileName: z.boolean(),
});
export type Libcriu = z.output<typeof LibcriuSchema>;

export const CriuReadersSchema = z.object({
  files: FilesSettingSchema,
  ociRuntimes: z.array(
    OciRuntimeSchema.extend({
      /** How they run it: paths, names in PATH. */
      commands: z.array(z.string()),
      /** Engines that use it here: "docker", "podman". */
      engines: z.array(z.string()),
      /** Those of them that take it unless told otherwise. */
      defaultOf: z.array(z.string()),
    }),
  ),
  /** null: crun would not find it. */
  libcriu: LibcriuSchema.nullable(),
  /** null: there is no criu in PATH. */
  criuVersion: z.string().nullable(),
});
export type CriuReaders = z.output<typeof CriuReadersSchema>;
export type UsedOciRuntime = CriuReaders['ociRuntimes'][number];
