'use strict';
// roomwire.js is on its next connection who it was, on a clock that stands still and against real servers whose sockets
// are cut.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { setTimeout: pause } = require('node:timers/promises');
const WebSocket = require('ws');
const { wireTo } = require('./cut');
const { startServer } = require('./server');
const { load, start } = require('./virtual');

const TEST_MS = { timeout: 20_000 };
const QUIET = { heartbeatInterval: 0, resume: true };

const session = (clientId, more = {}) => ({
  type: 'session', clientId, sessionSecret: `secret of ${clientId}`, resumed: false, windowMs: 60000, awayMs: 10000, last: 0, ...more,
});

/// The answer to the `resume` that was sent last.
const settle = (socket, answer) => socket.say({ ...answer, id: socket.sent.find(({ type }) => type === 'resume').id });

test('who it is comes before all else, and again on the next connection', TEST_MS, async (t) => {
  const { client, clock, heard, socket } = await start(t, QUIET);
  client.join('tea');
  await socket().welcome('client_a');
  assert.deepEqual(socket().sent.map(({ type }) => type), ['resume', 'join']);
  assert.deepEqual(Object.keys(socket().sent[0]).sort(), ['id', 'type']);
  await settle(socket(), session('client_a'));
  assert.equal(heard('session')[0][1].resumed, false);
  await socket().say({ type: 'joined_room', id: socket().sent[1].id, room: 'tea', members: ['client_a'], total: 1 });
  await socket().say({ type: 'private_message', from: 'client_b', data: 1, timestamp: 1, offset: 4 });
  await socket().end(1006);
  await clock.pass(1_000);
  await socket().welcome('client_new');
  const [{ id, ...resume }, join] = socket().sent;
  assert.deepEqual(resume, { type: 'resume', clientId: 'client_a', sessionSecret: 'secret of client_a', after: 4 });
  assert.equal(join.type, 'join');
  assert.equal(client.clientId, 'client_new');
  await settle(socket(), session('client_a', { resumed: true, last: 6, gap: { from: 5, to: 5 } }));
  assert.equal(client.clientId, 'client_a');
  heard();
  // What it has is not told again, what was missed is.
  await socket().say(
    { type: 'private_message', from: 'client_b', data: 1, timestamp: 1, offset: 4 },
    { type: 'private_message', from: 'client_b', data: 2, timestamp: 1, offset: 6 },
  );
  assert.deepEqual(heard('private_message').map(([, { offset }]) => offset), [6]);
});

test('who was away for too long is somebody new', TEST_MS, async (t) => {
  const { client, clock, heard, socket } = await start(t, QUIET);
  await socket().welcome('client_a');
  await settle(socket(), session('client_a'));
  await socket().say({ type: 'private_message', from: 'client_b', data: 1, timestamp: 1, offset: 9 });
  await socket().end(1006);
  await clock.pass(1_000);
  await socket().welcome('client_new');
  const [{ id }] = socket().sent;
  heard();
  await socket().say({ type: 'error', id, code: 'stale_session', message: 'no' });
  assert.deepEqual(heard('error'), []);
  const again = socket().sent.at(-1);
  assert.deepEqual({ ...again, id: null }, { type: 'resume', id: null });
  assert.notEqual(again.id, id);
  await socket().say({ ...session('client_new'), id: again.id });
  assert.equal(client.clientId, 'client_new');
  // Offsets begin anew.
  await socket().say({ type: 'private_message', from: 'client_b', data: 2, timestamp: 1, offset: 1 });
  assert.equal(heard('private_message').length, 1);
});

test('a server without sessions is no trouble', TEST_MS, async (t) => {
  const { client, clock, heard, socket } = await start(t, QUIET);
  await socket().welcome('client_a');
  const [{ id }] = socket().sent;
  heard();
  await socket().say({ type: 'error', id, code: 'unknown_type', message: 'unknown message type' });
  assert.deepEqual(heard('error', 'close'), []);
  client.send('hello');
  assert.deepEqual(socket().take().at(-1), { text: 'hello' });
  await socket().say({ type: 'private_message', from: 'client_b', data: 1, timestamp: 1 });
  await socket().say({ type: 'private_message', from: 'client_b', data: 1, timestamp: 1 });
  assert.equal(heard('private_message').length, 2);
  await socket().end(1006);
  await clock.pass(1_000);
  await socket().welcome('client_b');
  assert.deepEqual({ ...socket().sent[0], id: null }, { type: 'resume', id: null });
});

test('without the option nothing of it is said', TEST_MS, async (t) => {
  const { socket } = await start(t, { ...QUIET, resume: false });
  await socket().welcome();
  assert.deepEqual(socket().sent, []);
});

// ---- against a server

let server;

before(async () => {
  server = await startServer();
});

after(() => server?.stop());

async function client(t, url, options = {}) {
  const { WebSocketClient } = await load();
  const own = new WebSocketClient(url, { WebSocket, reconnectInterval: 20, maxReconnectDelay: 100, maxReconnectAttempts: Infinity, ...options });
  t.after(() => own.close());
  const told = [];
  own.on('message', (message) => told.push(message));
  const until = async (type, count = 1) => {
    for (;;) {
      const found = told.filter((message) => message.type === type);
      if (found.length >= count) {
        return found.at(-1);
      }
      await pause(5);
    }
  };
  return { own, told, until };
}

// covers A4-15
test('nobody sees a client come back, and what was sent to it alone has waited', TEST_MS, async (t) => {
  const ada = await client(t, server.url);
  const wire = await wireTo(t, server.port);
  const bob = await client(t, wire.url);
  await Promise.all([ada.own.join('tea'), bob.own.join('tea')]);
  const { clientId } = await bob.until('session');
  await bob.own.request({ type: 'set_metadata', metadata: { name: 'Bob' } });
  await ada.until('member_updated');
  const before = ada.told.length;
  for (let round = 1; round <= 3; round += 1) {
    wire.cut();
    const write = (data) => ada.own.request({ type: 'private_message', to: clientId, data });
    await write(round);
    const told = await bob.until('session', round + 1);
    assert.equal(told.resumed, true);
    assert.equal(bob.own.clientId, clientId);
    await bob.own.join('tea');
    await write(-round);
    await bob.until('private_message', 2 * round);
  }
  const mail = bob.told.filter(({ type }) => type === 'private_message');
  assert.deepEqual(mail.map(({ data, offset }) => [data, offset]), [[1, 1], [-1, 2], [2, 3], [-2, 4], [3, 5], [-3, 6]]);
  await ada.own.say('tea', 'are you there?');
  await bob.until('room_message');
  const seen = ada.told.slice(before).map(({ type }) => type);
  assert.deepEqual(seen.filter((type) => /^member/.test(type)), []);
  const { metadata } = await ada.own.request({ type: 'members', room: 'tea', metadata: true });
  assert.deepEqual(metadata[clientId], { name: 'Bob' });
});
