import { inLab } from './promise.ts';
import type { Kept } from './promise.ts';

/** Shell scripts that join machines to one OpenClaw over Tailscale. */
export const FEDERATION: readonly Kept[] = [
  {
    row: 'F-01',
    promise: 'servers, PCs and Raspberry Pis become one',
    proof: inLab('light', 'the daemons run on x64 and arm64; the lab has machines of one processor alone'),
  },
  {
    row: 'F-02',
    promise: 'a master thinks, and runs openclaw-gateway',
    proof: inLab('master', 'the person’s own gateway service where there is one, else openclaw-gateway.service'),
  },
  {
    row: 'F-03',
    promise: 'a worker has hands only, and runs openclaw-worker',
    proof: inLab('worker', 'the worker daemon gives the shell; camera and screen come with OpenClaw’s node host'),
  },
  {
    row: 'F-04',
    promise: 'a hybrid keeps its brain and lends its hands, by two processes',
    proof: inLab('hybrid'),
  },
  { row: 'F-05', promise: 'a master by one command', proof: inLab('master') },
  { row: 'F-06', promise: 'deploying installs Tailscale', proof: inLab('master') },
  { row: 'F-07', promise: 'deploying installs OpenClaw', proof: inLab('worker') },
  { row: 'F-08', promise: 'a master’s gateway is started', proof: inLab('master') },
  {
    row: 'F-09',
    promise: 'a master has an admin token of 32 random bytes, in a file of mode 600',
    proof: inLab('master', 'the gateway’s token; the operator needs none, for the hub’s socket is theirs alone'),
  },
  { row: 'F-10', promise: 'a master ends with its tailnet address', proof: inLab('master') },
  { row: 'F-11', promise: 'a worker by one command', proof: inLab('light') },
  {
    row: 'F-12',
    promise: 'a worker’s own gateway is stopped',
    proof: inLab('worker', 'reversibly: uninstall starts it again, and --keep-gateway leaves it'),
  },
  { row: 'F-13', promise: 'a hybrid by one command', proof: inLab('hybrid') },
  { row: 'F-14', promise: 'a hybrid’s own gateway runs on', proof: inLab('hybrid') },
  { row: 'F-15', promise: 'a hybrid’s service connects to the master', proof: inLab('hybrid') },
  { row: 'F-16', promise: 'a hybrid’s worker lives in ~/.openclaw-worker', proof: inLab('hybrid') },
  {
    row: 'F-17',
    promise: 'pending lists who waits, with ids',
    proof: {
      test: 'test/e2e/approve.test.ts',
      name: 'lists what waits with a short id that approve takes, and says what it wants',
      decision: 'all that wait, OpenClaw’s own requests too, in one list',
    },
  },
  {
    row: 'F-18',
    promise: 'approve admits a node',
    proof: {
      test: 'test/e2e/approve.test.ts',
      name: 'approves one that is away, and sees it become usable when it comes',
      decision:
        'by id, name or fingerprint; it ends when the node was seen to be usable, or says which step waits for what',
    },
  },
  {
    row: 'F-19',
    promise: 'auto-register --watch approves newcomers',
    proof: {
      test: 'test/e2e/auto-register.test.ts',
      name: 'lets a machine in by itself by a rule, and by one for everybody only where that is said in full',
      decision: 'by a policy that says whom; without one nobody is let in',
    },
  },
  {
    row: 'F-20',
    promise: 'list shows the state of all',
    proof: { test: 'test/e2e/operator.test.ts', name: 'sees every node with its state in list, the master too' },
  },
  {
    row: 'F-21',
    promise: 'exec runs a line on one node',
    proof: { test: 'test/e2e/exec.test.ts', name: 'gives both streams apart and the exit code of the command' },
  },
  {
    row: 'F-22',
    promise: 'broadcast runs a line on all nodes at once',
    proof: {
      test: 'test/e2e/broadcast.test.ts',
      name: 'runs on every worker and not on the master, and names each line’s node',
    },
  },
  {
    row: 'F-23',
    promise: 'all administration from the master',
    proof: {
      test: 'test/e2e/operator.test.ts',
      name: 'sees one node whole in show, by name, id or the beginning of the id',
    },
  },
  {
    row: 'F-24',
    promise: '“let home-server check the disk” in a chat',
    proof: {
      test: 'test/openclaw/plugin.test.ts',
      name: '%s: runs the command on that machine, whose name is in the answer',
    },
  },
  {
    row: 'F-25',
    promise: '“take a screenshot on macbook” in a chat',
    proof: {
      test: 'test/openclaw/plugin.test.ts',
      name: 'a screenshot of a machine that only runs an OpenClaw app arrives as a picture',
    },
  },
  {
    row: 'F-26',
    promise: 'nodes are named in plain language',
    proof: {
      test: 'test/openclaw/plugin.test.ts',
      name: 'that may mean two machines is answered with both',
    },
  },
  {
    row: 'F-27',
    promise: 'many machines in one go',
    proof: {
      test: 'test/e2e/enrolment.test.ts',
      name: 'are all usable by the rules, each once, with the labels of the rule',
      decision: 'by a policy that approves them, by one approve of all their names, or by a token of many uses',
    },
  },
  {
    row: 'F-28',
    promise: 'trouble: both sides are connected in Tailscale',
    proof: {
      test: 'test/deploy/doctor.test.ts',
      name: 'a master that the tailnet does not see',
      decision: 'doctor looks at both sides from one, and says which of them is out',
    },
  },
  {
    row: 'F-29',
    promise: 'trouble: permissions of ~/.openclaw-worker',
    proof: {
      test: 'test/deploy/doctor.test.ts',
      name: 'a home that others can look into',
      decision: 'doctor --fix closes it',
    },
  },
  {
    row: 'F-30',
    promise: 'logs of the master',
    proof: inLab('journal', 'journalctl -u federation-hub, and openclaw logs for the gateway'),
  },
  { row: 'F-31', promise: 'logs of a worker: journalctl -u openclaw-worker -f', proof: inLab('journal') },
  {
    row: 'F-32',
    promise: 'production grade',
    proof: {
      test: 'test/lab/faults.test.ts',
      name: 'a deployment that failed at any step is taken up, and ends as one that did not',
      decision: 'a word; what stands for it are steps that can fail, be repeated and be taken back',
    },
  },
];
