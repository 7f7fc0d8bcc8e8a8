'use strict';
// `roomwire.js` over sockets and a clock that the test holds: when it comes back, what waits, and whether the other end
// lives.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { getEventListeners } = require('node:events');
const { describe, test } = require('node:test');
const { gzipSync } = require('node:zlib');
const { FILE, load, start, turn, watch } = require('./virtual');

const TEST_MS = { timeout: 10_000 };
const MAX_GZIPPED_BYTES = 8_000;
const QUIET = { heartbeatInterval: 0 };
const PROTOCOL = fs.readFileSync(path.join(__dirname, '../../../core/PROTOCOL.md'), 'utf8');

test('the file stays small, and needs nothing', TEST_MS, async () => {
  const text = fs.readFileSync(FILE, 'utf8');
  // As the server sends it: without lines that are only a comment.
  const bytes = gzipSync(text.replace(/^ *\/\/.*\n/gm, ''), { level: 9 }).length;
  assert.ok(bytes <= MAX_GZIPPED_BYTES, `${bytes} bytes`);
  assert.doesNotMatch(text, /^import\b|\bimport\(|\brequire\(/m);
  assert.deepEqual(Object.keys(await load()).sort(), ['WebSocketClient', 'bytesOf']);
});

// covers A4-12
test('an option that can never work is an error at once, one that is not set is the default', TEST_MS, async (t) => {
  const { WebSocketClient } = await load();
  const WebSocket = t.mock.fn();
  for (const options of [{ reconnectInterval: -1 }, { connectTimeout: 0 }, { queueAge: NaN }, { maxReconnectAttempts: 'many' }]) {
    assert.throws(() => new WebSocketClient('ws://server/', { WebSocket, ...options }), RangeError);
  }
  assert.throws(() => new WebSocketClient('ws://server/', { WebSocket: undefined }), TypeError);
  assert.equal(WebSocket.mock.callCount(), 0);
  const { client } = await start(t, { maxReconnectAttempts: undefined });
  // covers A4-01
  const { reconnectInterval, maxReconnectAttempts, heartbeatInterval } = client.options;
  assert.deepEqual([reconnectInterval, maxReconnectAttempts, heartbeatInterval], [1_000, 5, 30_000]);
});

// covers A4-12
test('a URL that is none is an error at once', TEST_MS, async (t) => {
  const { WebSocketClient } = await load();
  const WebSocket = class {
    constructor() {
      throw new SyntaxError('not a URL');
    }
  };
  const setTimeout = t.mock.fn();
  assert.throws(() => new WebSocketClient('nonsense', { WebSocket, setTimeout }), SyntaxError);
  assert.equal(setTimeout.mock.callCount(), 0);
});

describe('coming back', () => {
  // covers A4-02
  test('waits twice as long each time, up to half a minute', TEST_MS, async (t) => {
    const { clock, socket, sockets } = await start(t, { maxReconnectAttempts: Infinity });
    for (const wait of [1, 2, 4, 8, 16, 30, 30, 30].map((s) => s * 1000)) {
      await socket().end();
      assert.deepEqual(clock.waits, [wait]);
      const count = sockets.length;
      await clock.pass(wait - 1);
      assert.equal(sockets.length, count);
      await clock.pass(1);
      assert.equal(sockets.length, count + 1);
    }
  });

  test('at any moment up to that', TEST_MS, async (t) => {
    const chances = [0.5, 0, 0.25];
    const { clock, socket } = await start(t, { random: () => chances.shift(), reconnectInterval: 100 });
    for (const wait of [50, 0, 100]) {
      await socket().end();
      assert.deepEqual(clock.waits, [wait]);
      await clock.pass(wait);
    }
  });

  // covers A4-04
  test('is given up after so many attempts', TEST_MS, async (t) => {
    const { client, clock, sockets, socket, heard } = await start(t, { maxReconnectAttempts: 3 });
    const waiting = watch(client.request({ type: 'ping' }));
    const joining = watch(client.join('tea'));
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await socket().end();
      assert.equal(client.state, 'waiting');
      await clock.pass(1_000 * 2 ** attempt);
    }
    heard();
    await socket().end();
    assert.deepEqual(heard('maxReconnectAttemptsReached', 'dropped', 'state'), [
      ['state', 'closed'],
      ['dropped', { message: { type: 'ping' }, reason: 'closed' }],
      ['maxReconnectAttemptsReached', { type: 'close', code: 1006, reason: '', wasClean: false }],
    ]);
    assert.deepEqual([waiting.code, joining.code], ['closed', 'closed']);
    assert.deepEqual([sockets.length, clock.waits], [4, []]);
  });

  // covers A4-05
  test('attempts count until a connection has lasted', TEST_MS, async (t) => {
    const { clock, socket } = await start(t, { ...QUIET, maxReconnectAttempts: Infinity });
    const wait = async (ms) => {
      await socket().end();
      assert.deepEqual(clock.waits, [ms]);
      await clock.pass(ms);
    };
    await wait(1_000);
    await socket().welcome();
    await clock.pass(4_999);
    await wait(2_000);
    // Who says no welcome is no server of ours, however long it listens.
    await socket().open();
    await clock.pass(60_000);
    await wait(4_000);
    await socket().welcome();
    await clock.pass(5_000);
    await wait(1_000);
  });

  // covers A4-03
  test('or not, as the close code says', TEST_MS, async (t) => {
    const rows = PROTOCOL.split('| code | when | come back |\n')[1].split('\n\n')[0].split('\n').slice(1);
    let seen = 0;
    for (const row of rows) {
      const [, codes, , back] = row.split('|').map((cell) => cell.trim());
      for (const code of codes.match(/\d+/g).map(Number)) {
        const { client, clock, socket } = await start(t, QUIET);
        await socket().welcome();
        await socket().end(code);
        const [state, timers] = { yes: ['waiting', 1], no: ['closed', 0] }[back];
        assert.deepEqual([client.state, clock.waits.length], [state, timers], `${code}`);
        seen += 1;
      }
    }
    assert.ok(seen >= 15, `${seen} codes`);
    // Not in the table: a browser's own.
    const { client, socket } = await start(t, QUIET);
    await socket().end(1010);
    assert.equal(client.state, 'closed');
  });

  test('what the server says beats the code, and its time is the least', TEST_MS, async (t) => {
    const closing = { type: 'closing', code: 1012, reason: 'server is restarting' };
    const { client, clock, socket, sockets } = await start(t, QUIET);
    await socket().welcome();
    await socket().say({ ...closing, reconnectAfterMs: 4_000 });
    await socket().end(1000);
    assert.deepEqual([client.state, clock.waits], ['waiting', [4_000]]);
    await clock.pass(4_000);
    assert.equal(sockets.length, 2);
    await socket().welcome();
    await socket().say(closing);
    await socket().end(1012);
    assert.deepEqual([client.state, clock.waits], ['closed', []]);
  });

  test('an attempt that fails at once is one, too', TEST_MS, async (t) => {
    const { client, clock, socket, heard } = await start(t, { maxReconnectAttempts: 2 });
    await socket().end();
    client.options.WebSocket = class {
      constructor() {
        throw new Error('not allowed any more');
      }
    };
    heard();
    await clock.pass(1_000);
    assert.deepEqual(heard('error', 'close', 'state').map(([name]) => name), ['error', 'close']);
    assert.deepEqual([client.state, clock.waits], ['waiting', [2_000]]);
    await clock.pass(2_000);
    const [, , , last] = heard('error', 'state', 'close', 'maxReconnectAttemptsReached');
    assert.deepEqual([last[0], last[1].reason, client.state], ['maxReconnectAttemptsReached', 'not allowed any more', 'closed']);
  });

  test('whoever hears of an end knows what follows', TEST_MS, async (t) => {
    const { client, socket, clock } = await start(t, QUIET);
    const states = [];
    client.options.maxReconnectAttempts = 1;
    client.on('maxReconnectAttemptsReached', () => states.push('too many'));
    client.on('close', () => states.push(client.state));
    await socket().end();
    await clock.pass(1_000);
    await socket().end(1008);
    assert.deepEqual(states, ['waiting', 'closed']);
  });

  test('a handshake that gets no answer is given up', TEST_MS, async (t) => {
    const { client, clock, sockets, heard } = await start(t, { connectTimeout: 7_000 });
    await clock.pass(7_000);
    assert.equal(client.state, 'waiting');
    assert.equal(sockets[0].closes.length, 1);
    assert.equal(heard('close')[0][1].reason, 'no answer');
    // What the first one still does is nobody's business.
    await clock.pass(1_000);
    await sockets[0].open();
    await sockets[0].end();
    assert.deepEqual([client.state, sockets.length, heard('open', 'close')], ['connecting', 2, []]);
  });

  test('a page that wakes, or is online again, tries at once', TEST_MS, async (t) => {
    const document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
    const page = new EventTarget();
    const put = { document, addEventListener: 1, removeEventListener: 1 };
    for (const name of Object.keys(put)) {
      const value = name === 'document' ? document : page[name].bind(page);
      Object.defineProperty(globalThis, name, { value, configurable: true });
      t.after(() => delete globalThis[name]);
    }
    const { client, clock, socket, sockets } = await start(t, { reconnectInterval: 20_000 });
    const wakes = [() => document.dispatchEvent(new Event('visibilitychange')), () => page.dispatchEvent(new Event('online'))];
    for (const [at, wake] of wakes.entries()) {
      await socket().end();
      document.visibilityState = 'hidden';
      wakes[0]();
      assert.equal(sockets.length, 2 * at + 1);
      document.visibilityState = 'visible';
      wake();
      assert.deepEqual([sockets.length, clock.waits], [2 * at + 2, [15_000]]);
      await socket().end();
      await clock.pass(30_000);
    }
    // The server has said when: not before.
    await socket().welcome();
    await socket().say({ type: 'closing', code: 1012, reason: '', reconnectAfterMs: 500 });
    await socket().end(1012);
    wakes[0]();
    assert.equal(client.state, 'waiting');
    await clock.pass(500);
    wakes[0]();
    assert.equal(client.state, 'connecting');
    // One that seems to be open is asked.
    await socket().welcome();
    wakes[0]();
    wakes[1]();
    assert.deepEqual(socket().take(), [{ type: 'ping' }]);
    client.close();
    wakes[0]();
    wakes[1]();
    assert.equal(client.state, 'closed');
    assert.deepEqual(clock.waits, []);
    assert.deepEqual([getEventListeners(page, 'online'), getEventListeners(document, 'visibilitychange')], [[], []]);
  });
});

describe('close', () => {
  // covers A4-11
  test('is final while a reconnect is pending', TEST_MS, async (t) => {
    const { client, clock, sockets, socket, heard } = await start(t);
    await socket().end();
    assert.equal(client.state, 'waiting');
    client.close();
    client.close();
    await clock.pass(100_000);
    assert.deepEqual([client.state, sockets.length, clock.waits], ['closed', 1, []]);
    assert.deepEqual(heard('state'), [
      ['state', 'waiting'],
      ['state', 'closed'],
    ]);
  });

  for (const [what, arrive] of [
    ['connects', async () => {}],
    ['is open', (socket) => socket.welcome()],
    ['is asked for a sign of life', async (socket, clock) => {
      await socket.welcome();
      await clock.pass(30_000);
    }],
  ]) {
    test(`leaves nothing behind when it ${what}`, TEST_MS, async (t) => {
      const { client, clock, sockets, socket, heard } = await start(t);
      await arrive(socket(), clock);
      const asked = watch(client.request({ type: 'hello' }));
      heard();
      client.close();
      client.close();
      assert.deepEqual(socket().closes, [{ code: 1000, reason: 'Client closing connection' }]);
      await socket().end(1000);
      await clock.pass(100_000);
      assert.deepEqual([client.state, sockets.length, clock.waits, asked.code], ['closed', 1, [], 'closed']);
      assert.deepEqual(heard('close', 'open').map(([, { code }]) => code), [1000]);
    });
  }

  for (const event of ['state', 'open', 'close', 'message']) {
    test(`may be called by whoever hears of ${event}`, TEST_MS, async (t) => {
      const { client, clock, sockets, socket, heard } = await start(t);
      client.on(event, () => client.close());
      await socket().open();
      await socket().say({ type: 'welcome', clientId: 'client_me' });
      await socket().end();
      await clock.pass(100_000);
      assert.deepEqual([client.state, sockets.length, clock.waits], ['closed', 1, []]);
      assert.equal(heard('open').length, event === 'state' ? 0 : 1);
    });
  }

  test('nothing is sent afterwards, and that is told', TEST_MS, async (t) => {
    const { client, heard } = await start(t);
    client.close();
    heard();
    assert.equal(client.send('late'), 'dropped');
    const asked = [client.request({ type: 'hello' }), client.join('tea'), client.leave('tea'), client.say('tea', 1)].map(watch);
    await turn();
    assert.deepEqual(asked.map(({ code }) => code), Array(4).fill('closed'));
    assert.deepEqual(heard('dropped').map(([, { message, reason }]) => [message.type ?? message, reason]), [
      ['late', 'closed'],
      ['hello', 'closed'],
      ['leave', 'closed'],
      ['room_message', 'closed'],
    ]);
  });
});

describe('what waits', () => {
  test('goes out in order, behind the rooms', TEST_MS, async (t) => {
    const { client, socket } = await start(t, QUIET);
    assert.equal(client.send({ type: 'hello', n: 1 }), 'queued');
    const joined = watch(client.join('tea'));
    const said = watch(client.say('tea', 'hi'));
    client.send('plain');
    assert.deepEqual(socket().sent, []);
    await socket().open();
    client.send({ type: 'hello', n: 2 });
    assert.deepEqual(socket().sent.map(({ type }) => type), ['join']);
    const [{ id }] = socket().sent;
    await socket().say({ type: 'joined_room', id, room: 'tea', members: [], total: 1 });
    assert.equal(joined.value.total, 1);
    const [, hello, saying, plain, second] = socket().sent;
    assert.deepEqual([hello, plain, second], [{ type: 'hello', n: 1 }, { text: 'plain' }, { type: 'hello', n: 2 }]);
    assert.equal(client.send({ type: 'hello', n: 3 }), 'sent');
    await socket().say({ type: 'ack', id: saying.id });
    assert.equal(said.value.type, 'ack');
  });

  test('is bounded by count and bytes', TEST_MS, async (t) => {
    const { client, socket, heard } = await start(t, { queueMessages: 3, queueBytes: 20 });
    client.send('é'.repeat(5));
    client.send('x'.repeat(10));
    assert.equal(client.send('y'), 'dropped');
    assert.deepEqual(heard('dropped'), [['dropped', { message: 'y', reason: 'queue_full' }]]);
    await socket().open();
    await socket().end();
    heard();
    client.send('x'.repeat(20));
    assert.deepEqual(heard('dropped'), []);
    const few = await start(t, { queueMessages: 3 });
    for (const n of [1, 2, 3]) {
      few.client.send({ n });
    }
    const asked = watch(few.client.request({ type: 'hello' }));
    await turn();
    assert.equal(asked.code, 'queue_full');
    assert.deepEqual(few.heard('dropped'), [['dropped', { message: { type: 'hello' }, reason: 'queue_full' }]]);
  });

  test('and by age, also where a timer was asleep', TEST_MS, async (t) => {
    const { client, clock, socket, heard } = await start(t, { ...QUIET, connectTimeout: 1e9 });
    client.send({ n: 1 });
    const joining = watch(client.join('tea'));
    await clock.pass(30_000);
    client.send({ n: 2 });
    await clock.pass(29_999);
    assert.deepEqual(heard('dropped'), []);
    await clock.pass(1);
    assert.deepEqual(heard('dropped'), [['dropped', { message: { n: 1 }, reason: 'too_old' }]]);
    assert.equal(joining.code, 'too_old');
    client.leave('tea');
    clock.time += 30_000;
    await socket().open();
    assert.deepEqual(heard('dropped'), [['dropped', { message: { n: 2 }, reason: 'too_old' }]]);
    assert.deepEqual([socket().sent, clock.waits], [[], []]);
  });

  test('keeps its order, whoever sends meanwhile', TEST_MS, async (t) => {
    const { client, clock, socket } = await start(t, { ...QUIET, connectTimeout: 1e9 });
    client.on('dropped', () => client.send({ n: 3 }));
    client.send({ n: 1 });
    await clock.pass(30_000);
    client.send({ n: 2 });
    clock.time += 40_000;
    await socket().open();
    client.send({ n: 4 });
    assert.deepEqual(socket().sent, [{ n: 2 }, { n: 3 }, { n: 4 }]);
  });

  test('stays where the connection breaks, or is closed, while it goes out', TEST_MS, async (t) => {
    const { client, clock, socket, heard } = await start(t, { ...QUIET, connectTimeout: 1e9 });
    for (const act of [() => (socket().readyState = 2), () => client.close()]) {
      const once = () => {
        client.off('dropped', once);
        act();
      };
      client.send({ n: 1 });
      await clock.pass(30_000);
      client.send({ n: 2 });
      clock.time += 40_000;
      client.on('dropped', once);
      await socket().open();
      assert.deepEqual(socket().sent, []);
      assert.equal(client.send({ n: 3 }), client.state === 'closed' ? 'dropped' : 'queued');
      await socket().end();
      await clock.pass(1_000);
      if (client.state !== 'closed') {
        await socket().open();
        assert.deepEqual(socket().sent, [{ n: 2 }, { n: 3 }]);
        await socket().end();
        await clock.pass(2_000);
      }
      heard();
    }
    assert.equal(client.state, 'closed');
  });

  test('is not what a closing socket would swallow', TEST_MS, async (t) => {
    const { client, socket, clock } = await start(t, QUIET);
    await socket().welcome();
    socket().readyState = 2;
    client.send({ n: 1 });
    assert.deepEqual(socket().sent, []);
    await socket().end();
    await clock.pass(1_000);
    await socket().welcome();
    assert.deepEqual(socket().sent, [{ n: 1 }]);
  });
});

describe('signs of life', () => {
  /// A client that has just pinged: the ping's id.
  async function pinged(t, options) {
    const world = await start(t, options);
    await world.socket().welcome();
    await world.clock.pass(30_000);
    const [ping, ...others] = world.socket().sent.splice(0);
    assert.deepEqual([ping.type, others], ['ping', []]);
    world.heard();
    return { ...world, ping: ping.id };
  }

  test('a server that answers is asked again and again, and nobody is told', TEST_MS, async (t) => {
    const { clock, socket, heard, ping } = await pinged(t);
    let id = ping;
    for (let round = 0; round < 5; round += 1) {
      await clock.pass(14_999);
      await socket().say({ type: 'pong', id });
      await clock.pass(30_000);
      const [next] = socket().sent.splice(0);
      assert.notEqual(next.id, id);
      id = next.id;
    }
    assert.deepEqual(heard('message', 'close', 'state'), []);
  });

  // covers A4-08, A4-13
  test('no answer on a socket that stays open: it is given up at once', TEST_MS, async (t) => {
    const { client, clock, socket, sockets, heard } = await pinged(t);
    const asked = watch(client.request({ type: 'hello' }));
    await clock.pass(14_999);
    assert.equal(client.state, 'open');
    await clock.pass(1);
    assert.deepEqual([client.state, asked.code], ['waiting', 'connection_lost']);
    assert.equal(heard('close')[0][1].reason, 'no pong');
    await clock.pass(1_000);
    await socket().welcome();
    // The end of the first comes when it comes, and means nothing.
    await sockets[0].end();
    await clock.pass(10_000);
    assert.deepEqual([client.state, sockets.length, heard('close')], ['open', 2, []]);
  });

  test('a pong that is late for another ping is no answer', TEST_MS, async (t) => {
    const { client, clock, socket, ping } = await pinged(t);
    await socket().say({ type: 'pong', id: ping });
    await clock.pass(30_000);
    await socket().say({ type: 'pong', id: ping });
    await clock.pass(15_000);
    assert.equal(client.state, 'waiting');
  });

  test('a pong behind other messages is waited for', TEST_MS, async (t) => {
    const { client, clock, socket } = await pinged(t);
    await clock.pass(10_000);
    await socket().say({ type: 'broadcast', data: 1 });
    await clock.pass(5_000);
    assert.deepEqual([client.state, socket().take()], ['open', [{ type: 'ping' }]]);
    await clock.pass(15_000);
    assert.equal(client.state, 'waiting');
  });

  test('no timer outlives its connection', TEST_MS, async (t) => {
    const { client, clock, socket, sockets } = await pinged(t);
    await socket().end();
    assert.deepEqual(clock.waits, [1_000]);
    await clock.pass(1_000);
    await socket().welcome();
    await clock.pass(29_999);
    assert.deepEqual([socket().sent, sockets.length, client.state], [[], 2, 'open']);
  });

  test('a timer that slept asks again first', TEST_MS, async (t) => {
    const { client, clock, socket } = await pinged(t);
    await clock.sleep(3_600_000);
    assert.equal(client.state, 'open');
    const [{ id }] = socket().sent.splice(0);
    await clock.pass(14_000);
    await socket().say({ type: 'pong', id });
    await clock.pass(10_000);
    assert.equal(client.state, 'open');
    // And once only.
    await clock.pass(20_000);
    socket().sent.splice(0);
    await clock.sleep(3_600_000);
    assert.deepEqual([client.state, socket().take()], ['open', [{ type: 'ping' }]]);
    await clock.sleep(3_600_000);
    assert.equal(client.state, 'waiting');
  });

  test('can be switched off, and what is sent back is an answer, too', TEST_MS, async (t) => {
    const off = await start(t, QUIET);
    await off.socket().open();
    assert.deepEqual(off.clock.waits, []);
    const { clock, socket, heard, ping } = await pinged(t);
    await socket().say({ type: 'ping', id: ping });
    await clock.pass(29_000);
    assert.deepEqual(heard('message', 'close'), []);
  });
});
