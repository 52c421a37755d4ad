import { readFileSync } from 'node:fs';

/** Version of this package: of the checkout as of the installed one, package.json stands two folders above. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
