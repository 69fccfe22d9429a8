/** How one field of a config class is read from the environment, and how it is described to people. */
export interface SettingSpec {
  /** Name of the environment variable; `<name>_FILE` names a file that holds the value. */
  readonly env: string;
  /** What it is, in which unit, and how it relates to others. */
  readonly help: string;
  /** How the text becomes a value. Default: as it is. */
  readonly as?: 'text' | 'integer' | 'boolean';
  /** Secrets are never printed. */
  readonly secret?: true;
}

const registry = new Map<object, Map<string, SettingSpec>>();

/** Marks a field of a config class as read from the environment. */
export function Setting(spec: SettingSpec): PropertyDecorator {
  return (prototype, field) => {
    const fields = registry.get(prototype) ?? new Map<string, SettingSpec>();
    fields.set(String(field), spec);
    registry.set(prototype, fields);
  };
}

/** The settings of a config class, by field. */
export function settingsOf(prototype: object): ReadonlyMap<string, SettingSpec> {
  return registry.get(prototype) ?? new Map<string, SettingSpec>();
}
