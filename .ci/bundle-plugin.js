import { readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { rolldown } from 'rolldown';

/**
 * Makes one file of the plugin and all that it needs: `bundle-plugin.js DIST TARGET` reads the compiled DIST/plugin, which
 * it removes, and writes TARGET/main.js, and TARGET/LICENSES.txt of the packages that are in it.
 *
 * OpenClaw copies a plugin's folder, and each package that it imports, whenever it loads it: at each start of a gateway and
 * for each of its commands. Our whole package with zod and undici would be more than two thousand files each time.
 */
const [dist, target] = process.argv.slice(2).map((path) => resolve(path));
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
await rm(join(dist, 'plugin'), { recursive: true });

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
