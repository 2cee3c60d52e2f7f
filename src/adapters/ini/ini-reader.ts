// INI-shaped text read with the ini package. Its grammar is not CRIU's: the result explains a user's file, and decides nothing.
import { decode } from 'ini';
import type { IniReader, IniValue } from '../../ports/ini-reader.ts';

export const iniReader: IniReader = {
  read: (text) => ({ ...(decode(text) as Record<string, IniValue>) }),
};
