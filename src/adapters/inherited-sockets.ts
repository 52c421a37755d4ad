import { FederationError } from '#src/core/errors.ts';

/** Descriptors are passed from this one on (SD_LISTEN_FDS_START). */
const FIRST = 3;

/**
 * The listening sockets that the service manager made for this process, from their names to their descriptors, by the
 * protocol of sd_listen_fds(3); none where they are meant for another process. The variables that tell of them leave
 * the environment, so that no child takes them for its own. Throws START_FAILED where they make no sense, or one of
 * them is not `known`: nobody would answer on it.
 */
export function takeInheritedSockets(
  known: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): ReadonlyMap<string, number> {
  const { LISTEN_PID: pid, LISTEN_FDS: count = '', LISTEN_FDNAMES: names } = environment;
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete environment[name];
  if (pid !== String(process.pid)) return new Map();
  if (!/^[1-9]\d{0,2}$/.test(count)) throw senseless(`LISTEN_FDS is ${JSON.stringify(count)}`);
  const listed = names?.split(':') ?? Array.from({ length: Number(count) }, () => 'unknown');
  if (listed.length !== Number(count))
    throw senseless(`LISTEN_FDNAMES has ${listed.length} names for ${count} sockets`);
  const sockets = new Map(listed.map((name, index) => [name, FIRST + index]));
  if (sockets.size !== listed.length) throw senseless(`two of the sockets ${listed.join(', ')} have one name`);
  const unknown = listed.find((name) => !known.includes(name));
  if (unknown !== undefined) throw senseless(`${JSON.stringify(unknown)} is not one of ${known.join(', ')}`);
  return sockets;
}

function senseless(problem: string): FederationError {
  return new FederationError('START_FAILED', `the sockets that were passed make no sense: ${problem}`, {
    hint: 'each socket unit passes one, with a FileDescriptorName= of its own',
  });
}
