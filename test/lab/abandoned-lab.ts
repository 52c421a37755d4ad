import { openLab } from './lab.ts';

/** A lab that nobody closes: prints its folder and waits for its end. */
const lab = await openLab({ machines: 1, tailnet: false });
process.stdout.write(`${lab.run.folder}\n`);
await new Promise(() => setTimeout(() => undefined, 600_000));
