'use strict';
// What roomwire.js sends together, what it tells of typing, and how it carries bytes.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { setTimeout: pause } = require('node:timers/promises');
const WebSocket = require('ws');
const { wireTo } = require('./cut');
const { startServer } = require('./server');
const { load, start } = require('./virtual');

const TEST_MS = { timeout: 20_000 };
const QUIET = { heartbeatInterval: 0, resume: false };
const BATCHES = { ...QUIET, batchInterval: 50 };

const kinds = (socket) => socket.take().map(({ type, messages, n, text }) => (messages ? messages.map((each) => each.n) : n ?? text ?? type));

/// A client that is in a room.
async function inRoom(t, options) {
  const world = await start(t, options);
  world.client.join('tea');
  await world.socket().welcome('client_a');
  await world.socket().say({ type: 'joined_room', id: world.socket().sent.at(-1).id, room: 'tea', members: ['client_a'], total: 1 });
  world.socket().take();
  return world;
}

// covers A7-01, A7-07
test('the timer runs only while something waits', TEST_MS, async (t) => {
  const { client, clock, socket } = await start(t, { ...BATCHES, stableAfter: 1 });
  await socket().welcome('client_a');
  await clock.pass(10);
  assert.deepEqual(kinds(socket()), ['hello']);
  assert.deepEqual(clock.waits, []);
  client.send({ type: 'x', n: 1 });
  client.send({ type: 'x', n: 2 });
  assert.deepEqual(clock.waits, [50]);
  await clock.pass(49);
  assert.deepEqual(kinds(socket()), []);
  await clock.pass(1);
  assert.deepEqual(kinds(socket()), [[1, 2]]);
  assert.deepEqual(clock.waits, []);
  // One alone is no batch.
  client.send({ type: 'x', n: 3 });
  await clock.pass(50);
  assert.deepEqual(kinds(socket()), [3]);
  // What cannot wait takes along what waits, and none overtakes another.
  client.send({ type: 'x', n: 4 });
  client.send('as it is');
  client.send({ type: 'x', n: 5 });
  client.flush();
  assert.deepEqual(kinds(socket()), [4, 'as it is', 5]);
  assert.deepEqual(clock.waits, []);
});

// covers A7-02
test('a batch is full by messages or by size', TEST_MS, async (t) => {
  const { client, clock, socket } = await start(t, { ...BATCHES, batchMessages: 3, batchBytes: 100 });
  await socket().welcome('client_a');
  socket().take();
  for (let n = 1; n <= 4; n += 1) {
    client.send({ type: 'x', n });
  }
  assert.deepEqual(kinds(socket()), [[1, 2, 3]]);
  client.send({ type: 'x', n: 5, long: 'x'.repeat(80) });
  assert.deepEqual(kinds(socket()), [4]);
  client.send({ type: 'x', n: 6, long: 'x'.repeat(200) });
  client.send({ type: 'x', n: 7 });
  assert.deepEqual(kinds(socket()), [5, 6]);
  await clock.pass(50);
  assert.deepEqual(kinds(socket()), [7]);
});

// covers A7-04, A7-05
test('what waits when the connection is lost goes out on the next one, in its place', TEST_MS, async (t) => {
  const { client, clock, heard, socket } = await start(t, { ...BATCHES, queueMessages: 5 });
  assert.equal(client.send({ type: 'x', n: 0 }), 'queued');
  await socket().welcome('client_a');
  const asked = client.request({ type: 'x', n: 1 });
  client.send({ type: 'x', n: 2 });
  socket().take();
  await socket().end(1006);
  client.send({ type: 'x', n: 3 });
  await clock.pass(1_000);
  await socket().welcome('client_b');
  await clock.pass(50);
  const sent = socket().take().at(-1).messages;
  assert.deepEqual(sent.map(({ n }) => n), [0, 1, 2, 3]);
  await socket().say({ type: 'ack', id: sent[1].id });
  assert.equal((await asked).type, 'ack');
  assert.deepEqual(heard('dropped'), []);
  // Who closes sends what waits first.
  client.send({ type: 'x', n: 4 });
  client.close();
  assert.deepEqual(kinds(socket()), [4]);
  assert.deepEqual(heard('dropped'), []);
});

// covers A7-03, A2-11
test('outcomes that come together are each one\'s own', TEST_MS, async (t) => {
  const { client, clock, heard, socket } = await start(t, BATCHES);
  await socket().welcome('client_a');
  socket().take();
  const [one, two] = [client.request({ type: 'x', n: 1 }), client.request({ type: 'x', n: 2 })];
  await clock.pass(50);
  const [{ messages: [{ id: first }, { id: second }] }] = socket().take();
  await socket().say({ type: 'batch', messages: [{ type: 'ack', id: first }, { type: 'error', id: second, code: 'forbidden', message: 'no' }] });
  assert.equal((await one).type, 'ack');
  await assert.rejects(two, { code: 'forbidden' });
  assert.deepEqual(heard('message').map(([, { type }]) => type), ['welcome', 'ack', 'error']);
});

test('typing is told as often as it must be', TEST_MS, async (t) => {
  const { client, clock, socket } = await inRoom(t, QUIET);
  const said = () => socket().take().map(({ type }) => type);
  client.typing('tea');
  client.typing('tea');
  await clock.pass(2_999);
  client.typing('tea');
  assert.deepEqual(said(), ['typing_start']);
  await clock.pass(1);
  client.typing('tea');
  assert.deepEqual(said(), ['typing_start']);
  client.typing('tea', false);
  client.typing('tea', false);
  assert.deepEqual(said(), ['typing_stop']);
  client.typing('tea');
  client.say('tea', 1);
  client.say('tea', 2);
  assert.deepEqual(said(), ['typing_start', 'typing_stop', 'room_message', 'room_message']);
  // Of a room that it is not in, and without a connection, there is nothing to tell.
  client.typing('milk');
  await socket().end(1006);
  client.typing('tea');
  await clock.pass(1_000);
  await socket().welcome('client_b');
  assert.deepEqual(said(), ['join']);
});

// covers A4-07
test('bytes are bytes', TEST_MS, async (t) => {
  const { client, clock, socket } = await inRoom(t, { ...QUIET, queueBytes: 10 });
  const { bytesOf } = await load();
  const bytes = new Uint8Array([0, 255, 1]);
  assert.equal(client.send(bytes), 'sent');
  assert.equal(client.send(bytes.buffer), 'sent');
  assert.deepEqual(socket().take(), [{ text: bytes }, { text: bytes.buffer }]);
  client.say('tea', new Uint8Array([9, 0, 255, 1, 9]).subarray(1, 4));
  const [{ data, encoding }] = socket().take();
  assert.deepEqual([data, encoding], ['AP8B', 'base64']);
  assert.deepEqual([...bytesOf({ data })], [0, 255, 1]);
  await socket().end(1006);
  assert.equal(client.send(new Uint8Array(10)), 'queued');
  assert.equal(client.send(bytes), 'dropped');
  await clock.pass(1_000);
  await socket().welcome('client_b');
});

// ---- against a server

let server;

before(async () => {
  server = await startServer();
});

after(() => server?.stop());

// covers A7-03, A7-04
test('a server takes batches and answers each message, also over a connection that is cut', TEST_MS, async (t) => {
  const { WebSocketClient, bytesOf } = await load();
  const options = { WebSocket, reconnectInterval: 20, maxReconnectDelay: 100, maxReconnectAttempts: Infinity };
  const wire = await wireTo(t, server.port);
  const ada = new WebSocketClient(server.url, options);
  const bob = new WebSocketClient(wire.url, { ...options, batchInterval: 5, batchMessages: 20 });
  t.after(() => [ada, bob].forEach((client) => client.close()));
  const heard = [];
  ada.on('room_message', (message) => heard.push(message));
  await Promise.all([ada.join('batches'), bob.join('batches')]);
  const said = [];
  for (let n = 0; n < 60; n += 1) {
    said.push(bob.say('batches', n, { messageId: `b-${n}` }));
    if (n % 25 === 24) {
      await pause(3);
      wire.cut();
    }
  }
  said.push(bob.say('batches', new Uint8Array([1, 2, 3])));
  const outcomes = await Promise.all(said);
  assert.ok(outcomes.every(({ type }) => type === 'ack'));
  // What is acknowledged may still be on its way to her from another thread.
  for (let waits = 0; heard.length < 61 && waits < 1_000; waits += 1) {
    await pause(10);
  }
  assert.deepEqual(heard.slice(0, -1).map(({ data }) => data), Array.from({ length: 60 }, (_, n) => n));
  assert.deepEqual([...bytesOf(heard.at(-1))], [1, 2, 3]);
});
