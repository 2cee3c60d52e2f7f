// The one table of remarks about a CRIU file: what each code means, how bad it is, and what to do. Messages with the offending text come from messages.ts.

/** Refusal: CRIU takes nothing from the file and every dump and restore that reads it fails. Warning: accepted, but surely not meant. Note: accepted. */
export type FindingSeverity = 'Refusal' | 'Danger' | 'Warning' | 'Note';

export interface FindingCode {
  readonly severity: FindingSeverity;
  /** what CRIU does, one sentence */
  readonly sentence: string;
  /** what to do about it, one sentence */
  readonly remedy: string;
}

const REFUSALS = {
  BlanksAroundEquals: {
    severity: 'Refusal',
    sentence: 'CRIU splits a line at its first blank, so "=" and the value become two values, and it exits.',
    remedy: 'Write the option, one blank and the value, without "=".',
  },
  TrailingWords: {
    severity: 'Refusal',
    sentence: 'CRIU allows one value for an option and exits when it finds a second word.',
    remedy: 'Leave one value, or put quotes round a value that holds blanks.',
  },
  LoneQuote: {
    severity: 'Refusal',
    sentence: 'CRIU exits at a value that is only a quote.',
    remedy: 'Close the quotes, or leave them out.',
  },
  QuoteNotClosed: {
    severity: 'Refusal',
    sentence: 'CRIU exits at a value that begins with a quote and has no second one.',
    remedy: 'Close the quotes, or leave them out.',
  },
  TextAfterQuote: {
    severity: 'Refusal',
    sentence: 'CRIU exits when text follows the closing quote.',
    remedy: 'Leave nothing but a comment after the closing quote.',
  },
  UnknownOption: {
    severity: 'Refusal',
    sentence: 'CRIU knows no option of this name and rejects the whole request.',
    remedy: 'Correct the name or put "#" before the line.',
  },
  AmbiguousOption: {
    severity: 'Refusal',
    sentence: 'The shortened name fits several options, so CRIU rejects the whole request.',
    remedy: 'Write the full name.',
  },
  IniComment: {
    severity: 'Refusal',
    sentence: 'CRIU does not know ";" as the start of a comment and takes the line for an option.',
    remedy: 'Begin comments with "#".',
  },
  IniSection: {
    severity: 'Refusal',
    sentence: 'CRIU has no sections and takes the line for an option.',
    remedy: 'Take the line out.',
  },
  LeadingDashes: {
    severity: 'Refusal',
    sentence: 'CRIU puts "--" before each line itself, so an option written with dashes is unknown to it.',
    remedy: 'Leave the dashes out.',
  },
  ByteOrderMark: {
    severity: 'Refusal',
    sentence:
      'The bytes EF BB BF at the start of the file become part of the first option name, which CRIU then does not know.',
    remedy: 'Save the file as UTF-8 without a byte order mark.',
  },
  CarriageReturn: {
    severity: 'Refusal',
    sentence:
      'The carriage return before the line end becomes part of the option name, which CRIU then does not know.',
    remedy: 'Save the file with Unix line ends.',
  },
  TabBeforeBlank: {
    severity: 'Refusal',
    sentence:
      'When a line holds a blank, CRIU ends the option name there and not at an earlier tab, so the name is unknown to it.',
    remedy: 'Put a blank instead of the tab between the option and its value.',
  },
  ArgumentNotAllowed: {
    severity: 'Refusal',
    sentence: 'A switch takes no value after "=", so CRIU rejects the whole request.',
    remedy: 'Write the name alone to turn it on, or with "no-" before it to turn it off.',
  },
  ArgumentMissing: {
    severity: 'Refusal',
    sentence: 'The option needs a value and the file ends without one, so CRIU rejects the whole request.',
    remedy: 'Write the value after the option, with a blank between.',
  },
  InvalidValue: {
    severity: 'Refusal',
    sentence: 'CRIU checks the value of this option and rejects the whole request.',
    remedy: 'Correct the value or put "#" before the line.',
  },
  HelpOption: {
    severity: 'Refusal',
    sentence: 'CRIU stops reading and rejects the request.',
    remedy: 'Take the line out.',
  },
  VersionOption: {
    severity: 'Refusal',
    sentence: 'CRIU prints its version and exits without an answer to the runtime.',
    remedy: 'Take the line out.',
  },
  RemovedOption: {
    severity: 'Refusal',
    sentence: 'CRIU knows the option only to refuse it.',
    remedy: 'Take the line out.',
  },
  NotForDumps: {
    severity: 'Refusal',
    sentence: 'CRIU refuses every dump while this option is on.',
    remedy: 'Take the line out.',
  },
  OptionConflict: {
    severity: 'Refusal',
    sentence: 'CRIU refuses this combination of options.',
    remedy: 'Take one of the lines out.',
  },
  MissingPath: {
    severity: 'Refusal',
    sentence: 'CRIU opens this path before it dumps and rejects the request when it is not there.',
    remedy: 'Take the line out: the runtime chooses these paths itself.',
  },
  NeedsKernelSupport: {
    severity: 'Refusal',
    sentence: 'CRIU rejects the request on kernels without soft-dirty memory tracking.',
    remedy: 'Take the line out; a runtime that needs it asks for it itself.',
  },
  WordArrayOverrun: {
    severity: 'Refusal',
    sentence:
      'CRIU does not count tabs when it makes room for words, so many lines with a tab write beyond its memory and it crashes.',
    remedy: 'Put blanks instead of tabs between options and values.',
  },
  UndefinedMemory: {
    severity: 'Refusal',
    sentence:
      'CRIU looks for further words behind the end of this value, in memory whose contents nobody controls, and may refuse the file.',
    remedy: 'Leave one blank between the option and its value, and no quotes that are not needed.',
  },
} as const satisfies Record<string, FindingCode>;

const DANGERS = {
  RunsCode: {
    severity: 'Danger',
    sentence: 'CRIU runs code from this path as root at every dump.',
    remedy: 'Take the line out unless you put it there and trust everybody who can write to the path.',
  },
  WritesFiles: {
    severity: 'Danger',
    sentence: 'CRIU writes files as root at this place instead of where the runtime looks for them.',
    remedy: 'Take the line out: the runtime chooses these paths itself.',
  },
  SendsMemory: {
    severity: 'Danger',
    sentence: 'CRIU can send the memory of containers over the network.',
    remedy: 'Take the line out.',
  },
  ExposesHost: {
    severity: 'Danger',
    sentence: 'The option can bring files or namespaces of the host into a restored container.',
    remedy: 'Take the line out unless you know which container needs it.',
  },
  WeakensConfinement: {
    severity: 'Danger',
    sentence: 'The option can switch off a protection of restored containers.',
    remedy: 'Take the line out unless you know which container needs it.',
  },
  BreaksDumps: {
    severity: 'Danger',
    sentence: 'CRIU accepts the line, but dumps through a container runtime can fail because of it.',
    remedy: 'Take the line out.',
  },
  StopsWorkloads: {
    severity: 'Danger',
    sentence: 'The option can leave containers stopped, or frozen longer than the runtime asked for.',
    remedy: 'Take the line out.',
  },
} as const satisfies Record<string, FindingCode>;

const REMARKS = {
  ZeroLimit: {
    severity: 'Warning',
    sentence: 'The limit is 0, so that any deleted file that holds data makes a dump fail.',
    remedy: 'Write a number of bytes, for example ghost-limit 3145728.',
  },
  BelowDefault: {
    severity: 'Warning',
    sentence: 'The limit is lower than the 1 MiB that CRIU uses without the line.',
    remedy: 'Raise it to 1048576 or more, or take the line out.',
  },
  LowerCaseSuffix: {
    severity: 'Warning',
    sentence:
      'CRIU knows only the capital letters K, M and G; in lower case they are ignored and the number counts bytes.',
    remedy: 'Write the letter in upper case, or the number of bytes.',
  },
  ValueNotNumber: {
    severity: 'Warning',
    sentence: 'The value does not begin with a number, which CRIU takes for 0.',
    remedy: 'Write a number of bytes, for example ghost-limit 3145728.',
  },
  TrailingTextIgnored: {
    severity: 'Warning',
    sentence: 'CRIU reads the digits at the start of the value and ignores the rest.',
    remedy: 'Write the number alone, or with K, M or G.',
  },
  WrappedLimit: {
    severity: 'Warning',
    sentence: 'The number is negative or too large for 64 bits, so the limit is another one than written.',
    remedy: 'Write a number of bytes, for example ghost-limit 3145728.',
  },
  IniFile: {
    severity: 'Note',
    sentence:
      'The file has the shape of an INI file, as INI writers and many articles produce it; CRIU has a grammar of its own.',
    remedy: 'Write the lines that the message shows.',
  },
  OverriddenLine: {
    severity: 'Note',
    sentence: 'A later line sets the limit again; the last one counts.',
    remedy: 'Take the line out if it is not needed.',
  },
  ValueFromNextLine: {
    severity: 'Warning',
    sentence:
      'The option has no value on its line, so CRIU takes the whole name on the next line for its value.',
    remedy: 'Write the value after the option, with a blank between.',
  },
  OptionInValue: {
    severity: 'Warning',
    sentence: 'The word after this switch begins with "-", so CRIU reads it as further options.',
    remedy: 'Write each option on a line of its own.',
  },
  IgnoredWord: {
    severity: 'Warning',
    sentence: 'CRIU ignores this word: the option before it takes none, or only after "=".',
    remedy: 'Take the word out, or join it to the option with "=".',
  },
  OptionsEnd: {
    severity: 'Warning',
    sentence: 'CRIU reads this as the word "--" and ignores everything after it.',
    remedy: 'Take the line out, and end the file with a newline.',
  },
  AbbreviatedOption: {
    severity: 'Note',
    sentence:
      'CRIU accepts the shortened name as long as no other option begins alike; a new version may add one.',
    remedy: 'Write the full name.',
  },
  NoEffect: {
    severity: 'Note',
    sentence: 'CRIU accepts the line, but it changes nothing here.',
    remedy: 'Take the line out.',
  },
  StrayRead: {
    severity: 'Warning',
    sentence:
      'CRIU looks for further words behind the end of this value, in memory that is not its own; so far it found none there.',
    remedy: 'Leave one blank between the option and its value, and no quotes that are not needed.',
  },
  CutAtNul: {
    severity: 'Warning',
    sentence: 'The line holds a NUL byte; CRIU does not see what follows it.',
    remedy: 'Take the byte out.',
  },
} as const satisfies Record<string, FindingCode>;

export const FINDING_CODES = { ...REFUSALS, ...DANGERS, ...REMARKS } as const;

export type ConfFindingCode = keyof typeof FINDING_CODES;
export type RefusalCode = keyof typeof REFUSALS;
