import { main } from '#src/cli/deploy.ts';

process.exitCode = await main(process.argv.slice(2));
