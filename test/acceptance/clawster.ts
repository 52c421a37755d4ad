import { inForeground, inLab } from './promise.ts';
import type { Kept } from './promise.ts';

const HEARTBEAT =
  'the hub asks each node by a PING on its link every 5 s (hub.heartbeatSeconds), and no job has to be scheduled';
const NO_CRON =
  'daemons do it by themselves, under systemd; no cron of anybody’s is needed, and nothing can be missing in it';

/** Leader election and heartbeats over Redis. */
export const CLAWSTER: readonly Kept[] = [
  {
    row: 'C-01',
    promise: 'a skill that OpenClaw can install',
    proof: {
      test: 'test/plugin/surfaces.test.ts',
      name: 'brings skills that a model finds, and that are no commands of a chat',
      decision: 'it comes with the plugin, which OpenClaw installs',
    },
  },
  { row: 'C-02', promise: 'leader election, automatic candidacy', proof: { open: 'leadership' } },
  { row: 'C-03', promise: 'the lease is renewed by the leader', proof: { open: 'leadership' } },
  { row: 'C-04', promise: 'a new leader when the old one is lost', proof: { open: 'leadership' } },
  { row: 'C-05', promise: 'automatic failover', proof: { open: 'leadership' } },
  {
    row: 'C-06',
    promise: 'heartbeat every 10 s, configurable',
    proof: {
      test: 'test/link/heartbeat.test.ts',
      name: 'keeps a node that answers, with one PING in each interval',
      decision: HEARTBEAT,
    },
  },
  {
    row: 'C-07',
    promise: 'a heartbeat is good for 90 s, or 30 s',
    proof: {
      test: 'test/link/heartbeat.test.ts',
      name: 'lets a node go in time, after a doubt, whose last byte came %d ms after a PING',
      decision: 'the two contradict each other; a silent link is lost within 15 s, and `suspect` before that',
    },
  },
  {
    row: 'C-08',
    promise: 'a failed heartbeat is tried 3 times',
    proof: {
      test: 'test/link/loss.test.ts',
      name: 'a node that only pauses is suspect for that time and keeps its link',
      decision:
        'TCP repeats what was lost; a silent node is `suspect` at first, and is let go only after two PINGs without an answer',
    },
  },
  {
    row: 'C-09',
    promise: '1 s between two tries',
    proof: {
      test: 'test/link/back-off.test.ts',
      name: 'a retry comes after one to five seconds, whatever the luck and the number of failures',
    },
  },
  {
    row: 'C-10',
    promise: 'offline after 3 missed heartbeats',
    proof: {
      test: 'test/link/loss.test.ts',
      name: 'a node that is stopped becomes suspect, is lost, and comes back when it runs again',
    },
  },
  {
    row: 'C-11',
    promise: 'messages and proposals from node to node',
    proof: {
      test: 'test/openclaw/handoff.test.ts',
      name: 'hands a part on, which has no more time than the whole, and no other asker',
      decision:
        'by the hub, and only where hub.onward allows it: an agent proposes a part of its work to the agent of another node, ' +
        'which is all that it may say there; a message without an answer is a person’s, or the master’s agent’s',
    },
  },
  {
    row: 'C-12',
    promise: 'nodes find each other in a registry',
    proof: {
      test: 'test/hub/federation.test.ts',
      name: 'a node is named by its name, its id, or a beginning of the id that is its alone',
      decision: 'the hub is the registry',
    },
  },
  {
    row: 'C-13',
    promise: 'a node joins by one command: curl … | bash',
    proof: inLab(
      'ssh',
      'a package from npm, whose content is checked, in the place of a script that a shell reads off the net',
    ),
  },
  { row: 'C-14', promise: 'a node joins by hand under a name that is given', proof: inLab('light', '--name') },
  {
    row: 'C-15',
    promise: 'joining makes a connection test',
    proof: {
      test: 'test/deploy/doctor-answers.test.ts',
      name: 'says who it is and what it speaks, and its clock is that of this machine',
      decision:
        'joining waits until the hub calls the node a member; deploy-federation doctor asks the hub again at any time',
    },
  },
  {
    row: 'C-16',
    promise: 'joining makes a start script',
    proof: inForeground('a unit; --foreground where there is no systemd'),
  },
  {
    row: 'C-17',
    promise: 'each node has an id of its own, from file or environment',
    proof: {
      test: 'test/link/key.test.ts',
      name: 'the id is the hash of the raw public key and the same at every start',
      decision: 'nobody types an id; the name is a setting, and OPENCLAW_FEDERATION_NAME goes before the file',
    },
  },
  {
    row: 'C-18',
    promise: 'a config file',
    proof: {
      test: 'test/core/settings.test.ts',
      name: 'these are all settings, with their environment names and what they are without',
      decision: 'settings.yaml in the home of each daemon; every line of it may be left out',
    },
  },
  {
    row: 'C-19',
    promise: 'a secrets file apart, which git ignores',
    proof: {
      test: 'test/e2e/local.test.ts',
      name: 'keeps what it writes from others, and its secrets out of the logs',
      decision:
        'no secret is a setting: each is a file of its own of mode 600 in a home of mode 700, outside of any repository',
    },
  },
  {
    row: 'C-20',
    promise: 'environment goes before file',
    proof: {
      test: 'test/core/settings.test.ts',
      name: 'a flag counts before the environment, that before the file, and that before the default',
    },
  },
  { row: 'C-21', promise: 'scheduled by OpenClaw’s cron', proof: { decision: NO_CRON } },
  { row: 'C-22', promise: 'schedules as intervals and cron lines', proof: { decision: NO_CRON } },
  { row: 'C-23', promise: 'a job for heartbeats', proof: { decision: HEARTBEAT } },
  { row: 'C-24', promise: 'a job for the election', proof: { open: 'leadership' } },
  {
    row: 'C-25',
    promise: 'a job for collaboration',
    proof: {
      test: 'test/e2e/handoff.test.ts',
      name: 'hands a task over from standard input, and streams the answer of the agent there',
      decision:
        'agents work together when one of them hands work to another; what is to happen every ten minutes is a line of whatever keeps times, with manage-federation handoff start in it',
    },
  },
  { row: 'C-26', promise: 'jobs are listed and deleted', proof: { decision: NO_CRON } },
  {
    row: 'C-27',
    promise: 'the heartbeat’s interval is changed',
    proof: { decision: 'one setting, hub.heartbeatSeconds, and a restart of the hub' },
  },
  {
    row: 'C-28',
    promise: 'whether it works is verified by hand and by the log',
    proof: { test: 'test/e2e/operator.test.ts', name: 'sees the hub in numbers in status' },
  },
  {
    row: 'C-29',
    promise: 'logs go to a file, the console and syslog',
    proof: inLab(
      'journal',
      'standard error, which systemd puts into the journal, and the journal into syslog where one runs',
    ),
  },
  {
    row: 'C-30',
    promise: 'logs are rotated at 10 MB, 5 are kept',
    proof: {
      decision:
        'the journal is bounded for the whole machine (journald.conf, SystemMaxUse: 10 % of the disk, 4 GB at most), so no daemon of ours needs a bound of its own',
    },
  },
  {
    row: 'C-31',
    promise: 'log level, INFO where none is set',
    proof: {
      test: 'test/core/settings.test.ts',
      name: 'these are all settings, with their environment names and what they are without',
      decision: 'log.level, info',
    },
  },
  {
    row: 'C-32',
    promise: 'log lines of time, level and text',
    proof: {
      decision:
        'lines of JSON with level, module, time (ISO 8601, UTC) and message: a program reads them as well as a person',
    },
  },
  { row: 'C-33', promise: 'nodes in a Redis hash', proof: { open: 'leadership' } },
  { row: 'C-34', promise: 'heartbeats as Redis keys that expire', proof: { open: 'leadership' } },
  { row: 'C-35', promise: 'the leader’s id in a Redis key', proof: { open: 'leadership' } },
  { row: 'C-36', promise: 'a Redis client without dependencies', proof: { open: 'leadership' } },
  { row: 'C-37', promise: 'a pool of Redis connections', proof: { open: 'leadership' } },
  { row: 'C-38', promise: 'Redis times out after 5 s', proof: { open: 'leadership' } },
  {
    row: 'C-39',
    promise: 'a node registers and deregisters',
    proof: {
      test: 'test/hub/enrolment-story.test.ts',
      name: 'whatever happens in whatever order, and whenever the hub starts anew, its store holds what the rules say',
    },
  },
  {
    row: 'C-40',
    promise: 'the state of a node is detected',
    proof: {
      test: 'test/link/loss.test.ts',
      name: 'a wire that swallows everything is noticed at both ends, and the node dials again',
    },
  },
  {
    row: 'C-41',
    promise: 'health checks of each node',
    proof: { test: 'test/e2e/operator.test.ts', name: 'finds nothing broken with doctor, and is told what waits' },
  },
  { row: 'C-42', promise: 'state is synchronised', proof: { open: 'leadership' } },
  {
    row: 'C-43',
    promise: 'no dependencies at run time',
    proof: {
      decision:
        'a small set of kept libraries at exact versions, brought along by the package with the Node that runs it: nothing has to be there before',
    },
  },
  { row: 'C-44', promise: 'Redis 5 or newer', proof: { open: 'leadership', decision: 'never needed for one master' } },
  { row: 'C-45', promise: 'documents in two languages', proof: { open: 'documents' } },
  {
    row: 'C-46',
    promise: 'trouble: config, reachability, log',
    proof: {
      test: 'test/acceptance/promises.test.ts',
      name: 'the page on trouble has the checks of all four systems',
      decision: 'doctor makes the first two, and names the journal where the third is needed',
    },
  },
  {
    row: 'C-47',
    promise: 'no secret in version control, strong ones, changed at times',
    proof: {
      test: 'test/hub/attacks.test.ts',
      name: 'no secret is in what is logged, listed or audited',
      decision:
        'nobody chooses a secret: keys and tokens are made on the machine that keeps them, and a join token lives for minutes',
    },
  },
  {
    row: 'C-48',
    promise: 'runs in containers without root',
    proof: inForeground('--foreground: the daemon is the command itself'),
  },
];
