'use strict';
// The guide's tests, N times in one process without retries:
//
//     guide-loop.js N [--busy K] [--url ws://HOST:PORT/]
//
// `--busy K` keeps K processes spinning meanwhile. Without `--url` it starts ROOMWIRE_BIN itself. Prints
// `N passes, 0 failures` and ends with 0, or with 1 if anything failed.

const { spawn } = require('node:child_process');
const { parseArgs } = require('node:util');
const { guideTests } = require('./guide-shim');
const { startServer } = require('./server');

const MAX_FAILURES_SHOWN = 10;
const BUSY_MS = 600_000;

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { busy: { type: 'string', default: '0' }, url: { type: 'string' } },
  });
  const passes = Number(positionals[0]);
  const busy = Number(values.busy);
  if (positionals.length !== 1 || !Number.isInteger(passes) || passes < 1 || !Number.isInteger(busy) || busy < 0) {
    throw new Error('usage: guide-loop.js N [--busy K] [--url ws://HOST:PORT/]');
  }
  return { passes, busy, url: values.url };
}

/// A process that spins until it is killed, or for ten minutes at most.
function spin() {
  const loop = `const end = Date.now() + ${BUSY_MS}; while (Date.now() < end);`;
  return spawn(process.execPath, ['-e', loop], { stdio: 'ignore' });
}

/// What went wrong in one pass, or nothing. An exception in a socket's handler belongs to the test that runs.
async function pass(tests) {
  for (const { name, run } of tests) {
    let thrown;
    const uncaught = new Promise((_, reject) => {
      thrown = reject;
    });
    process.on('uncaughtException', thrown);
    try {
      await Promise.race([run(), uncaught]);
    } catch (error) {
      return `${name}: ${error.message}`;
    } finally {
      process.off('uncaughtException', thrown);
    }
  }
  return undefined;
}

async function main() {
  const { passes, busy, url } = readArguments();
  const server = url ? undefined : await startServer();
  const spinners = Array.from({ length: busy }, spin);
  const failures = [];
  try {
    const tests = guideTests(url ?? server.url);
    for (let at = 1; at <= passes; at += 1) {
      const failure = await pass(tests);
      if (failure) {
        failures.push(`pass ${at}: ${failure}`);
      }
    }
  } finally {
    spinners.forEach((child) => child.kill('SIGKILL'));
    await server?.stop();
  }
  failures.slice(0, MAX_FAILURES_SHOWN).forEach((line) => console.log(line));
  console.log(`${passes - failures.length} passes, ${failures.length} failures`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
