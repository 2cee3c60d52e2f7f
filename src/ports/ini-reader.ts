// The port to INI-shaped text: read only to explain what a user meant, never to decide what CRIU does.

export type IniValue = string | boolean | null | readonly string[] | { readonly [key: string]: IniValue };

export interface IniReader {
  /** Keys, values and sections as an INI library sees them. Never throws; nonsense gives odd keys. */
  read(text: string): { readonly [key: string]: IniValue };
}
