'use strict';
// The little of Jest that the guide's tests use. No retries.

const assert = require('node:assert/strict');
const WebSocket = require('ws');
const define = require('./guide-suite');
const { within } = require('./server');

// Jest's default for a test and for a hook.
const TIMEOUT_MS = 5_000;

function expect(actual) {
  return {
    toBe: (expected) => assert.ok(Object.is(actual, expected), `expected ${expected}, got ${actual}`),
    toBeDefined: () => assert.notEqual(actual, undefined, 'expected a value, got undefined'),
    toBeInstanceOf: (type) => assert.ok(actual instanceof type, `expected ${type.name}, got ${actual}`),
  };
}

/// Runs what takes a `done` callback, or none.
function call(body, what) {
  if (body.length === 0) {
    return body();
  }
  const finished = new Promise((resolve, reject) => {
    body((error) => (error ? reject(error) : resolve()));
  });
  return within(TIMEOUT_MS, finished, () => `expected "${what}" to finish`);
}

/// The guide's tests against the server at `url`: `[{ name, run }]`.
function guideTests(url) {
  const hooks = {};
  const tests = [];
  define({
    url,
    WebSocket,
    expect,
    describe: (_, body) => body(),
    beforeEach: (hook) => {
      hooks.before = hook;
    },
    afterEach: (hook) => {
      hooks.after = hook;
    },
    test: (name, body) => {
      const run = async () => {
        await call(hooks.before, `before: ${name}`);
        try {
          await call(body, name);
        } finally {
          await call(hooks.after, `after: ${name}`);
        }
      };
      tests.push({ name, run });
    },
  });
  return tests;
}

module.exports = { guideTests };
