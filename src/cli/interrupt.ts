export interface Interrupts {
  /** How often the person, or a program, asked to stop. */
  readonly count: number;
  stop(): void;
}

export interface Interruption {
  readonly first: () => void;
  readonly second: () => void;
  /** The terminal went away; as Ctrl-C where nothing else is said. */
  readonly hangUp?: () => void;
}

/** The first Ctrl-C (or SIGTERM) asks, the second leaves. */
export function followInterrupts({ first, second, hangUp }: Interruption): Interrupts {
  let count = 0;
  const onSignal = (): void => {
    count += 1;
    if (count === 1) first();
    else second();
  };
  const listeners = { SIGINT: onSignal, SIGTERM: onSignal, SIGHUP: hangUp ?? onSignal };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, listeners[name]);
  return {
    get count() {
      return count;
    },
    stop() {
      for (const name of names) process.off(name, listeners[name]);
    },
  };
}
