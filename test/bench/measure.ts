import type { Bench } from './bench.ts';
import type { Figure, Line, Sides } from './figure.ts';
import type { Watched } from './machine.ts';
import { awaitCalm, isCalm, watchOthers } from './machine.ts';

/** One line of a figure. There is none without its floor: both come of one run. */
export interface Reading {
  readonly figure: Figure;
  readonly line: Line;
  readonly ours: number;
  readonly floor: number;
  readonly verdict: 'ok' | 'missed' | 'missed, not calm' | 'for information';
  readonly machine: Watched;
}

const ATTEMPTS = 3;
const CALM_WITHIN_MS = 8000;

/** Measures a figure, and again, twice, where it was missed while others used the machine. */
export async function measure(figure: Figure, bench: Bench): Promise<Reading[]> {
  for (let attempt = 1; ; attempt++) {
    const readings = await measureOnce(figure, bench);
    const disturbed = readings.some(({ verdict }) => verdict === 'missed, not calm');
    if (!disturbed || attempt === ATTEMPTS || !bench.hasTime()) return readings;
    const seen = readings.map(({ line, ours, floor }) => `${line.name} ${ours.toFixed(1)}, floor ${floor.toFixed(1)}`);
    bench.say(`${figure.name}: missed while the machine was not calm, again (${seen.join('; ')} ${figure.unit})`);
  }
}

async function measureOnce(figure: Figure, bench: Bench): Promise<Reading[]> {
  const before = await awaitCalm(bench.hasTime() ? CALM_WITHIN_MS : 0);
  const others = watchOthers();
  const { ours, floor } = await bench.scope(async (scope) => sample(figure, await figure.open(scope)));
  // Load and pressure of before, since afterwards they show our own work; and what was not ours in between.
  const machine = { ...before, others: others() };
  return figure.lines.map((line) => judge(figure, line, { ours: line.of(ours), floor: line.of(floor), machine }));
}

/** In turn, and each first as often as the other, so that what changes in between meets both alike. */
async function sample({ warmUps, samples }: Figure, sides: Sides) {
  const ours: number[] = [];
  const floor: number[] = [];
  for (let round = -warmUps; round < samples; round++) {
    const turns = [async () => floor.push(await sides.floor()), async () => ours.push(await sides.ours())];
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) await turn();
    if (round < 0) [ours.length, floor.length] = [0, 0];
  }
  return { ours, floor };
}

function judge(
  figure: Figure,
  line: Line,
  values: { readonly ours: number; readonly floor: number; readonly machine: Watched },
): Reading {
  const { ours, floor, machine } = values;
  const missed = isCalm(machine) ? 'missed' : 'missed, not calm';
  const verdict = line.bar === null ? 'for information' : line.bar.holds(ours, floor) ? 'ok' : missed;
  return { figure, line, verdict, ...values };
}
