// Reads one /proc/PID/maps text: which files are mapped, where, and what the mappings tell about a dump. Reads no files.

export interface MappedFile {
  /** Path as maps writes it, one character for each byte, a newline as \012; only the link in map_files has the raw text. */
  readonly text: string;
  /** `MAJOR:MINOR`, decimal. */
  readonly device: string;
  readonly inode: string;
  /** Names of the entries in map_files: one for each mapping. */
  readonly entries: readonly string[];
}

export interface MemoryMap {
  readonly files: readonly MappedFile[];
  readonly firstExecutable: { readonly shared: boolean; readonly text: string } | undefined;
  readonly hasUprobes: boolean;
}

const LINE = /^0*([0-9a-f]+)-0*([0-9a-f]+) (\S{4}) [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) (\d+) *(.*)$/;

interface Mapping {
  readonly entry: string;
  readonly permissions: string;
  readonly device: string;
  readonly inode: string;
  readonly text: string;
}

/** Parses /proc/PID/maps, given with one character for each byte. Mappings of one file are put together. */
export function parseMemoryMap(text: string): MemoryMap {
  const mappings = text.split('\n').flatMap((line) => parseMapping(line) ?? []);
  const first = mappings.find(({ permissions }) => permissions[2] === 'x');
  const groups = Map.groupBy(
    mappings.filter((mapping) => mapping.text.startsWith('/')),
    (mapping) => `${mapping.device} ${mapping.inode} ${mapping.text}`,
  );
  return {
    files: [...groups.values()].flatMap(toMappedFile),
    firstExecutable: first && { shared: first.permissions[3] === 's', text: first.text },
    hasUprobes: mappings.some((mapping) => mapping.text === '[uprobes]'),
  };
}

function parseMapping(line: string): Mapping | undefined {
  const match = LINE.exec(line);
  if (match === null) return undefined;
  const [, start = '', end = '', permissions = '', major = '', minor = '', inode = '', text = ''] = match;
  const device = `${parseInt(major, 16)}:${parseInt(minor, 16)}`;
  return { entry: `${start}-${end}`, permissions, device, inode, text };
}

function toMappedFile(mappings: readonly Mapping[]): MappedFile[] {
  const first = mappings[0];
  if (first === undefined) return [];
  const { text, device, inode } = first;
  return [{ text, device, inode, entries: mappings.map(({ entry }) => entry) }];
}
