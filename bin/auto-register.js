import { main } from '#src/cli/auto-register.ts';

process.exitCode = await main(process.argv.slice(2));
