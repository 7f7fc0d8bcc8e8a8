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

const named = (socket) => socket.sent.filter(({ messageId }) => messageId);

test('what has a name is sent again until it is known what became of it', TEST_MS, async (t) => {
  const { client, clock, heard, socket } = await start(t, QUIET);
  client.join('tea');
  await socket().welcome('client_a');
  await settle(socket(), session('client_a'));
  await socket().say({ type: 'joined_room', id: socket().sent[1].id, room: 'tea', members: ['client_a'], total: 1 });
  const outcomes = [];
  const note = (name) => [(reply) => outcomes.push([name, reply]), ({ code }) => outcomes.push([name, code])];
  client.say('tea', 1, { messageId: 'm-1', ttlMs: 500 }).then(...note('one'));
  client.say('tea', 2).then(...note('two'));
  client.request({ type: 'private_message', to: 'client_b', data: 3, messageId: 'm-3' }).then(...note('three'));
  const first = named(socket());
  assert.deepEqual(first.map(({ messageId, ttlMs }) => [messageId, ttlMs]), [['m-1', 500], ['m-3', undefined]]);
  heard();
  await socket().end(1006);
  assert.deepEqual(outcomes, [['two', 'connection_lost']]);
  // What is said meanwhile comes after it.
  client.say('tea', 4, { messageId: 'm-4' }).then(...note('four'));
  await clock.pass(1_000);
  await socket().welcome('client_new');
  await settle(socket(), session('client_a', { resumed: true }));
  assert.deepEqual(named(socket()), []);
  await socket().say({ type: 'joined_room', id: socket().sent[1].id, room: 'tea', members: ['client_a'], total: 1 });
  assert.deepEqual(named(socket()).map(({ messageId }) => messageId), ['m-1', 'm-3', 'm-4']);
  assert.deepEqual(named(socket()).slice(0, 2), first);
  await socket().say({ type: 'ack', id: first[0].id, offset: 7, duplicate: true }, { type: 'ack', id: first[1].id });
  assert.deepEqual(outcomes.slice(1).map(([name, { duplicate }]) => [name, duplicate]), [['one', true], ['three', undefined]]);
  assert.deepEqual(heard('dropped'), []);
  // It is sent a third time if it has to be.
  await socket().end(1006);
  await clock.pass(2_000);
  await socket().welcome('client_late');
  await settle(socket(), session('client_a', { resumed: true }));
  await socket().say({ type: 'joined_room', id: socket().sent[1].id, room: 'tea', members: ['client_a'], total: 1 });
  assert.deepEqual(named(socket()).map(({ messageId }) => messageId), ['m-4']);
});

test('somebody new sends nothing again', TEST_MS, async (t) => {
  const { client, clock, heard, socket } = await start(t, QUIET);
  await socket().welcome('client_a');
  await settle(socket(), session('client_a'));
  const lost = client.request({ type: 'private_message', to: 'client_b', data: 1, messageId: 'm' });
  await socket().end(1006);
  const waiting = client.request({ type: 'private_message', to: 'client_b', data: 2, messageId: 'n' });
  await clock.pass(1_000);
  await socket().welcome('client_new');
  assert.deepEqual(named(socket()), []);
  await socket().say({ type: 'error', id: socket().sent[0].id, code: 'stale_session', message: 'no' });
  await assert.rejects(lost, { code: 'connection_lost' });
  assert.deepEqual(named(socket()), []);
  await socket().say({ ...session('client_new'), id: socket().sent.at(-1).id });
  // What was never sent is.
  assert.deepEqual(named(socket()).map(({ messageId }) => messageId), ['n']);
  await socket().say({ type: 'ack', id: named(socket())[0].id });
  await waiting;
  assert.deepEqual(heard('dropped'), []);
});

test('who is refused its session for now sends nothing again', TEST_MS, async (t) => {
  const { client, clock, heard, socket } = await start(t, QUIET);
  await socket().welcome('client_a');
  await settle(socket(), session('client_a'));
  const lost = client.request({ type: 'private_message', to: 'client_b', data: 1, messageId: 'm' });
  await socket().end(1006);
  await clock.pass(1_000);
  await socket().welcome('client_new');
  await socket().say({ type: 'error', id: socket().sent[0].id, code: 'internal', message: 'no' });
  await assert.rejects(lost, { code: 'connection_lost' });
  assert.deepEqual(named(socket()), []);
  assert.deepEqual(heard('dropped'), []);
});

test('mail that the server has lost begins anew', TEST_MS, async (t) => {
  const { clock, heard, socket } = await start(t, QUIET);
  const mail = (offset) => ({ type: 'private_message', from: 'client_b', data: 1, timestamp: 1, offset });
  await socket().welcome('client_a');
  await settle(socket(), session('client_a'));
  await socket().say(mail(7));
  await socket().end(1006);
  await clock.pass(1_000);
  await socket().welcome('client_new');
  heard();
  await settle(socket(), session('client_a', { resumed: true }));
  await socket().say(mail(1), mail(2));
  assert.deepEqual(heard('private_message').map(([, { offset }]) => offset), [1, 2]);
});

test('what is not known to have come is given up like the others, and says so', TEST_MS, async (t) => {
  const { client, clock, heard, socket } = await start(t, { ...QUIET, queueAge: 5_000, maxReconnectAttempts: 1 });
  await socket().welcome('client_a');
  await settle(socket(), session('client_a'));
  const lost = client.request({ type: 'private_message', to: 'client_b', data: 1, messageId: 'm' });
  await socket().end(1006);
  await clock.pass(6_000);
  await assert.rejects(lost, { code: 'connection_lost' });
  assert.deepEqual(heard('dropped'), []);
  const last = client.request({ type: 'private_message', to: 'client_b', data: 1, messageId: 'm' });
  client.close();
  await assert.rejects(last, { code: 'closed' });
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

// covers A4-15
test('what is said under a name is told once, however often the connection is cut', TEST_MS, async (t) => {
  const wire = await wireTo(t, server.port);
  const ada = await client(t, server.url);
  const bob = await client(t, wire.url);
  await Promise.all([ada.own.join('milk'), bob.own.join('milk')]);
  await bob.until('session');
  const all = [];
  for (let number = 0; number < 60; number += 1) {
    all.push(bob.own.say('milk', number, { messageId: `m-${number}` }));
    if (number % 10 === 9) {
      await pause(number % 4);
      wire.cut();
    }
    await pause(1);
  }
  const outcomes = await Promise.all(all);
  assert.equal(outcomes.length, 60);
  await ada.until('room_message', 60);
  // For what might come twice.
  await pause(100);
  const heard = ada.told.filter(({ type, room }) => type === 'room_message' && room === 'milk');
  assert.deepEqual(heard.map(({ data }) => data), Array.from({ length: 60 }, (_, number) => number));
});
