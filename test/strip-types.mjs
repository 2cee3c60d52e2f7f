// Jest transformer: erases TypeScript types with Node's own stripper, so that tests run the same text that Node runs.
import { stripTypeScriptTypes } from 'node:module';

export default {
  process: (source) => ({ code: stripTypeScriptTypes(source) }),
};
