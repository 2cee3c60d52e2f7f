// The version of this build.

declare const __GHOSTLIMIT_VERSION__: string | undefined;

/** From package.json at build time; "dev" when the sources run unbundled. */
export const VERSION = typeof __GHOSTLIMIT_VERSION__ === 'string' ? __GHOSTLIMIT_VERSION__ : 'dev';
