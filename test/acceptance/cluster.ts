import { inForeground, inLab } from './promise.ts';
import type { Kept } from './promise.ts';

/** A coordinator in Python with workers and tasks. */
export const CLUSTER: readonly Kept[] = [
  {
    row: 'K-01',
    promise: 'version 1.0.0',
    proof: {
      decision:
        '0.1.0: what is not finished has no 1 before the point; each command says its version, and so does /health',
    },
  },
  {
    row: 'K-02',
    promise: 'a coordinator and any number of workers',
    proof: {
      test: 'test/hub/federation.test.ts',
      name: 'fifty workers join by tokens of their own and a broadcast reaches all',
    },
  },
  {
    row: 'K-03',
    promise: 'at least 2 CPU, 4 GB of memory, 20 GB of disk',
    proof: {
      test: 'test/deploy/plan.test.ts',
      name: 'a full disk',
      decision:
        'less: a light worker takes some 80 MB of memory and 500 MB of disk, a master with OpenClaw about 1 GB and 2 GB; what is missing is said before anything is changed',
    },
  },
  {
    row: 'K-04',
    promise: 'better 4 CPU, 8 GB, SSD, 1 Gbps',
    proof: { decision: 'no more is needed: fifty workers and a master run on two shared cores in the tests' },
  },
  {
    row: 'K-05',
    promise: 'Python 3.10 and pip; Tailscale and NATS optional',
    proof: {
      test: 'test/tooling/launchers.test.ts',
      name: 'runs the compiled code under the Node that npm put beside the package',
      decision:
        'Node in the place of Python, brought along where the machine’s own is too old; neither Tailscale nor NATS has to be there',
    },
  },
  {
    row: 'K-06',
    promise: 'the coordinator starts with defaults',
    proof: inLab('master', 'deploy-federation master; or federation-hub by itself, on 127.0.0.1:19000'),
  },
  {
    row: 'K-07',
    promise: 'flags of the coordinator: host, port, database',
    proof: {
      test: 'test/e2e/bad-input.test.ts',
      name: 'a port that another program has',
      decision: '--address, --port, and --home for the folder with the store',
    },
  },
  { row: 'K-08', promise: 'a worker starts with defaults and connects', proof: inLab('light') },
  {
    row: 'K-09',
    promise: 'flags of a worker: id, coordinator, skills',
    proof: {
      test: 'test/e2e/operator.test.ts',
      name: 'lets a machine join by a token, once, with the name and the labels of the token',
      decision: '--name and --hub of federation-worker; an id is made, and skills belong to tasks',
    },
  },
  {
    row: 'K-10',
    promise: 'a flag for the config file',
    proof: {
      test: 'test/e2e/operator.test.ts',
      name: 'finds the hub by the environment, and a flag goes before it',
      decision: '--home, the folder whose settings.yaml counts',
    },
  },
  {
    row: 'K-11',
    promise: 'state in SQLite',
    proof: {
      test: 'test/adapters/sqlite.test.ts',
      name: 'commits made at once are all kept, in their order, in one chain',
    },
  },
  {
    row: 'K-12',
    promise: 'listens on 0.0.0.0:8888',
    proof: {
      test: 'test/hub/tailnet.test.ts',
      name: 'the hub listens on the tailnet, at the port of its first listener, and says so',
      decision: 'on loopback and the tailnet, port 19000; never on every address unless told to',
    },
  },
  {
    row: 'K-13',
    promise: 'a node is out after 90 s',
    proof: {
      test: 'test/link/heartbeat.test.ts',
      name: 'lets a node go in time, after a doubt, whose last byte came %d ms after a PING',
      decision: 'within 15 s',
    },
  },
  {
    row: 'K-14',
    promise: 'heartbeats are looked at every 30 s',
    proof: {
      decision: 'nothing looks at intervals: a link that is lost says so at once, and a silent one at its deadline',
    },
  },
  { row: 'K-15', promise: '5 tasks at once on a worker', proof: { open: 'tasks' } },
  {
    row: 'K-16',
    promise: 'a heartbeat every 5 s',
    proof: {
      test: 'test/link/heartbeat.test.ts',
      name: 'keeps a node that answers, with one PING in each interval',
      decision: '5 s, set on the hub for all nodes',
    },
  },
  { row: 'K-17', promise: 'a folder of skills', proof: { open: 'tasks' } },
  {
    row: 'K-18',
    promise: 'a worker listens on 18789',
    proof: {
      decision:
        'a worker listens on nothing but loopback, and there on 19002 for its own node host: 18789 is the gateway’s',
    },
  },
  { row: 'K-19', promise: 'an address for NATS', proof: { open: 'leadership' } },
  {
    row: 'K-20',
    promise: 'log level and format',
    proof: {
      test: 'test/core/settings.test.ts',
      name: 'these are all settings, with their environment names and what they are without',
      decision: 'log.level; the format is JSON always',
    },
  },
  {
    row: 'K-21',
    promise: 'all on one machine',
    proof: {
      test: 'test/e2e/local.test.ts',
      name: 'leaves it running with --detach, tells of it with --status, and ends it all with --stop',
      decision: 'deploy-federation local --workers N',
    },
  },
  {
    row: 'K-22',
    promise: 'on many machines, over Tailscale or firewall rules',
    proof: inLab('light', '--no-tailscale for another tunnel'),
  },
  {
    row: 'K-23',
    promise: 'Linux, macOS and Windows together',
    proof: {
      test: 'test/deploy/plan.test.ts',
      name: 'another system',
      decision:
        'Linux is deployed. On others deploying says that it can’t; a worker with a Node of their own by --foreground was not tried there, and Windows is out',
    },
  },
  { row: 'K-24', promise: 'NATS by Docker', proof: { open: 'leadership' } },
  {
    row: 'K-25',
    promise: 'a worker registers when it starts',
    proof: {
      test: 'test/hub/federation.test.ts',
      name: 'one token lets as many workers join as it says, and no more',
      decision: 'with a token at once; without one it asks and waits',
    },
  },
  {
    row: 'K-26',
    promise: 'GET /health',
    proof: { test: 'test/hub/attacks.test.ts', name: 'what is open tells nothing but that the hub is there' },
  },
  {
    row: 'K-27',
    promise: 'GET /api/v1/nodes',
    proof: { test: 'test/hub/openapi.test.ts', name: 'every answer of every route is what the document says' },
  },
  { row: 'K-28', promise: 'GET /api/v1/nodes/online', proof: { open: 'api' } },
  { row: 'K-29', promise: 'GET /api/v1/nodes/skills/{skill}', proof: { open: 'tasks' } },
  { row: 'K-30', promise: 'GET /api/v1/nodes/{id}/health', proof: { open: 'api' } },
  { row: 'K-31', promise: 'GET /api/v1/cluster/health', proof: { open: 'api' } },
  { row: 'K-32', promise: 'capacity of all nodes, and what is left of it', proof: { open: 'tasks' } },
  { row: 'K-33', promise: 'a node says its skills', proof: { open: 'tasks' } },
  { row: 'K-34', promise: 'tasks are submitted', proof: { open: 'tasks' } },
  { row: 'K-35', promise: 'a task goes to a node that is online', proof: { open: 'tasks' } },
  { row: 'K-36', promise: '… that has the skill', proof: { open: 'tasks' } },
  { row: 'K-37', promise: '… and has room', proof: { open: 'tasks' } },
  {
    row: 'K-38',
    promise: 'logs as JSON on standard output',
    proof: { decision: 'JSON with level, module, time and message, on standard error: standard output is for results' },
  },
  {
    row: 'K-39',
    promise: 'Ctrl-C ends it in order',
    proof: { test: 'test/e2e/local.test.ts', name: 'ends everything at Ctrl-C, also a command that runs' },
  },
  {
    row: 'K-40',
    promise: 'trouble: the coordinator is not reached',
    proof: {
      test: 'test/deploy/doctor.test.ts',
      name: 'a hub that is not reached',
      decision: 'doctor asks the hub itself from the machine that can’t reach it, in the place of ping and telnet',
    },
  },
  { row: 'K-41', promise: 'trouble: NATS fails', proof: { open: 'leadership' } },
  { row: 'K-42', promise: 'trouble: a task is not scheduled', proof: { open: 'tasks' } },
  {
    row: 'K-43',
    promise: 'trouble: the database is locked',
    proof: {
      test: 'test/adapters/sqlite.test.ts',
      name: 'a second hub on the same file is refused while the first runs',
    },
  },
  {
    row: 'K-44',
    promise: 'a systemd unit: Type=simple, Restart=always, RestartSec=10, After=network.target',
    proof: inLab(
      'units',
      'Type=exec, so that a program which can’t start is noticed; a user of its own for the hub; hardened, and each opening explained in the unit',
    ),
  },
  {
    row: 'K-45',
    promise: 'supervisor as an alternative',
    proof: inForeground(
      '--foreground runs under supervisor, runit, s6 or a container as any program does: it stays, logs to standard error and ends at TERM',
    ),
  },
  {
    row: 'K-46',
    promise: 'a virtual environment',
    proof: inLab(
      'uninstall',
      'each version is a release of its own below one folder, with its own Node and libraries; the system’s are neither used nor touched',
    ),
  },
  {
    row: 'K-47',
    promise: 'logrotate, daily, 7 kept',
    proof: {
      decision:
        'journald bounds and compresses what the units say (SystemMaxUse, MaxRetentionSec); there is no file to rotate',
    },
  },
  {
    row: 'K-48',
    promise: 'behind Nginx',
    proof: {
      test: 'test/hub/attacks.test.ts',
      name: 'every route is for nobody without a credential, and for no node, but those that are named here',
      decision:
        'not behind one: the hub’s port is for nodes, on the tailnet, and the operator’s API is a socket of theirs alone. A proxy would give it a door that nobody needs, and links are upgraded connections that it would have to pass',
    },
  },
  {
    row: 'K-49',
    promise: 'VPN, firewall and TLS',
    proof: {
      test: 'test/hub/tailnet.test.ts',
      name: 'without the setting nobody asks tailscaled',
      decision:
        'the tailnet encrypts, and its rules are the firewall: the hub listens there and on loopback alone. TLS inside of it would encrypt twice; without a tailnet the link has to run over another encrypted tunnel',
    },
  },
  {
    row: 'K-50',
    promise: 'API authentication, keys, restricted admin access',
    proof: {
      test: 'test/hub/attacks.test.ts',
      name: 'a credential is good where it was given to, and nowhere else',
      decision: 'a node proves its key and gets a credential for its link; the operator is who can open the socket',
    },
  },
  {
    row: 'K-51',
    promise: 'backups, encryption, file permissions',
    proof: {
      test: 'test/deploy/doctor.test.ts',
      name: 'a key of the hub that others can read',
      decision:
        'homes of mode 700, keys and store of 600, and doctor looks after them. A backup is a copy of the hub’s home while the hub is stopped (docs/troubleshooting.md). What lies on the disk is as encrypted as the disk: a key beside the data would protect nothing',
    },
  },
  {
    row: 'K-52',
    promise: 'an update: git pull, dependencies, restart',
    proof: inLab(
      'update',
      'deploying again by a newer package: it lays its release beside the old one and restarts what runs it',
    ),
  },
  {
    row: 'K-53',
    promise: 'a backup of the database before a migration',
    proof: {
      decision:
        'there is no migration: the store has had one form. A copy is one command while the hub is stopped (docs/troubleshooting.md)',
    },
  },
  {
    row: 'K-54',
    promise: 'a command for the migration',
    proof: {
      decision:
        'none: what an update has to change, the daemon changes when it starts; nobody can forget it. So far nothing had to be',
    },
  },
  {
    row: 'K-55',
    promise: 'documents, and help by issues',
    proof: {
      test: 'test/tooling/examples.test.ts',
      name: 'the README has examples of every command that a person types',
      decision: 'README and docs/; doctor says what an issue would first ask for',
    },
  },
];
