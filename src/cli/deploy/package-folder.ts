import { fileURLToPath } from 'node:url';

/** Of this package: a checkout, or as npm installed it. */
export const PACKAGE_FOLDER = fileURLToPath(new URL('../../..', import.meta.url));
