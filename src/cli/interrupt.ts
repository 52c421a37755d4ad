export interface Interrupts {
  /** How often the person, or a program, asked to stop. */
  readonly count: number;
  stop(): void;
}

/** The first Ctrl-C (or SIGTERM) asks, the second leaves. */
export function followInterrupts({ first, second }: { first: () => void; second: () => void }): Interrupts {
  let count = 0;
  const onSignal = (): void => {
    count += 1;
    if (count === 1) first();
    else second();
  };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, onSignal);
  return {
    get count() {
      return count;
    },
    stop() {
      for (const name of names) process.off(name, onSignal);
    },
  };
}
