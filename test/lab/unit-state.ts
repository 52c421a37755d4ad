import type { Machine } from './machine.ts';

/** What systemd says of a unit of the system, by the names of its properties. */
export async function unitState(
  machine: Machine,
  unit: string,
  ...properties: readonly string[]
): Promise<Readonly<Record<string, string>>> {
  return propertiesIn(await machine.succeed(['systemctl', 'show', unit, `--property=${properties.join(',')}`]));
}

/** Lines of `systemctl show`. */
export function propertiesIn(text: string): Readonly<Record<string, string>> {
  const lines = text.split('\n');
  return Object.fromEntries(lines.filter(Boolean).map((line) => line.split(/=(.*)/s, 2) as [string, string]));
}

/** When the units of ours were started that a machine has, by their names. */
export async function startTimes(machine: Machine): Promise<ReadonlyMap<string, string>> {
  const units = [
    'federation-hub.service',
    'federation-hub.socket',
    'federation-hub-plugin.socket',
    'openclaw-worker.service',
  ];
  const more = ['openclaw-gateway.service', 'tailscaled.service', 'auto-register.path'];
  const times = [...units, ...more].map(async (unit) => {
    const { ActiveEnterTimestampMonotonic = '', MainPID = '' } = await unitState(
      machine,
      unit,
      'ActiveEnterTimestampMonotonic',
      'MainPID',
    );
    return [unit, `${ActiveEnterTimestampMonotonic} ${MainPID}`] as const;
  });
  return new Map(await Promise.all(times));
}
