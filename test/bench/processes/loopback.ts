import type { AddressInfo } from 'node:net';
import { Server } from 'node:net';

/**
 *     node --import loopback.ts PROGRAM
 *
 * A program of others, which would listen on every address, listens on a free port of loopback alone; it prints
 * `port NUMBER`, and ends with its standard input.
 */
const listen = Server.prototype.listen as (this: Server, ...rest: unknown[]) => Server;
Server.prototype.listen = function onLoopback(this: Server, ...rest: unknown[]): Server {
  this.once('listening', () => process.stdout.write(`\nport ${(this.address() as AddressInfo).port}\n`));
  return listen.call(this, 0, '127.0.0.1', ...rest.filter((one) => typeof one === 'function'));
};
process.stdin.resume().on('end', () => process.exit());
