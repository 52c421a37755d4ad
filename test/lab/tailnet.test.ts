import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { describeLab } from './describe-lab.ts';
import type { Lab } from './lab.ts';
import { openLab } from './lab.ts';
import type { Machine } from './machine.ts';

describeLab('a tailnet of the lab', 'tailnet', () => {
  let lab: Lab;
  let master: Machine;
  let worker: Machine;

  beforeAll(async () => {
    lab = await openLab({ machines: 3 });
    master = lab.machine('m1');
    worker = lab.machine('m2');
    await Promise.all([install(master), install(worker)]);
  });
  afterAll(() => lab.close());

  async function install(machine: Machine): Promise<void> {
    await machine.succeed(['sh', '-euc', INSTALL, 'sh', lab.tailscaleTarball]);
  }

  /** Whether the key let it in. */
  async function join(machine: Machine, key: string): Promise<boolean> {
    await machine.write('/root/key', key, { mode: '600' });
    const server = `--login-server=${lab.tailnet.loginServer}`;
    return (await machine.run(['tailscale', 'up', server, '--auth-key=file:/root/key', '--timeout=60s'])).code === 0;
  }

  const ping = async (from: Machine, to: string) =>
    (await from.run(['tailscale', 'ping', '--c', '1', '--timeout', '2s', to])).code === 0;

  it('lets machines in with a key, by the tags of that key', async () => {
    expect(await join(master, await lab.tailnet.authKey({ tags: ['tag:master'] }))).toBe(true);
    expect(await join(worker, await lab.tailnet.authKey({ tags: ['tag:worker'] }))).toBe(true);
    const nodes = await lab.tailnet.nodes();
    expect(nodes.map(({ name, tags, online }) => ({ name, tags, online }))).toEqual([
      { name: 'm1', tags: ['tag:master'], online: true },
      { name: 'm2', tags: ['tag:worker'], online: true },
    ]);
    const [, second] = nodes;
    const whois = JSON.parse(await master.succeed(['tailscale', 'whois', '--json', second?.addresses[0] ?? '']));
    expect(whois).toMatchObject({ Node: { Name: 'm2.tail.lab.', Tags: ['tag:worker'] } });
  });

  it('takes a key once, unless it is made to be used again', async () => {
    const other = lab.machine('m3');
    await install(other);
    for (const reusable of [true, false]) {
      const key = await lab.tailnet.authKey({ reusable });
      expect(await join(other, key)).toBe(true);
      await other.succeed(['tailscale', 'logout']);
      expect(await join(other, key)).toBe(reusable);
      await other.run(['tailscale', 'logout']);
    }
  });

  it('connects them, by address and by the name that the tailnet gives', async () => {
    await eventually('the worker answers', () => ping(master, 'm2'), 30_000);
    expect(await master.succeed(['getent', 'hosts', 'm2.tail.lab'])).toMatch(/^100\.64\.\d+\.\d+ +m2\.tail\.lab\n$/);
    expect(await master.succeed(['getent', 'ahostsv4', 'm2'])).toMatch(/^100\.64\./);
    expect((await master.run(['ping', '-c', '1', '-W', '2', 'm2'])).code).toBe(0);
  });

  it('is lost to a machine that is cut off, and comes back', async () => {
    await worker.cut();
    expect(await ping(master, 'm2')).toBe(false);
    await worker.restore();
    await eventually('the worker answers again', () => ping(master, 'm2'), 30_000);
  });

  it('comes back after a reboot and after a crash', async () => {
    await worker.reboot();
    await eventually('the worker answers after its reboot', () => ping(master, 'm2'), 30_000);
    await master.crash();
    await master.start();
    await eventually('the master reaches the worker after its crash', () => ping(master, 'm2'), 30_000);
    expect(await master.state()).toBe('running');
  });
});

/** $1 is the URL of the tarball, $2 the folder in it. */
const INSTALL = `
  cd /root
  name=$(basename "$1" .tgz)
  curl -sSfO "$1"
  printf '%s  %s.tgz\\n' "$(curl -sSf "$1.sha256")" "$name" | sha256sum --check --quiet
  tar -xzf "$name.tgz"
  cd "$name"
  install -t /usr/bin tailscale
  install -t /usr/sbin tailscaled
  install -m 644 -t /etc/systemd/system systemd/tailscaled.service
  install -m 644 systemd/tailscaled.defaults /etc/default/tailscaled
  systemctl enable --now --quiet tailscaled
`;
