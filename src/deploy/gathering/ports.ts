import { z } from 'zod';
import type { Facts } from '#src/deploy/facts.ts';
import type { Answers } from '#src/deploy/gathering/answers.ts';
import { word } from '#src/deploy/gathering/answers.ts';

const portsSchema = z.object({ listening: word });

/** Who listens, from lines of /proc/net/tcp and tcp6: `sl local_address rem_address st …`, addresses in hex. */
export function listeningPorts(answers: Answers): Facts['ports'] {
  return answers
    .to(['ports'], portsSchema)
    .listening.split('\n')
    .flatMap((line) => {
      const [, address, port] = /^\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) \S+ 0A /.exec(line) ?? [];
      if (address === undefined || port === undefined) return [];
      return [{ address: addressOf(address), port: Number.parseInt(port, 16) }];
    });
}

/** Words of four bytes, each as a machine of the little end has it in memory: every one that we run on. */
function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  bytes.swap32();
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
