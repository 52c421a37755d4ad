import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { eventually } from '../support/eventually.ts';
import type { Authority } from './authority.ts';
import { CONTROL_NAME } from './authority.ts';
import { startInBackground } from './background.ts';
import { run, succeed } from './command.ts';
import type { Network } from './network.ts';
import type { Run } from './run-folder.ts';
import { makeTailnetPrograms } from './tailnet-programs.ts';

/** Where the control server is, on a host that is none of the machines. */
export const CONTROL_ADDRESS = '10.77.0.10';

/** Names of machines in the tailnet end with this. */
export const TAILNET_DOMAIN = 'tail.lab';

const TAGS = ['tag:master', 'tag:worker'] as const;
const USER = 'lab';

export interface AuthKeyOptions {
  /** A tagged machine belongs to no person. Untagged, it is that of the person `lab`. */
  readonly tags?: readonly (typeof TAGS)[number][];
  /** Good for more than one machine. */
  readonly reusable?: boolean;
}

export interface TailnetNode {
  readonly id: string;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly tags: readonly string[];
  readonly online: boolean;
}

/** A control server with a relay, for real tailscaled on the machines. */
export interface Tailnet {
  readonly loginServer: string;
  readonly domain: string;
  authKey(options?: AuthKeyOptions): Promise<string>;
  nodes(): Promise<TailnetNode[]>;
  /** As a person does who removes a machine in the admin console. */
  deleteNode(id: string): Promise<void>;
  /** What the control server wrote. */
  log(): Promise<string>;
}

const UserList = z.array(z.object({ id: z.number(), name: z.string() }));
const Key = z.object({ key: z.string() });
const NodeList = z.array(
  z.object({
    id: z.number(),
    given_name: z.string(),
    ip_addresses: z.array(z.string()),
    tags: z.array(z.string()).nullish(),
    online: z.boolean().optional(),
  }),
);

export async function openTailnet(lab: Run, network: Network, authority: Authority): Promise<Tailnet> {
  const folder = join(lab.folder, 'control');
  const config = join(folder, 'config.yaml');
  const log = join(folder, 'log');
  const { headscale } = await makeTailnetPrograms();
  await mkdir(folder);
  await writeFile(config, JSON.stringify(settings(folder, authority), null, 2));
  await writeFile(join(folder, 'policy.hujson'), JSON.stringify(POLICY));
  await network.plug('control', CONTROL_ADDRESS);
  await startInBackground(
    ['ip', 'netns', 'exec', network.namespace('control'), headscale, '--config', config, 'serve'],
    log,
  );
  const ask = async (...args: string[]): Promise<unknown> =>
    JSON.parse(await succeed([headscale, '--config', config, '--output', 'json', ...args]));
  await eventually(
    'the control server answers',
    async () => (await run([headscale, '--config', config, 'users', 'create', USER])).code === 0,
    30_000,
  );
  const user = UserList.parse(await ask('users', 'list')).find(({ name }) => name === USER)?.id;

  return {
    loginServer: `https://${CONTROL_NAME}`,
    domain: TAILNET_DOMAIN,
    async authKey({ tags = [], reusable = false } = {}) {
      const owner = tags.length > 0 ? ['--tags', tags.join(',')] : ['--user', String(user)];
      const more = reusable ? ['--reusable'] : [];
      return Key.parse(await ask('preauthkeys', 'create', '--expiration', '24h', ...owner, ...more)).key;
    },
    async nodes() {
      return NodeList.parse((await ask('nodes', 'list')) ?? []).map((node) => ({
        id: String(node.id),
        name: node.given_name,
        addresses: node.ip_addresses,
        tags: node.tags ?? [],
        online: node.online ?? false,
      }));
    },
    deleteNode: async (id) => void (await ask('nodes', 'delete', '--identifier', id, '--force')),
    log: () => readFile(log, 'utf8'),
  };
}

const POLICY = {
  tagOwners: Object.fromEntries(TAGS.map((tag) => [tag, [`${USER}@`]])),
  acls: [{ action: 'accept', src: ['*'], dst: ['*:*'] }],
};

/** The keys are those of headscale's config-example.yaml; YAML takes JSON. No relay but its own, so nothing is asked of the internet. */
function settings(folder: string, authority: Authority) {
  return {
    server_url: `https://${CONTROL_NAME}`,
    listen_addr: '0.0.0.0:443',
    metrics_listen_addr: '127.0.0.1:9090',
    grpc_listen_addr: '127.0.0.1:50443',
    tls_cert_path: authority.serverCertificatePath,
    tls_key_path: authority.serverKeyPath,
    noise: { private_key_path: join(folder, 'noise.key') },
    prefixes: { v4: '100.64.0.0/10', v6: 'fd7a:115c:a1e0::/48', allocation: 'sequential' },
    derp: {
      server: {
        enabled: true,
        region_id: 999,
        region_code: 'lab',
        region_name: 'Lab',
        verify_clients: true,
        stun_listen_addr: '0.0.0.0:3478',
        private_key_path: join(folder, 'relay.key'),
        automatically_add_embedded_derp_region: true,
        ipv4: CONTROL_ADDRESS,
      },
      urls: [],
      paths: [],
      auto_update_enabled: false,
    },
    disable_check_updates: true,
    node: { expiry: 0, ephemeral: { inactivity_timeout: '2m' } },
    database: { type: 'sqlite', sqlite: { path: join(folder, 'db.sqlite'), write_ahead_log: true } },
    policy: { mode: 'file', path: join(folder, 'policy.hujson') },
    dns: { magic_dns: true, base_domain: TAILNET_DOMAIN, override_local_dns: false, nameservers: { global: [] } },
    unix_socket: join(folder, 'socket'),
    unix_socket_permission: '0700',
    logtail: { enabled: false },
  };
}
