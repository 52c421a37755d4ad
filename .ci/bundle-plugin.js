import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { rolldown } from 'rolldown';

/**
 * Makes a folder that is the plugin alone: `bundle-plugin.js DIST TARGET` reads the compiled DIST/plugin and
 * writes TARGET: one file of it and all that it needs, with the licenses of what that is, its manifests, and its skills.
 *
 * OpenClaw copies a plugin's folder, and each package that it imports, whenever it loads it: at each start of a gateway and
 * for each of its commands. Our whole package with zod and undici would be more than two thousand files each time.
 */
const [dist, target] = process.argv.slice(2).map((path) => resolve(path));
const ROOT = resolve(import.meta.dirname, '..');
/** What may be in it: a package that gets in unseen would be shipped unseen. */
const PACKAGES = ['eventsource-parser', 'ipaddr.js', 'undici', 'zod'];

const build = await rolldown({
  input: join(dist, 'plugin/main.js'),
  platform: 'node',
  // The gateway's own, which is there.
  external: /^openclaw(?:\/|$)/,
});
await rm(target, { recursive: true, force: true });
const { output } = await build.write({ dir: target, format: 'esm', codeSplitting: false });
await build.close();

const modules = output.flatMap((chunk) => (chunk.type === 'chunk' ? Object.keys(chunk.modules) : []));
const folders = new Map(modules.flatMap(packageOf));
const strangers = [...folders.keys()].filter((name) => !PACKAGES.includes(name));
if (strangers.length > 0) throw new Error(`the plugin holds what it should not: ${strangers.join(', ')}`);
const licenses = await Promise.all(
  PACKAGES.flatMap((name) => (folders.has(name) ? [licenseOf(name, folders.get(name))] : [])),
);
await writeFile(join(target, 'LICENSES.txt'), licenses.join('\n'));

const { name, version, license, type, openclaw } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
const manifest = { name, version, license, type, openclaw: { ...openclaw, extensions: ['./main.js'] } };
await writeFile(join(target, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
for (const path of ['openclaw.plugin.json', 'skills'])
  await cp(join(ROOT, path), join(target, path), { recursive: true });

/** Name and folder of the package that a module is of. */
function packageOf(module) {
  const found = /^(.*\/node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(module);
  return found === null ? [] : [[found[2], found[1]]];
}

async function licenseOf(name, folder) {
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const text = await readFile(join(folder, 'LICENSE'), 'utf8');
  return `${name} ${version}\n\n${text.trim()}\n`;
}
