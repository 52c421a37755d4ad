import { main } from '#src/worker/main.ts';

process.exitCode = await main(process.argv.slice(2));
