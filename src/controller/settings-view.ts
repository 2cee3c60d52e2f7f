// The settings as they stand in the ConfigMap: the last good ones when somebody writes nonsense into it, and what is wrong with it then.
import type { KubeObject } from '../api/kube-object.ts';
import { printFieldProblem } from '../api/field-problem.ts';
import { parseOperatorSettings, type OperatorSettings } from '../api/settings.ts';
import { SETTINGS_KEY } from '../api/names.ts';
import type { Log } from '../ports/log.ts';

export interface SettingsView {
  /** null: none were readable since the start. */
  current(): OperatorSettings | null;
  /** What is wrong with the ConfigMap as it stands, naming field and value; null: nothing. */
  problem(): string | null;
  /** The ConfigMap, for events about it; null: there is none. */
  object(): KubeObject | null;
}

export interface SettingsSource extends SettingsView {
  /** Takes the ConfigMap as it is now; null: it is gone. True when other settings are in force than before. */
  take(configMap: KubeObject | null): boolean;
}

/** `parseYaml` throws for what is no YAML. */
export function createSettingsSource(parseYaml: (text: string) => unknown, log: Log): SettingsSource {
  let current: OperatorSettings | null = null;
  let problem: string | null = 'the settings were not read yet';
  let object: KubeObject | null = null;
  return {
    current: () => current,
    problem: () => problem,
    object: () => object,
    take: (configMap) => {
      object = configMap;
      const read = readSettings(configMap, parseYaml);
      problem = read.problem;
      if (read.settings === null) {
        log.error('settings not usable, the last good ones stay', { problem });
        return false;
      }
      const changed = JSON.stringify(current) !== JSON.stringify(read.settings);
      current = read.settings;
      if (changed) log.info('settings in force', { settings: current });
      return changed;
    },
  };
}

type ReadSettings =
  | { readonly settings: OperatorSettings; readonly problem: null }
  | { readonly settings: null; readonly problem: string };

function readSettings(configMap: KubeObject | null, parseYaml: (text: string) => unknown): ReadSettings {
  if (configMap === null) return { settings: null, problem: 'there is no ConfigMap with the settings' };
  const text = (configMap['data'] as Readonly<Record<string, unknown>> | undefined)?.[SETTINGS_KEY];
  if (typeof text !== 'string')
    return { settings: null, problem: `data: the key ${SETTINGS_KEY} is missing` };
  try {
    const parsed = parseOperatorSettings(parseYaml(text) ?? {});
    if (parsed.ok) return { settings: parsed.settings, problem: null };
    return {
      settings: null,
      problem: `${SETTINGS_KEY}: ${parsed.problems.map(printFieldProblem).join('; ')}`,
    };
  } catch (error) {
    return { settings: null, problem: `${SETTINGS_KEY}: ${(error as Error).message}` };
  }
}
