import { createReadStream, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/**
 * Serves folders, read only, on port 80 of the address of its first argument; the second names the file that lists
 * them. A path of npm's (`/@scope%2fname`) is that of the file once decoded.
 */
const [, , address, list = ''] = process.argv;
const shelves = new Map(Object.entries(JSON.parse(readFileSync(list, 'utf8')) as Record<string, string>));

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://depot');
  void answer(decodeURIComponent(pathname)).catch(() => response.destroy());

  async function answer(path: string): Promise<void> {
    const file = await find(path);
    if (file === null) {
      response.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify({ error: 'not found' }));
      return;
    }
    const { size } = await stat(file);
    response.writeHead(200, { 'content-length': size, 'content-type': typeOf(file) });
    if (request.method === 'HEAD') response.end();
    else await pipeline(createReadStream(file), response);
  }
});
server.listen(80, address, () => process.stdout.write('listening\n'));

/** Only a file on a shelf; a folder may have one that describes it, as npm's packages do. */
async function find(path: string): Promise<string | null> {
  const [, shelf = '', ...rest] = path.split('/');
  const folder = shelves.get(shelf);
  if (folder === undefined || rest.includes('..')) return null;
  for (const file of [join(folder, ...rest), join(folder, ...rest, 'package.json')]) {
    if (
      await stat(file).then(
        (seen) => seen.isFile(),
        () => false,
      )
    )
      return file;
  }
  return null;
}

function typeOf(file: string): string {
  return file.endsWith('.json') ? 'application/json' : 'application/octet-stream';
}
