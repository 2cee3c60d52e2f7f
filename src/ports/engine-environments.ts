// The port to the environment that the container engines of this host run in: CRIU, which they start, goes by it.

export interface EngineEnvironment {
  /** Name of the program, "dockerd". */
  readonly program: string;
  readonly pid: number;
  /** CRIU reads HOME/.criu/default.conf; null: HOME is not set. */
  readonly home: string | null;
  /** CRIU reads this file after that one; null: CRIU_CONFIG_FILE is not set. */
  readonly criuConfigFile: string | null;
}

export interface EngineEnvironments {
  /** Of the daemons that start OCI runtimes with an environment of their own, and of their shims. Empty where none runs or may be read. */
  read(): Promise<readonly EngineEnvironment[]>;
}
