import { printJson, printTable } from '#src/cli/print.ts';
import type { Reading } from './measure.ts';

const HEAD = ['figure', 'ours', 'floor', 'ratio', 'bar', 'verdict', 'load', 'pressure', 'others'];

/** For a person. `others`: cores that were used by others meanwhile; `pressure`: avg10 before. */
export function printReadings(readings: readonly Reading[]): void {
  printTable(
    HEAD,
    readings.map(({ figure, line, ours, floor, verdict, machine }) => [
      `${figure.name} ${line.name}`,
      `${round(ours)} ${figure.unit}`,
      `${round(floor)} ${figure.unit}`,
      round(ours / floor),
      line.bar?.text ?? '-',
      verdict,
      round(machine.load),
      machine.pressure === null ? '?' : `${machine.pressure} %`,
      round(machine.others),
    ]),
  );
}

export function printReadingsAsJson(readings: readonly Reading[]): void {
  printJson(
    readings.map(({ figure, line, ours, floor, verdict, machine }) => ({
      figure: figure.name,
      line: line.name,
      what: figure.what,
      unit: figure.unit,
      ours,
      floor,
      ratio: ours / floor,
      bar: line.bar?.text ?? null,
      verdict,
      machine,
    })),
  );
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}
