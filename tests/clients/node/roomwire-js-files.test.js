'use strict';
// Files of `roomwire.js`, with the server: to rooms and to one, both ends' ends, and connections that are cut meanwhile.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { after, before, describe, test } = require('node:test');
const WebSocket = require('ws');
const { connect } = require('./client');
const { wireTo } = require('./cut');
const { sleep, startServer, within } = require('./server');
const { load, start, turn, watch } = require('./virtual');

const TEST_MS = { timeout: 30_000 };
const WAIT_MS = 15_000;
const CONFIG = `
[rate_limit]
enabled = false
[files]
max_file_bytes = 20000000
max_per_client = 3
gather_ms = 20
progress_interval_ms = 20
resume_ms = 5000
`;

let server;
let WebSocketClient;
before(async () => {
  ({ WebSocketClient } = await load());
  server = await startServer([], { config: CONFIG });
});
after(() => server.stop());

/// A client that is quick to come back. `offers` are the files that it was offered, `told` every message.
function client(t, url = server.url, options = {}) {
  const own = new WebSocketClient(url, {
    WebSocket,
    reconnectInterval: 20,
    maxReconnectDelay: 100,
    maxReconnectAttempts: Infinity,
    ...options,
  });
  t.after(() => own.close());
  const [offers, told] = [[], []];
  const wakes = new Set();
  own.on('file', (file) => {
    offers.push(file);
    wakes.forEach((wake) => wake());
  });
  own.on('message', (message) => told.push(message));
  /// The file that was offered as `at`-th.
  const offer = (at = 0) => {
    const there = new Promise((resolve) => {
      const wake = () => offers.length > at && resolve();
      wakes.add(wake);
      wake();
    });
    return within(WAIT_MS, there, () => `expected offer ${at}, got ${JSON.stringify(told)}`).then(() => offers[at]);
  };
  return Object.assign(own, { offers, offer, told });
}

async function members(t, room, ...urls) {
  const clients = urls.map((url) => client(t, url));
  for (const each of clients) {
    await each.join(room);
  }
  return clients;
}

/// The outcome of a file, whatever it is.
const outcome = ({ done }) => within(WAIT_MS, done, () => 'expected an outcome');
const bytesOf = async (blob) => Buffer.from(await blob.arrayBuffer());
const types = ({ told }) => new Set(told.map(({ type }) => type));

/// Resolves as soon as so much of a file is there.
function progress(of, file, bytes) {
  const there = new Promise((resolve) => {
    of.on('progress', (seen) => seen === file && seen.bytes >= bytes && resolve());
  });
  return within(WAIT_MS, there, () => `expected ${bytes} bytes, got ${file.bytes}`);
}

describe('a file', () => {
  test('reaches everybody in a room who takes it, and both ends see it move', TEST_MS, async (t) => {
    const [ada, bob, eve, dan] = await members(t, 'tea', ...Array(4).fill(server.url));
    const data = crypto.randomBytes(3_000_001);
    const moves = new Map([ada, bob].map((of) => [of, []]));
    for (const [of, seen] of moves) {
      of.on('progress', ({ bytes }) => seen.push(bytes));
    }
    const sent = ada.sendFile(new File([data], 'photo.png', { type: 'image/png' }), { room: 'tea' });
    const offers = await Promise.all([bob, eve, dan].map((each) => each.offer()));
    for (const { from, room, name, size, mimeType } of offers) {
      assert.deepEqual([from, room, name, size, mimeType], [ada.clientId, 'tea', 'photo.png', data.length, 'image/png']);
    }
    const copies = await Promise.all(offers.slice(0, 2).map((offer) => outcome({ done: offer.accept() })));
    for (const { code, blob, verified } of copies) {
      assert.deepEqual([code, verified, blob.type], ['complete', true, 'image/png']);
      assert.ok(data.equals(await bytesOf(blob)));
    }
    assert.deepEqual(await outcome(sent), { code: 'complete', completed: 2, failed: 0 });
    for (const [, seen] of moves) {
      assert.ok(seen.length > 1 && seen.every((bytes, at) => at === 0 || bytes >= seen[at - 1]), `${seen}`);
    }
    assert.equal(offers[0].bytes, data.length);
    // Nothing of it is told but the offer; who says nothing hears nothing more.
    const own = ['welcome', 'session', 'joined_room', 'member_joined', 'file_offered'];
    for (const each of [ada, bob, dan]) {
      assert.deepEqual([...types(each)].filter((type) => !own.includes(type)), []);
    }
    offers[2].cancel();
    assert.equal((await outcome(offers[2])).code, 'cancelled');
  });

  test('of bytes goes to one, and to nobody else', TEST_MS, async (t) => {
    const [ada, bob, eve] = await members(t, 'milk', ...Array(3).fill(server.url));
    const data = new Uint8Array([1, 2, 3]).subarray(1);
    const sent = ada.sendFile(data, { to: bob.clientId, name: 'two bytes' });
    const offer = await bob.offer();
    assert.deepEqual([offer.name, offer.room, offer.mimeType, offer.size], ['two bytes', undefined, '', 2]);
    const { blob } = await outcome({ done: offer.accept() });
    assert.deepEqual([...(await bytesOf(blob))], [2, 3]);
    assert.equal((await outcome(sent)).completed, 1);
    assert.deepEqual(eve.offers, []);
  });

  test('may be empty', TEST_MS, async (t) => {
    const [ada, bob] = await members(t, 'sugar', server.url, server.url);
    const sent = ada.sendFile(new Blob([]), { room: 'sugar' });
    const { code, blob } = await outcome({ done: (await bob.offer()).accept() });
    assert.deepEqual([code, blob.size, (await outcome(sent)).completed], ['complete', 0, 1]);
  });

  test('goes to and comes from clients that do it by hand', TEST_MS, async (t) => {
    const ada = client(t);
    await ada.join('hand');
    const bob = await connect(t, server.url);
    await bob.join('hand');
    const sent = ada.sendFile(new Blob(['hello']), { room: 'hand', name: 'a.txt' });
    const { transfer } = await bob.until('file_offered');
    bob.send({ type: 'file_credit', transfer, offset: 0, window: 65_536 });
    const end = await bob.until('file_end');
    assert.equal(end.hash, `sha256:${crypto.createHash('sha256').update('hello').digest('hex')}`);
    bob.send({ type: 'file_complete', transfer });
    assert.equal((await outcome(sent)).completed, 1);
    bob.send({ type: 'file_start', room: 'hand', name: 'b.txt', size: 5, mimeType: '' });
    bob.send(Buffer.from('hello'));
    const { blob } = await outcome({ done: (await ada.offer()).accept() });
    assert.equal(await blob.text(), 'hello');
  });

  test('waits for a connection', TEST_MS, async (t) => {
    const wire = await wireTo(t, server.port);
    const [ada, bob] = await members(t, 'later', wire.url, server.url);
    wire.block();
    await new Promise((resolve) => ada.on('close', resolve));
    const sent = ada.sendFile(new Blob(['late']), { room: 'later' });
    wire.open();
    const { blob } = await outcome({ done: (await bob.offer()).accept() });
    assert.equal(await blob.text(), 'late');
    assert.equal((await outcome(sent)).completed, 1);
  });

  test('is not checked where there is no `crypto.subtle`', TEST_MS, async (t) => {
    const own = Object.getOwnPropertyDescriptor(globalThis, 'crypto');
    Object.defineProperty(globalThis, 'crypto', { value: {}, configurable: true });
    t.after(() => Object.defineProperty(globalThis, 'crypto', own));
    const [ada, bob] = await members(t, 'plain', server.url, server.url);
    const sent = ada.sendFile(new Blob(['hello']), { room: 'plain' });
    const { code, verified } = await outcome({ done: (await bob.offer()).accept() });
    assert.deepEqual([code, verified, (await outcome(sent)).code], ['complete', false, 'complete']);
  });
});

describe('an end', () => {
  const large = new Blob([crypto.randomBytes(15_000_000)]);

  test('of the sender is told to receivers, in the middle or before', TEST_MS, async (t) => {
    const [ada, bob] = await members(t, 'stop', server.url, server.url);
    const sent = ada.sendFile(large, { room: 'stop' });
    const offer = await bob.offer();
    offer.accept();
    await progress(bob, offer, 1_000_000);
    sent.cancel('the wrong one');
    sent.cancel('again');
    assert.deepEqual(await outcome(sent), { code: 'cancelled', message: 'the wrong one' });
    assert.deepEqual(await outcome(offer), { code: 'aborted', message: 'the wrong one' });
    // It was on its way to the server when it was called off.
    const other = ada.sendFile(large, { room: 'stop' });
    other.cancel();
    assert.equal((await outcome(other)).code, 'cancelled');
    // As many as may be: the former ones are none of them.
    const more = Array.from({ length: 4 }, () => ada.sendFile(large, { room: 'stop' }));
    assert.equal((await outcome(more[3])).code, 'transfer_limit');
    more.slice(0, 3).forEach((file) => file.cancel());
    await sleep(100);
    assert.deepEqual([...types(bob)].filter((type) => type === 'error'), []);
    assert.ok(!ada.told.some((message) => message instanceof Buffer || message instanceof ArrayBuffer));
  });

  test('of who leaves the room and comes back at once is one, and the file can be taken anew', TEST_MS, async (t) => {
    const [ada, bob] = await members(t, 'tea', server.url, server.url);
    const data = crypto.randomBytes(8_000_000);
    const sent = ada.sendFile(data, { room: 'tea' });
    for (let at = 0; at < 4; at += 1) {
      const offer = await bob.offer(at);
      const copy = offer.accept();
      await progress(bob, offer, 300_000);
      bob.leave('tea');
      const joins = bob.join('tea');
      assert.equal((await outcome({ done: copy })).code, 'not_member');
      await joins;
    }
    const { code, blob } = await outcome({ done: (await bob.offer(4)).accept() });
    assert.equal(code, 'complete');
    assert.ok(data.equals(await bytesOf(blob)));
    assert.deepEqual(await outcome(sent), { code: 'complete', completed: 1, failed: 4 });
  });

  test('of a receiver leaves the others alone', TEST_MS, async (t) => {
    const [ada, bob, eve] = await members(t, 'some', ...Array(3).fill(server.url));
    const sent = ada.sendFile(large, { room: 'some' });
    const offers = [await bob.offer(), await eve.offer()];
    offers.forEach((offer) => offer.accept());
    await progress(bob, offers[0], 1_000_000);
    offers[0].cancel('no more');
    assert.deepEqual(await outcome(offers[0]), { code: 'cancelled', message: 'no more' });
    assert.equal((await outcome(offers[1])).blob.size, large.size);
    assert.deepEqual(await outcome(sent), { code: 'complete', completed: 1, failed: 1 });
    // An end is one: nothing begins again.
    assert.equal((await outcome({ done: offers[0].accept() })).code, 'cancelled');
  });

  test('comes with what the server says', TEST_MS, async (t) => {
    const [ada, bob] = await members(t, 'no', server.url, server.url);
    for (const [options, blob, code] of [
      [{ room: 'elsewhere' }, large, 'no_such_room'],
      [{ to: 'client_nobody' }, large, 'target_not_found'],
      [{ room: 'no' }, new Blob([new Uint8Array(20_000_001)]), 'too_large'],
      [{}, large, 'bad_message'],
    ]) {
      const ended = await outcome(ada.sendFile(blob, options));
      assert.equal(ended.code, code);
      assert.equal(typeof ended.message, 'string');
    }
    const sent = ada.sendFile(large, { room: 'no' });
    const offer = await bob.offer();
    const taken = offer.accept();
    await progress(bob, offer, 1);
    await bob.leave('no');
    assert.equal((await outcome({ done: taken })).code, 'not_member');
    await ada.leave('no');
    assert.equal((await outcome(sent)).code, 'not_member');
    // What is over is refused to who accepts it late.
    const late = client(t);
    late.on('file', ({ done, accept }) => (late.taken = { done, accept }));
    await late.join('late');
    await ada.join('late');
    const short = ada.sendFile(large, { room: 'late' });
    await late.offer();
    short.cancel();
    await outcome(short);
    // The room's home has called it off when it answers this: on another thread, the accept could overtake it.
    await ada.leave('late');
    assert.equal((await outcome({ done: late.taken.accept() })).code, 'transfer_unknown');
  });

  test('comes with what cannot be read any more', TEST_MS, async (t) => {
    const [ada, bob] = await members(t, 'gone', server.url, server.url);
    const torn = new Blob([new Uint8Array(1_000_000)]);
    const sent = ada.sendFile(torn, { room: 'gone' });
    const offer = await bob.offer();
    t.mock.method(Blob.prototype, 'slice', () => {
      throw new Error('the file has changed');
    });
    const taken = await outcome({ done: offer.accept() });
    assert.deepEqual(await outcome(sent), { code: 'unreadable', message: 'the file has changed' });
    assert.deepEqual([taken.code, taken.message], ['aborted', 'the file has changed']);
  });

  test('comes when the client is closed', TEST_MS, async (t) => {
    const [ada, bob] = await members(t, 'close', server.url, server.url);
    const sent = ada.sendFile(large, { room: 'close' });
    const offer = await bob.offer();
    offer.accept();
    await progress(bob, offer, 1);
    bob.close();
    ada.close();
    for (const file of [sent, offer, ada.sendFile(large, { room: 'close' })]) {
      assert.deepEqual(await outcome(file), { code: 'closed' });
    }
  });
});

describe('a connection that is cut', () => {
  const data = crypto.randomBytes(12_000_000);

  test("is no end: the sender's, many times", TEST_MS, async (t) => {
    const wire = await wireTo(t, server.port);
    const [ada, bob] = await members(t, 'cut', wire.url, server.url);
    const sent = ada.sendFile(data, { room: 'cut' });
    const offer = await bob.offer();
    const taken = offer.accept();
    for (let n = 1; n <= 5; n += 1) {
      await progress(bob, offer, n * 2_000_000);
      wire.cut();
    }
    const { code, blob } = await outcome({ done: taken });
    assert.equal(code, 'complete');
    assert.ok(data.equals(await bytesOf(blob)));
    assert.deepEqual(await outcome(sent), { code: 'complete', completed: 1, failed: 0 });
    // Its own file is not offered to it, in the room that it came back to.
    assert.deepEqual([ada.offers, bob.offers.length], [[], 1]);
  });

  test("or a receiver's, who goes on where it was", TEST_MS, async (t) => {
    const wire = await wireTo(t, server.port);
    const [ada, bob] = await members(t, 'back', server.url, wire.url);
    const sent = ada.sendFile(data, { room: 'back' });
    const offer = await bob.offer();
    const taken = offer.accept();
    for (let n = 1; n <= 5; n += 1) {
      await progress(bob, offer, n * 2_000_000);
      wire.cut();
    }
    const { code, blob } = await outcome({ done: taken });
    assert.equal(code, 'complete');
    assert.ok(data.equals(await bytesOf(blob)));
    const { completed } = await outcome(sent);
    assert.deepEqual([completed, bob.offers.length], [1, 1]);
  });

  test('is one for what is not there any more', TEST_MS, async (t) => {
    const own = await startServer([], { config: `${CONFIG}[drain]\nreconnect_min_ms = 10\nreconnect_max_ms = 50\n` });
    const [ada, bob] = await members(t, 'lost', own.url, own.url);
    const sent = ada.sendFile(data, { room: 'lost' });
    const offer = await bob.offer();
    const taken = offer.accept();
    await progress(bob, offer, 1);
    await own.stop();
    const second = await startServer([], { config: CONFIG, listen: [`127.0.0.1:${own.port}`] });
    t.after(() => second.stop());
    assert.equal((await outcome(sent)).code, 'transfer_unknown');
    assert.equal((await outcome({ done: taken })).code, 'transfer_lost');
  });
});

describe('over sockets that the test holds', () => {
  const SHA256 = `sha256:${crypto.createHash('sha256').update('hello').digest('hex')}`;
  const chunk = (offset, text) => ({ type: 'file_chunk', transfer: 7, offset, data: Buffer.from(text).toString('base64') });
  const QUIET = { heartbeatInterval: 0, maxReconnectAttempts: 99 };

  /// A client that was offered a file of five bytes, and accepts it.
  async function offered(t, more) {
    const world = await start(t, QUIET);
    const offer = { type: 'file_offered', transfer: 7, from: 'client_bob', name: 'a', size: 5, mimeType: '', maxWindow: 64, ...more };
    world.client.on('file', (file) => (world.file = file));
    world.again = () => world.socket().say(offer);
    await world.socket().welcome();
    await world.again();
    return Object.assign(world, { ended: watch(world.file.accept()) });
  }

  /// Lets the digest of a few bytes come.
  const hashed = (seen) => within(WAIT_MS, (async () => { while (!seen.value) await turn(); })(), () => 'expected an end');

  for (const [what, more, messages] of [
    ['has a hole', {}, [chunk(0, 'he'), chunk(3, 'lo')]],
    ['is too long', {}, [chunk(0, 'hello!')]],
    ['is too short', {}, [chunk(0, 'hell'), { type: 'file_end', transfer: 7, hash: SHA256 }]],
    ['is another', {}, [chunk(0, 'jelly'), { type: 'file_end', transfer: 7, hash: SHA256 }]],
    ['is not what was offered', { hash: 'sha256:00' }, [chunk(0, 'hello'), { type: 'file_end', transfer: 7, hash: SHA256 }]],
  ]) {
    test(`a copy that ${what} is none`, TEST_MS, async (t) => {
      const { socket, ended } = await offered(t, more);
      await socket().say(...messages);
      await hashed(ended);
      assert.equal(ended.value.code, 'transfer_corrupt');
      assert.deepEqual(socket().take().at(-1), { type: 'file_abort', transfer: 7 });
    });
  }

  test('a copy goes on from where it was, and what comes twice counts once', TEST_MS, async (t) => {
    const world = await offered(t);
    const { clock, socket, ended } = world;
    await socket().say(chunk(0, 'he'));
    await socket().end();
    await clock.pass(1_000);
    await socket().welcome('client_again');
    assert.deepEqual(socket().take(), []);
    await world.again();
    assert.deepEqual(socket().take(), [{ type: 'file_credit', transfer: 7, offset: 2, window: 64 }]);
    await socket().say(chunk(0, 'he'), chunk(1, 'ello'), { type: 'file_end', transfer: 7, hash: SHA256 });
    await hashed(ended);
    assert.deepEqual([ended.value.code, await ended.value.blob.text()], ['complete', 'hello']);
    assert.deepEqual(socket().take(), [{ type: 'file_complete', transfer: 7 }]);
    await clock.pass(60_000);
    assert.deepEqual(clock.waits, []);
  });

  test('a copy is over once its room is left: no credit follows, and an offer is a new one', TEST_MS, async (t) => {
    const world = await offered(t, { room: 'tea', size: 60 });
    const { client, socket, ended } = world;
    const credit = (offset) => ({ type: 'file_credit', transfer: 7, offset, window: 64 });
    const text = 'x'.repeat(20);
    client.join('tea');
    await socket().say(chunk(0, text));
    assert.deepEqual(socket().take().filter(({ type }) => type !== 'join'), [credit(0), credit(20)]);
    client.leave('tea').catch(() => {});
    client.join('tea').catch(() => {});
    await socket().say(chunk(20, text), { type: 'file_error', transfer: 7, code: 'not_member', message: '' });
    assert.deepEqual(socket().take().map(({ type }) => type), ['leave', 'join']);
    assert.deepEqual(ended.value, { code: 'not_member' });
    await world.again();
    world.file.accept();
    await turn();
    assert.deepEqual(socket().take(), [credit(0)]);
  });

  test('a copy that is not offered again is lost', TEST_MS, async (t) => {
    const { clock, socket, ended } = await offered(t);
    await socket().end();
    await clock.pass(1_000);
    await socket().welcome('client_again');
    await clock.pass(9_999);
    assert.deepEqual(ended, {});
    await clock.pass(1);
    assert.deepEqual(ended.value, { code: 'transfer_lost' });
  });

  test('who is told to wait asks again, and not once it is cancelled', TEST_MS, async (t) => {
    const { client, clock, socket, heard } = await start(t, QUIET);
    await socket().welcome();
    const sent = client.sendFile(new Uint8Array(5), { room: 'tea' });
    const refuse = () => {
      const [{ id }] = socket().sent.splice(0);
      return socket().say({ type: 'error', id, code: 'rate_limited', message: '', retryAfterMs: 600 });
    };
    await refuse();
    await clock.pass(600);
    assert.deepEqual(socket().sent.map(({ type }) => type), ['file_start']);
    await refuse();
    sent.cancel();
    socket().take();
    await clock.pass(600);
    assert.deepEqual(socket().sent, []);
    assert.deepEqual(heard('error'), []);
  });

  test('a sender sends what it is asked for and no more, and says the end once', TEST_MS, async (t) => {
    const { client, clock, socket } = await start(t, QUIET);
    await socket().welcome();
    const sent = client.sendFile(new Blob(['hello']), { room: 'tea', name: 'a' });
    const accept = async () => {
      const [{ id, transferId }] = socket().sent.splice(0);
      await socket().say({ type: 'file_accepted', id, transferId, transfer: 7, transferSecret: 'secret', offset: 0, chunkBytes: 2 });
    };
    const frames = async (count) => {
      const come = async () => { while (socket().sent.length < count) await turn(); };
      await within(WAIT_MS, come(), () => `expected ${count} frames, got ${JSON.stringify(socket().sent)}`);
      return socket().sent.splice(0).map(({ text, type }) => type ?? Buffer.from(text).toString('hex').replace(/(?<=^62)0{16}/, ''));
    };
    await accept();
    assert.equal(sent.transfer, 7);
    assert.deepEqual(socket().sent, []);
    const at = (offset, length, bytes) => `62${(16 + length).toString(16).padStart(8, '0')}${'7'.padStart(16, '0')}${`${offset}`.padStart(16, '0')}${bytes}`;
    await socket().say({ type: 'file_wanted', transfer: 7, offset: 0, length: 3 });
    assert.deepEqual(await frames(2), [at(0, 2, '6865'), at(2, 1, '6c')]);
    // What was asked for is void with the connection.
    await socket().end();
    await clock.pass(1_000);
    await socket().welcome('client_again');
    assert.equal(socket().sent[0].transferSecret, 'secret');
    await accept();
    assert.deepEqual(socket().sent, []);
    const rest = { type: 'file_wanted', transfer: 7, offset: 3, length: 2 };
    await socket().say(rest);
    assert.deepEqual(await frames(2), [at(3, 2, '6c6f'), 'file_end']);
    // For who came late.
    await socket().say(rest, { type: 'file_progress', transfer: 7, acknowledged: 4, receivers: 1, completed: 1, failed: 0 });
    assert.deepEqual(await frames(1), [at(3, 2, '6c6f')]);
    await turn();
    assert.deepEqual([socket().sent, sent.bytes, sent.completed], [[], 4, 1]);
    // Whether the end has come is not known any more.
    await socket().end();
    await clock.pass(2_000);
    await socket().welcome('client_third');
    await accept();
    assert.deepEqual(await frames(1), ['file_end']);
    await socket().say({ type: 'file_completed', transfer: 7, completed: 2, failed: 0 });
    assert.deepEqual(await outcome(sent), { code: 'complete', completed: 2, failed: 0 });
  });
});
