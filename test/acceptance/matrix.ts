import { inLab } from './promise.ts';
import type { Kept } from './promise.ts';

const ONE_MASTER =
  'one hub, which every node dials: a home network lets connections out and none in, and one place says who is a member';

/** A mesh of gateways, as a plugin of OpenClaw. */
export const MATRIX: readonly Kept[] = [
  {
    row: 'M-01',
    promise: 'openclaw plugins install, then a restart of the gateway',
    proof: inLab(
      'master',
      'a package of its own, and deploy-federation sets up the rest: a daemon outlives the gateway’s restarts, and a machine without OpenClaw can be a node',
    ),
  },
  {
    row: 'M-02',
    promise: 'MIT, ES modules, versions',
    proof: {
      decision: 'MIT and ES modules too; versions count from 0.1.0, and CHANGELOG.md says what changed in each',
    },
  },
  {
    row: 'M-03',
    promise: 'no leader, no consensus',
    proof: {
      test: 'test/openclaw/handoff.test.ts',
      name: 'hands a part on, which has no more time than the whole, and no other asker',
      decision: `${ONE_MASTER}; over it gateways hand work to each other`,
    },
  },
  {
    row: 'M-04',
    promise: 'models of other nodes',
    proof: {
      test: 'test/hub/models/consumers.test.ts',
      name: 'every node reaches the models of every other by its own port, with its own key',
    },
  },
  {
    row: 'M-05',
    promise: 'work is handed to an agent elsewhere',
    proof: {
      test: 'test/openclaw/handoff.test.ts',
      name: 'becomes work of the agent on that machine, with a tool there, and its answer and file come back',
    },
  },
  {
    row: 'M-06',
    promise: 'commands and files without a handoff',
    proof: {
      test: 'test/openclaw/plugin.test.ts',
      name: 'reads and writes files there',
    },
  },
  { row: 'M-07', promise: 'discovery by gossip', proof: { decision: `${ONE_MASTER}; nodes need not know each other` } },
  {
    row: 'M-08',
    promise: 'a backup takes over when a node dies',
    proof: {
      test: 'test/hub/models/federation.test.ts',
      name: 'a node whose upstream is gone costs no client an error, and is asked again when it answers the hub',
    },
  },
  {
    row: 'M-09',
    promise: 'a document by which an agent asks five questions and writes the config',
    proof: {
      decision:
        'deploy-federation without arguments asks a person what it needs; for an agent each question is a flag, --dry-run --json shows the plan, and --yes carries it out. No file has to be written',
    },
  },
  {
    row: 'M-10',
    promise: 'a template for a public node that listens on 19000',
    proof: inLab(
      'master',
      'a role in the place of a template: the master listens on 19000, on the tailnet and not in public',
    ),
  },
  {
    row: 'M-11',
    promise: 'a template for an internal node that only dials out',
    proof: inLab('light', 'every worker and hybrid is one'),
  },
  {
    row: 'M-12',
    promise: 'a template for a node at home that borrows models',
    proof: {
      test: 'test/lab/models.test.ts',
      name: 'a $role leads the OpenClaw that a person has to the models of all, until it is taken back',
      decision: 'a hybrid; it needs no template, for who may use which model is said once, on the hub',
    },
  },
  {
    row: 'M-13',
    promise: 'nodeId, required and unique',
    proof: {
      test: 'test/hub/membership.test.ts',
      name: 'a name that is taken is held until --replace, which puts the former holder out with all that it runs',
    },
  },
  {
    row: 'M-14',
    promise: 'one secret of 16 characters on all nodes',
    proof: {
      test: 'test/link/accept.test.ts',
      name: 'a signature of another key is refused and nobody is asked to admit it',
      decision: 'a key of its own for each node: one that is lost puts one node out, and not all of them at risk',
    },
  },
  {
    row: 'M-15',
    promise: 'listen, off',
    proof: { decision: 'not a choice: the hub listens, and a worker never does but on loopback' },
  },
  {
    row: 'M-16',
    promise: 'listenHost 0.0.0.0',
    proof: {
      test: 'test/core/settings.test.ts',
      name: 'these are all settings, with their environment names and what they are without',
      decision: 'hub.address, 127.0.0.1, and the tailnet’s address where it is used',
    },
  },
  {
    row: 'M-17',
    promise: 'listenPort 19000',
    proof: {
      test: 'test/core/settings.test.ts',
      name: 'these are all settings, with their environment names and what they are without',
      decision: 'hub.port',
    },
  },
  { row: 'M-18', promise: 'a list of peers', proof: { decision: `one setting, worker.hub: ${ONE_MASTER}` } },
  {
    row: 'M-19',
    promise: 'agents with description and tags',
    proof: {
      test: 'test/core/handoff/resolve.test.ts',
      name: '%s means %s %o',
      decision:
        'handoffs.agents in the settings of its node, each with id, description, tags and concurrency; none: those of its gateway',
    },
  },
  {
    row: 'M-20',
    promise: 'models with provider and description',
    proof: {
      test: 'test/core/models/share.test.ts',
      name: 'of a server whose models are named: those, also unasked, with what is written and what it says',
    },
  },
  {
    row: 'M-21',
    promise: 'proxyModels',
    proof: {
      test: 'test/worker/models/share.test.ts',
      name: 'what a server has is offered, and its requests have its key',
      decision: 'models.yaml of the node that has them; nobody lists another’s',
    },
  },
  {
    row: 'M-22',
    promise: 'free tags',
    proof: {
      test: 'test/hub/members.test.ts',
      name: 'labels are set and taken away one by one, and kept',
      decision:
        'labels and groups, which the operator, a token or a rule gives: what a node says of itself decides nothing',
    },
  },
  {
    row: 'M-23',
    promise: 'proxyPort 19001',
    proof: {
      test: 'test/core/settings.test.ts',
      name: 'these are all settings, with their environment names and what they are without',
      decision: 'it is models.port, of every node',
    },
  },
  {
    row: 'M-24',
    promise: 'handoffTimeout, restarted by each piece',
    proof: {
      test: 'test/worker/handoffs/bounds.test.ts',
      name: 'a silence that is too long ends it, a deadline too, and one that waits for too long',
      decision: 'ten minutes unless the caller says otherwise, and a deadline beside it',
    },
  },
  {
    row: 'M-25',
    promise: 'toolProxy.enabled, off',
    proof: {
      test: 'test/core/policy.test.ts',
      name: 'before anyone writes a policy, this is who may run what where',
      decision:
        'worker.exec.mode: off, allowlist or full. Deploying a worker is to lend its hands, so its default is full, and doctor says what that means',
    },
  },
  {
    row: 'M-26',
    promise: 'toolProxy.allow; an empty list allows all',
    proof: {
      test: 'test/worker/tools.test.ts',
      name: 'is nothing where nothing is listed',
      decision: 'an empty list allows nothing',
    },
  },
  {
    row: 'M-27',
    promise: 'toolProxy.deny wins',
    proof: {
      test: 'test/worker/tools.test.ts',
      name: 'is not what is denied, and no program by a wide pattern',
    },
  },
  {
    row: 'M-28',
    promise: 'maxOutputBytes, 1 MiB',
    proof: {
      test: 'test/worker/tools.test.ts',
      name: 'is cut where it answers more than the node lets out, and shows it',
      decision: 'of a tool; output of a command streams and is not cut, and only what --json keeps of it has a bound',
    },
  },
  {
    row: 'M-29',
    promise: 'the config is checked by a schema',
    proof: { test: 'test/core/settings.test.ts', name: 'all that is wrong is named at once' },
  },
  {
    row: 'M-30',
    promise: 'cluster_peers',
    proof: {
      test: 'test/plugin/surfaces.test.ts',
      name: 'are told with what they can do, those first that are online',
    },
  },
  {
    row: 'M-31',
    promise: 'cluster_handoff',
    proof: {
      test: 'test/openclaw/handoff.test.ts',
      name: 'becomes work of the agent on that machine, with a tool there, and its answer and file come back',
    },
  },
  {
    row: 'M-32',
    promise: 'cluster_send',
    proof: {
      test: 'test/openclaw/handoff.test.ts',
      name: 'a message is kept for a machine that is away, and told to its agent once',
    },
  },
  {
    row: 'M-33',
    promise: 'cluster_exec',
    proof: {
      test: 'test/openclaw/plugin.test.ts',
      name: '%s: runs the command on that machine, whose name is in the answer',
    },
  },
  {
    row: 'M-34',
    promise: 'cluster_read',
    proof: {
      test: 'test/openclaw/plugin.test.ts',
      name: 'reads and writes files there',
    },
  },
  {
    row: 'M-35',
    promise: 'cluster_write',
    proof: {
      test: 'test/openclaw/plugin.test.ts',
      name: 'reads and writes files there',
    },
  },
  {
    row: 'M-36',
    promise: 'cluster_tool',
    proof: {
      test: 'test/plugin/files.test.ts',
      name: 'passes on what a tool of a machine answers',
      decision: 'within the list of that machine; an empty list allows nothing',
    },
  },
  {
    row: 'M-37',
    promise: 'tools are there for those who ask for them',
    proof: {
      test: 'test/plugin/surfaces.test.ts',
      name: 'names every tool and command that the plugin registers, and no other',
      decision:
        'who installs the plugin asks for its tools: OpenClaw’s tools.deny takes any away, and policy decides each call',
    },
  },
  {
    row: 'M-38',
    promise: 'an agent by id or by tag',
    proof: {
      test: 'test/core/handoff/resolve.test.ts',
      name: '%s means %s %o',
    },
  },
  {
    row: 'M-39',
    promise: 'a node by id or by tag',
    proof: {
      test: 'test/plugin/exec.test.ts',
      name: 'passes on words that mean several machines',
      decision: 'by name, id, @group and label',
    },
  },
  {
    row: 'M-40',
    promise: 'an unknown agent is tried as a node',
    proof: {
      test: 'test/core/handoff/resolve.test.ts',
      name: '%s means %s %o',
      decision: 'the name of a node comes first: no node takes what is meant for another by what it calls its agents',
    },
  },
  {
    row: 'M-41',
    promise: 'direct routes first, then the fastest',
    proof: {
      test: 'test/hub/models/traffic.test.ts',
      name: 'a faster node gets more, and the slower is not left idle when that is busy',
      decision: 'a node’s own models are asked without the hub; of the others, whoever will probably begin first',
    },
  },
  {
    row: 'M-42',
    promise: 'a local proxy that OpenAI’s clients can use',
    proof: {
      test: 'test/hub/models/consumers.test.ts',
      name: 'every node reaches the models of every other by its own port, with its own key',
    },
  },
  {
    row: 'M-43',
    promise: 'models as node/model',
    proof: {
      test: 'test/hub/models/federation.test.ts',
      name: 'what the nodes offer is served by who has it, and pinned where it is asked so',
    },
  },
  {
    row: 'M-44',
    promise: 'an agent’s default model elsewhere',
    proof: {
      test: 'test/openclaw/models.test.ts',
      name: 'answers by another node’s model once its settings say so',
      decision: 'it is written federation/MODEL',
    },
  },
  {
    row: 'M-45',
    promise: 'a key for the provider that is none',
    proof: {
      test: 'test/deploy/plan-models.test.ts',
      name: 'is set without the key, and with no list of models',
      decision:
        'each node has a key of its own, in a file that OpenClaw reads: a dummy would let every program and user of the machine in',
    },
  },
  {
    row: 'M-46',
    promise: 'fields of a provider',
    proof: {
      test: 'test/core/models/share.test.ts',
      name: 'a server needs a name and an address, and the rest has a value',
    },
  },
  {
    row: 'M-47',
    promise: 'defaults of a model',
    proof: {
      test: 'test/core/models/openclaw-provider.test.ts',
      name: 'a model of which nothing is known takes 128000 tokens of text, answers 4096, and costs nothing',
      decision: 'what its node knows of it is told instead',
    },
  },
  {
    row: 'M-48',
    promise: 'sharing needs chatCompletions enabled',
    proof: {
      test: 'test/plugin/models.test.ts',
      name: 'is the same but for the name of the model and the key',
      decision: 'nothing has to be enabled: the gateway’s endpoint runs an agent, and what is shared are model servers',
    },
  },
  {
    row: 'M-49',
    promise: 'the model’s name as a system line',
    proof: {
      test: 'test/models/wire-asked.ts',
      name: 'a plain request',
      decision:
        'nothing is put into a conversation; which node and model served is said in x-federation-node and x-federation-model of the answer',
    },
  },
  {
    row: 'M-50',
    promise: 'completions stream',
    proof: { test: 'test/openclaw/models.test.ts', name: 'streams what that model says as it says it' },
  },
  {
    row: 'M-51',
    promise: 'reasoning is passed on',
    proof: {
      test: 'test/models/wire-answered.ts',
      name: 'reasoning, logprobs and usage behind the choices',
      decision: 'as it comes, apart from the content',
    },
  },
  {
    row: 'M-52',
    promise: 'usage is passed back',
    proof: { test: 'test/models/wire-answered.ts', name: 'reasoning, logprobs and usage behind the choices' },
  },
  {
    row: 'M-53',
    promise: 'parameters are passed on',
    proof: {
      test: 'test/models/wire-asked.ts',
      name: 'sampling',
      decision: 'all of them, tools and those that nobody knows among them: the body is the same byte for byte',
    },
  },
  {
    row: 'M-54',
    promise: 'a handoff streams',
    proof: {
      test: 'test/handoffs/disconnects.test.ts',
      name: 'a transcript is the same to the byte, without a gap, after a hundred disconnects of caller, hub and node',
      decision: 'numbered events, without a gap, from whichever a caller knows already',
    },
  },
  {
    row: 'M-55',
    promise: 'the result of a handoff',
    proof: {
      test: 'test/openclaw/handoff.test.ts',
      name: 'becomes work of the agent on that machine, with a tool there, and its answer and file come back',
      decision: 'with the files that belong to the answer, each with its hash',
    },
  },
  {
    row: 'M-56',
    promise: 'a failed handoff is an error',
    proof: {
      test: 'test/e2e/handoff.test.ts',
      name: 'tells a failure of the agent as one',
    },
  },
  {
    row: 'M-57',
    promise: 'a handoff is tried again elsewhere',
    proof: {
      test: 'test/hub/handoffs/mishaps.test.ts',
      name: 'what was lost is begun anew elsewhere only where its caller said so, and its first node is told',
      decision:
        'by itself only while it is proved that it has not begun: what has begun is never begun twice unless its caller said that it may',
    },
  },
  {
    row: 'M-58',
    promise: 'late frames are dropped',
    proof: {
      test: 'test/worker/handoffs/again.test.ts',
      name: 'an attempt that is over is fenced by the next',
    },
  },
  {
    row: 'M-59',
    promise: 'stopping rejects what waits',
    proof: {
      test: 'test/link/link.test.ts',
      name: 'a link that the hub closes tells the node why and fails every stream at both ends',
    },
  },
  {
    row: 'M-60',
    promise: 'status of this node and of all',
    proof: { test: 'test/e2e/operator.test.ts', name: 'sees the hub in numbers in status' },
  },
  {
    row: 'M-61',
    promise: 'peers as JSON',
    proof: { test: 'test/e2e/operator.test.ts', name: 'gets list as JSON with the fields that programs rely on' },
  },
  {
    row: 'M-62',
    promise: 'a command says that the gateway is down',
    proof: {
      test: 'test/openclaw/gateway-down.test.ts',
      name: 'openclaw federation %s says in two lines that the gateway is down',
      decision: 'and leaves with another code than 0',
    },
  },
  {
    row: 'M-63',
    promise: 'clawmatrix.status as a method of the gateway',
    proof: {
      test: 'test/openclaw/plugin.test.ts',
      name: 'answer the methods of its clients',
      decision: 'it is called federation.status',
    },
  },
  {
    row: 'M-64',
    promise: 'clawmatrix.peers as a method of the gateway',
    proof: {
      test: 'test/openclaw/plugin.test.ts',
      name: 'answer the methods of its clients',
      decision: 'it is called federation.peers',
    },
  },
  {
    row: 'M-65',
    promise: 'a challenge is answered, and the secret is never sent',
    proof: {
      test: 'test/link/dial.test.ts',
      name: 'a hub with another key hears neither a proof nor the secret',
      decision: 'Ed25519 in both directions in the place of one HMAC secret',
    },
  },
  {
    row: 'M-66',
    promise: 'relays over other nodes',
    proof: { decision: 'Tailscale’s own: it finds a way through any network, and what it relays stays encrypted' },
  },
  {
    row: 'M-67',
    promise: 'heartbeat every 15 s, out after 3',
    proof: {
      test: 'test/link/heartbeat.test.ts',
      name: 'lets a node go in time, after a doubt, whose last byte came %d ms after a PING',
      decision: 'every 5 s, out within 15 s',
    },
  },
  {
    row: 'M-68',
    promise: 'dials again after 1 s to 60 s',
    proof: {
      test: 'test/link/back-off.test.ts',
      name: 'the span of the jitter doubles up to the limit',
      decision: 'after 1 s to 5 s',
    },
  },
  {
    row: 'M-69',
    promise: 'TLS is recommended',
    proof: {
      decision:
        'the tailnet encrypts, from machine to machine; over anything else a tunnel is needed, and the README says so',
    },
  },
  {
    row: 'M-70',
    promise: 'types of frames',
    proof: {
      test: 'test/protocol/frames.test.ts',
      name: 'the numbers of the types never change',
      decision: 'HTTP/2 carries them: a type for each kind of output, and requests for all else',
    },
  },
  {
    row: 'M-71',
    promise: '“No peers discovered.”',
    proof: {
      test: 'test/plugin/surfaces.test.ts',
      name: 'may be none',
    },
  },
  {
    row: 'M-72',
    promise: 'trouble: secret, firewall, form of the URL',
    proof: {
      test: 'test/acceptance/promises.test.ts',
      name: 'the page on trouble has the checks of all four systems',
      decision:
        'no secret is shared, no port is opened, and no URL is written; what can be wrong in their place doctor finds',
    },
  },
  {
    row: 'M-73',
    promise: 'trouble: tool proxy',
    proof: {
      test: 'test/acceptance/promises.test.ts',
      name: 'the page on trouble has the checks of all four systems',
      decision: 'worker.exec, whose refusal names the rule',
    },
  },
  {
    row: 'M-74',
    promise: 'trouble: model proxy',
    proof: {
      test: 'test/acceptance/promises.test.ts',
      name: 'the page on trouble has the checks of all four systems',
      decision:
        'with what each answer of the model proxy means in docs/models.md; doctor looks at its port and its key, at what is shared, and whether OpenClaw leads to it',
    },
  },
  { row: 'M-75', promise: 'a background service', proof: inLab('reboot') },
  {
    row: 'M-76',
    promise: 'tests',
    proof: {
      decision: 'in the repository and not in the package, as there; .ci/run runs all of them from a clean clone',
    },
  },
  {
    row: 'M-77',
    promise: 'a specification of the protocol',
    proof: {
      test: 'test/tooling/protocol-document.test.ts',
      name: 'names routes that a worker has, and all by which its parts are reached',
      decision:
        'docs/protocol.md; its routes, codes, headers, states and numbers are those of the code, and its test vector is verified by it',
    },
  },
];
