import { main } from '#src/cli/manage.ts';

process.exitCode = await main(process.argv.slice(2));
