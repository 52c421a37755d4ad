import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findHub } from '#src/adapters/hub.ts';
import type { HubApi } from '#src/adapters/hub.ts';
import type { HubRecord } from '#src/core/hub-record.ts';
import type { AgentView } from '#src/protocol/handoffs.ts';
import type { Place, Running } from '../e2e/place.ts';
import { makePlace } from '../e2e/place.ts';
import { until } from '../e2e/until.ts';
import type { AgentGateway } from '../support/agent-gateway.ts';
import type { Cable } from '../support/cable.ts';
import { layCable } from '../support/cable.ts';

/** A process that is started again whenever it ends. */
export interface Kept {
  /** How often it ended. */
  readonly deaths: number;
  /** Ends it as the kernel does when memory is short. */
  kill(): void;
}

/** A hub and one worker as processes, a cable between them, and the scripted gateway of the worker. */
export interface Daemons extends AsyncDisposable {
  readonly place: Place;
  /** Homes. */
  readonly hubHome: string;
  readonly workerHome: string;
  readonly hub: Kept;
  readonly worker: Kept;
  readonly cable: Cable;
  /** The hub that runs now. */
  readonly api: HubApi;
  untilOffered(): Promise<void>;
  /** Where the worker is to end; see crash.ts. */
  crashAt(place: string): Promise<void>;
}

export const NODE = 'far';

/** A machine that does much else may take so long to start a daemon. */
const START_MS = 90_000;

export async function startDaemons(gateway: AgentGateway): Promise<Daemons> {
  const place = await makePlace();
  const [hubHome, workerHome, crashFile] = [place.file('hub'), place.file('worker'), place.file('crash')];
  let port = 0;
  const closing: (() => Promise<void>)[] = [];

  function keep(start: () => Running): Kept {
    let deaths = 0;
    let isKept = true;
    let running = start();
    const watch = async (): Promise<void> => {
      while (isKept) {
        await running.ended;
        deaths += 1;
        if (isKept) running = start();
      }
      await running.ended;
    };
    const watched = watch();
    closing.push(async () => {
      isKept = false;
      running.kill('SIGTERM');
      await watched;
    });
    return {
      get deaths() {
        return deaths;
      },
      kill: () => running.kill('SIGKILL'),
    };
  }

  async function close(): Promise<void> {
    for (const end of closing.splice(0).toReversed()) await end();
    await place.remove();
  }

  try {
    return await compose();
  } catch (error) {
    await close();
    throw error;
  }

  async function compose(): Promise<Daemons> {
    const hub = keep(() => place.start('federation-hub', ['--home', hubHome, '--port', String(port)]));
    const api = hubOf(hubHome);
    const found = () => readFile(join(hubHome, 'hub.json'), 'utf8').catch(() => null);
    const record = await until('the hub listens', found, START_MS);
    ({ port } = JSON.parse(record) as HubRecord);
    const cable = await layCable(() => port);
    closing.push(cable.close);
    await mkdir(workerHome, { mode: 0o700 });
    const { token } = await api.ask<{ token: string }>('POST', '/tokens', { name: NODE });
    await writeFile(join(workerHome, 'join-token'), token, { mode: 0o600 });
    const worker = keep(() =>
      place.start('federation-worker', ['--home', workerHome, '--name', NODE, '--hub', `127.0.0.1:${cable.port}`], {
        env: {
          OPENCLAW_FEDERATION_WORKER_TOOLS_GATEWAY_SETTINGS: gateway.settingsFile,
          NODE_OPTIONS: `--import=${join(import.meta.dirname, 'crash.ts')}`,
          CRASH_FILE: crashFile,
        },
      }),
    );

    const daemons: Daemons = {
      ...{ place, hubHome, workerHome, hub, worker, cable, api },
      untilOffered: async () =>
        void (await until(
          'the agents are offered',
          async () => {
            const agents = await api.ask<AgentView[]>('GET', '/agents').catch(() => []);
            return agents.length > 0;
          },
          START_MS,
        )),
      crashAt: (at) => writeFile(crashFile, at),
      [Symbol.asyncDispose]: close,
    };
    await daemons.untilOffered();
    return daemons;
  }
}

/** By the socket of whichever hub runs. */
function hubOf(home: string): HubApi {
  const now = () => findHub(home);
  return {
    ask: async (...all) => (await now()).ask(...all),
    put: async (...all) => (await now()).put(...all),
    open: async (...all) => (await now()).open(...all),
    send: async (...all) => (await now()).send(...all),
    model: async (...all) => (await now()).model(...all),
  };
}
