import { main } from '#src/hub/main.ts';

process.exitCode = await main(process.argv.slice(2));
