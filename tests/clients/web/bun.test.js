'use strict';
// Bun's own WebSocket, compression on: thousands of mixed messages each way, byte for byte.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const path = require('node:path');
const { promisify } = require('node:util');
const { describe, test } = require('node:test');
const { startServer } = require('../node/server');
const { COUNT, SEED, checkEcho } = require('./checks');
const { wireTo } = require('./wire');

/// The packages that hold Bun for a machine, of which npm installs the one that fits.
const PACKAGES = { arm64: '@oven/bun-linux-aarch64', x64: '@oven/bun-linux-x64-baseline' };
const TIMEOUT_MS = 60_000;

function bun() {
  return require.resolve(`${PACKAGES[process.arch]}/bin/bun`);
}

describe('Bun', () => {
  // covers A3-02
  test('ten thousand messages come back byte for byte', { timeout: 2 * TIMEOUT_MS }, async (t) => {
    const server = await startServer(['--rate-limit', 'off', '--echo']);
    t.after(() => server.stop());
    const wire = await wireTo(server.port);
    t.after(() => wire.stop());
    const url = `ws://127.0.0.1:${wire.port}/echo`;
    const program = [path.join(__dirname, 'bun.mjs'), url, SEED, COUNT].map(String);
    const { stdout } = await promisify(execFile)(bun(), program, { timeout: TIMEOUT_MS, killSignal: 'SIGKILL' });
    assert.equal(wire.passed.length, 1);
    await checkEcho(t, JSON.parse(stdout), wire.passed[0]);
  });
});
