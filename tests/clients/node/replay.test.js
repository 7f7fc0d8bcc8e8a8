'use strict';
// A recording of real clients, done again by another process.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { connect } = require('./client');
const { run, startServer } = require('./server');

const TEST_MS = { timeout: 20_000 };
const SECRET = 'attack-at-dawn';

let folder;
before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'roomwire-replay-'));
});
after(() => fs.rmSync(folder, { recursive: true }));

/// Two clients that talk, one of them with a token in its address, on a server that records. Returns the file.
async function record(t, name, args) {
  const file = path.join(folder, name);
  const server = await startServer(['--record', file, ...args]);
  try {
    const ada = await connect(t, `${server.url}?token=${SECRET}`);
    const bob = await connect(t, server.url);
    await ada.join('tea');
    await bob.join('tea');
    await ada.request({ type: 'room_message', room: 'tea', data: { [SECRET]: [SECRET, 12] } });
    assert.deepEqual((await bob.until('room_message')).data, { [SECRET]: [SECRET, 12] });
    await ada.request({ type: 'set_metadata', metadata: { name: SECRET } });
    ada.send(`not JSON: ${SECRET}`);
    assert.equal((await ada.until('error')).code, 'bad_json');
    await server.health();
    const script = `http://127.0.0.1:${server.port}/roomwire.js`;
    const { headers } = await fetch(script);
    const again = await fetch(script, { headers: { 'if-none-match': headers.get('etag') }, cache: 'no-store' });
    assert.equal(again.status, 304);
  } finally {
    await server.stop();
  }
  return file;
}

describe('a recording', () => {
  test('is masked, and decides the same in another process', TEST_MS, async (t) => {
    const file = await record(t, 'masked', []);
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    assert.ok(!fs.readFileSync(file).includes(SECRET));
    const { code, stdout, stderr } = await run(['replay', file]);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.match(stdout, /\nhash ok\n$/);
    assert.match(stdout, /> text \{"type":"room_message","room":"tea","data":\{"x+":\["x+",11\]\}/);
    assert.match(stdout, /> http GET \/\?xxxxx=/);
    assert.match(stdout, /< closed 0\.1 client=/);
    assert.ok(!stdout.includes(SECRET));
  });

  test('holds everything if asked to', TEST_MS, async (t) => {
    const file = await record(t, 'open', ['--record-payloads']);
    const { code, stdout } = await run(['replay', file]);
    assert.equal(code, 0);
    assert.match(stdout, /\nhash ok\n$/);
    // Once from the client and once to the other.
    assert.equal(stdout.split(`"data":{"${SECRET}":["${SECRET}",12]}`).length, 3);
  });

  test('is shown by connection, by room, from a step on, and as JSON', TEST_MS, async (t) => {
    const file = await record(t, 'shown', ['--record-payloads']);
    const lines = async (...args) => {
      const { code, stdout } = await run(['replay', file, '--json', ...args]);
      assert.equal(code, 0, stdout);
      const [header, ...rest] = stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
      assert.equal(header.masked, false);
      assert.deepEqual(rest.pop(), { end: 'hash ok' });
      return rest;
    };
    const all = await lines();
    const one = await lines('--connection', '1');
    assert.ok(one.length > 5 && one.length < all.length / 2);
    assert.ok(one.every(({ connection }) => connection.startsWith('1.')));
    const room = await lines('--room', 'tea');
    assert.ok(room.length >= 5);
    assert.ok(room.every((line) => line.says.some(({ text }) => JSON.parse(text).room === 'tea')));
    assert.deepEqual(await lines('--room', 'coffee'), []);
    const late = await lines('--from', '20');
    assert.deepEqual(late, all.filter(({ step }) => step >= 20));
  });

  test('explains what became of a message', TEST_MS, async (t) => {
    const file = await record(t, 'explained', []);
    const why = async (message, connection) => {
      const args = ['replay', file, '--explain', message, '--connection', connection];
      const { code, stdout } = await run(args);
      assert.equal(code, 0, stdout);
      return stdout.split('\n').find((line) => line.startsWith('message '));
    };
    const { stdout } = await run(['replay', file]);
    assert.match(stdout, /> received 0\.1 bytes=\d+ message=1\n/);
    assert.equal(await why('1', '1'), 'message 1 to 1.1: delivered: its socket took it');
    assert.equal(await why('1', '0.1'), 'message 1 to 0.1: not for it: it is its own message');
    assert.equal(await why('2', '1'), 'message 2 to 1.1: there is no such message, or it is too long ago');
  });

  test('that was changed differs at a step', TEST_MS, async (t) => {
    const file = await record(t, 'changed', ['--record-payloads']);
    const bytes = fs.readFileSync(file);
    // Another seed: other ids, from the first welcome on.
    bytes[20] ^= 1;
    fs.writeFileSync(file, bytes);
    const { code, stdout } = await run(['replay', file]);
    assert.equal(code, 1);
    assert.match(stdout, /\nhash differs at step \d+\n$/);
  });

  test('that is cut off, or none, is told', TEST_MS, async (t) => {
    const file = await record(t, 'cut', []);
    fs.truncateSync(file, fs.statSync(file).size - 5);
    const cut = await run(['replay', file]);
    assert.equal(cut.code, 2);
    assert.match(cut.stderr, /cut off at byte \d+, after step \d+/);
    const none = await run(['replay', __filename]);
    assert.equal(none.code, 2);
    assert.match(none.stderr, /not a recording/);
    const missing = await run(['replay', path.join(folder, 'missing')]);
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /cannot read/);
  });

  test('ends when it is full, and serving goes on', TEST_MS, async (t) => {
    const { size } = fs.statSync(await record(t, 'whole', []));
    const file = await record(t, 'full', ['--record-max-bytes', `${size - 400}`]);
    assert.ok(fs.statSync(file).size <= size - 400);
    const { code, stdout } = await run(['replay', file]);
    assert.equal(code, 0);
    assert.match(stdout, /\nhash ok; the recording ended because it was full\n$/);
  });

  test('is not written over', TEST_MS, async (t) => {
    const file = await record(t, 'first', []);
    const { code, stderr } = await run(['--listen', '127.0.0.1:0', '--record', file]);
    assert.equal(code, 1);
    assert.match(stderr, /creating the recording: .*first: .*move it away/);
  });
});
