'use strict';
// What must hold of an echo of mixed messages, whoever the client is.

const assert = require('node:assert/strict');

/// What the server says to clients that offer what browsers do.
const ANSWER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
/// Other messages are had with another seed.
const SEED = Number(process.env.ROOMWIRE_TEST_SEED ?? 20_261);
const COUNT = 10_000;

/// Everything came back, compression was agreed on by both, and both did compress. `back` is what the client says,
/// `passed` what the wire saw of its connection.
async function checkEcho(t, back, { up, down }) {
  const { sums } = await import('./mixed.mjs');
  const { compressed, ...sent } = sums(SEED, COUNT);
  t.diagnostic(`up ${JSON.stringify(up.sum)}, down ${JSON.stringify(down.sum)} of ${sent.bytes} bytes, seed ${SEED}`);
  const { extensions, ...came } = back;
  assert.deepEqual(came, sent);
  assert.match(up.field('sec-websocket-extensions'), /^permessage-deflate\b/);
  assert.equal(down.field('sec-websocket-extensions'), ANSWER);
  assert.match(extensions, /^permessage-deflate\b/);
  assert.deepEqual([up.sum.messages, down.sum.messages], [COUNT, COUNT]);
  // The server compresses what is long enough and gets smaller; a client may use another measure.
  assert.equal(down.sum.compressed, compressed);
  assert.ok(up.sum.compressed >= compressed, `${up.sum.compressed} of ${COUNT} were compressed`);
  for (const { bytes } of [up.sum, down.sum]) {
    assert.ok(bytes < (sent.bytes * 2) / 3, `${bytes} of ${sent.bytes} bytes`);
  }
}

module.exports = { ANSWER, COUNT, SEED, checkEcho };
