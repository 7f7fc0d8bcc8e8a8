// What Bun runs: `bun bun.mjs URL SEED COUNT`. Prints what came back as JSON, or fails.

import { echo } from './echo.mjs';

const [url, seed, count] = process.argv.slice(2);
console.log(JSON.stringify(await echo({ url, seed: Number(seed), count: Number(count) })));
process.exit();
