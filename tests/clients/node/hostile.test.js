'use strict';
// Peers that break rules, over plain TCP. After each of them the server must still serve the next.

const assert = require('node:assert/strict');
const { after, afterEach, before, describe, test } = require('node:test');
const { connect } = require('./client');
const { closePayload, dial, dialWebSocket, frame, OPCODE, textFrame, upgradeRequest } = require('./raw');
const { sleep, startServer } = require('./server');

const TEST_MS = { timeout: 30_000 };

let server;
before(async () => {
  const config = '[timeouts]\nhandshake_ms = 700\nlinger_ms = 1000\n';
  server = await startServer(['--rate-limit', 'off'], { config });
});
after(() => server.stop());
afterEach(async () => {
  assert.equal((await server.health()).status, 'healthy');
});

/// A well-behaved client in `room`, to see what others do to it.
async function watch(t, room) {
  const watcher = await connect(t, server.url);
  await watcher.join(room);
  return watcher;
}

describe('frames', () => {
  const { continuation, text, binary, close, ping } = OPCODE;
  const broken = {
    'an unmasked frame': [1002, frame(text, '{"type":"ping"}', { masked: false })],
    'an unmasked ping': [1002, frame(ping, 'x', { masked: false })],
    'reserved bits': [1002, frame(text, '{}', { rsv: 1 })],
    'a reserved opcode': [1002, frame(3, 'x')],
    'a reserved control opcode': [1002, frame(11, 'x')],
    'a ping in fragments': [1002, frame(ping, 'x', { fin: false })],
    'a ping of 126 bytes': [1002, frame(ping, 'x'.repeat(126))],
    'a continuation of nothing': [1002, frame(continuation, 'x')],
    'a message within a message': [1002, frame(text, '{', { fin: false }), frame(text, '}')],
    'a close with one byte': [1002, frame(close, 'x')],
    'a close with a code that is never sent': [1002, frame(close, closePayload(1005))],
    'a close with a code out of range': [1002, frame(close, closePayload(999))],
    'text that is not UTF-8': [1007, frame(text, Buffer.from([0x22, 0xc3, 0x28, 0x22]))],
    'half a character at the end': [1007, frame(text, Buffer.from([0x22, 0xe6, 0xbc]))],
    'a surrogate in UTF-8': [1007, frame(text, Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]))],
    'a close reason that is not UTF-8': [1007, frame(close, closePayload(1000, Buffer.from([0xff])))],
    'a frame over the limit': [1009, frame(binary, '', { length: 1_048_577 })],
    'fragments over the limit': [
      1009,
      frame(text, Buffer.alloc(700_000, 0x20), { fin: false }),
      frame(continuation, Buffer.alloc(700_000, 0x20)),
    ],
  };
  for (const [what, [code, ...frames]] of Object.entries(broken)) {
    test(`${what}: close ${code}`, TEST_MS, async (t) => {
      const client = await dialWebSocket(t, server.port);
      client.write(Buffer.concat(frames));
      assert.equal(await client.closeCode(), code);
      await client.end();
    });
  }

  // covers A3-16
  test('a length of 2^63: close 1002 or 1009, and no memory for it', TEST_MS, async (t) => {
    for (const length of [2n ** 63n, 2n ** 64n - 1n, 2n ** 63n - 1n]) {
      const client = await dialWebSocket(t, server.port);
      client.write(frame(text, '', { length }));
      const code = await client.closeCode();
      assert.ok([1002, 1009].includes(code), `expected 1002 or 1009, got ${code}`);
      await client.end();
    }
  });

  test('bad UTF-8 is noticed at its first byte, before the message ends', TEST_MS, async (t) => {
    const client = await dialWebSocket(t, server.port);
    client.write(frame(text, Buffer.from([0x22, 0xff]), { fin: false }));
    assert.equal(await client.closeCode(), 1007);
  });

  test('65,536 fragments are one message', TEST_MS, async (t) => {
    const client = await dialWebSocket(t, server.port);
    const message = Buffer.from('{"type":"ping","timestamp":"é"}');
    const first = frame(text, message.subarray(0, 1), { fin: false });
    const bytes = Array.from(message.subarray(1, -1), (byte) => frame(continuation, [byte], { fin: false }));
    const empty = Array(65_536 - 2 - bytes.length).fill(frame(continuation, '', { fin: false }));
    const last = frame(continuation, message.subarray(-1));
    client.write(Buffer.concat([first, ...bytes, ...empty, last]));
    assert.equal((await client.message()).clientTimestamp, 'é');
  });

  test('a ping between fragments is answered at once', TEST_MS, async (t) => {
    const client = await dialWebSocket(t, server.port);
    client.write(frame(text, '{"type":', { fin: false }));
    client.write(frame(ping, 'are you there'));
    const pong = await client.frame();
    assert.deepEqual([pong.opcode, pong.payload.toString()], [OPCODE.pong, 'are you there']);
    client.write(frame(continuation, '"ping"}'));
    assert.equal((await client.message()).type, 'pong');
  });

  test('one byte at a time is as good as at once', TEST_MS, async (t) => {
    const client = await dialWebSocket(t, server.port);
    for (const byte of textFrame({ type: 'ping', timestamp: 1 })) {
      client.write(Buffer.from([byte]));
      await sleep(1);
    }
    assert.equal((await client.message()).clientTimestamp, 1);
  });

  // covers A2-05
  test('a reset within a frame is told as disconnected', TEST_MS, async (t) => {
    const watcher = await watch(t, 'reset');
    const client = await dialWebSocket(t, server.port);
    client.write(textFrame({ type: 'join', room: 'reset' }));
    await watcher.until('member_joined');
    client.write(frame(text, 'the beginning', { length: 1_000 }));
    await sleep(50);
    client.reset();
    const { clientId, reason } = await watcher.until('member_left');
    assert.deepEqual({ clientId, reason }, { clientId: client.id, reason: 'disconnected' });
  });
});

describe('handshakes', () => {
  test('one byte at a time', TEST_MS, async (t) => {
    const client = await dial(t, server.port);
    for (const byte of Buffer.from(upgradeRequest())) {
      client.write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    assert.equal((await client.answer({ body: false })).status, 101);
    assert.equal((await client.message()).type, 'welcome');
  });

  // covers A3-16
  test('that never end are ended', TEST_MS, async (t) => {
    for (const beginning of ['', 'GET / HTTP/1.1\r\nHost: a\r\n']) {
      const client = await dial(t, server.port);
      const began = Date.now();
      client.write(beginning);
      await client.end(5_000);
      const took = Date.now() - began;
      assert.ok(took >= 500, `expected 700 ms, got ${took} ms`);
    }
  });

  // covers A3-16
  test('that drip are ended too', TEST_MS, async (t) => {
    const client = await dial(t, server.port);
    const drip = setInterval(() => client.write('X'), 50);
    t.after(() => clearInterval(drip));
    client.write('GET / HTTP/1.1\r\nX-Slow: ');
    await client.end(5_000);
  });

  test('with a head that is too large get 431', TEST_MS, async (t) => {
    const client = await dial(t, server.port);
    client.write(`GET / HTTP/1.1\r\nHost: a\r\nX-Large: ${'x'.repeat(20_000)}\r\n\r\n`);
    assert.equal((await client.answer()).status, 431);
    await client.end();
    const endless = await dial(t, server.port);
    endless.write(`GET /${'x'.repeat(40_000)}`);
    const { status } = await endless.answer();
    assert.ok([414, 431].includes(status), `expected 414 or 431, got ${status}`);
    await endless.end();
  });

  test('five hundred connections that say nothing keep nobody out', TEST_MS, async (t) => {
    const silent = await Promise.all(Array.from({ length: 500 }, () => dial(t, server.port)));
    await (await connect(t, server.url)).drain();
    await Promise.all(silent.map((client) => client.end(10_000)));
  });
});

describe('floods', () => {
  // covers A1-01
  test('of pings are closed with 1008 while others are served', TEST_MS, async (t) => {
    const own = await startServer();
    t.after(() => own.stop());
    const other = await connect(t, own.url);
    const client = await dialWebSocket(t, own.port);
    client.write(Buffer.concat(Array(5_000).fill(frame(OPCODE.ping, 'x'))));
    const began = Date.now();
    await other.drain();
    assert.ok(Date.now() - began < 2_000, `expected a pong at once, got it after ${Date.now() - began} ms`);
    assert.equal(await client.closeCode(), 1008);
  });

  // covers A1-02
  test('of joins stop at 256 rooms', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    for (let at = 0; at < 10_000; at += 1) {
      client.send({ type: 'join', room: `flood-${at}` });
    }
    const outcomes = { joined_room: 0, too_many_rooms: 0 };
    for (let at = 0; at < 10_000; at += 1) {
      const { type, code } = await client.next();
      outcomes[code ?? type] += 1;
    }
    assert.deepEqual(outcomes, { joined_room: 256, too_many_rooms: 9_744 });
    await server.healthUntil(({ rooms }) => rooms === 256);
    client.socket.close();
    await server.healthUntil(({ rooms }) => rooms === 0);
  });

  // covers A3-12
  test('a client that never reads is closed and counted out, the others get everything', TEST_MS, async (t) => {
    const watcher = await watch(t, 'slow');
    const sender = await watch(t, 'slow');
    const slow = await dialWebSocket(t, server.port);
    slow.write(textFrame({ type: 'join', room: 'slow' }));
    await watcher.until('member_joined');
    await watcher.drain();
    await server.healthUntil(({ clients }) => clients === 3);
    slow.socket.pause();

    const data = 'x'.repeat(64 * 1024);
    const gone = ({ type, clientId }) => type === 'member_left' && clientId === slow.id;
    let sent = 0;
    let left;
    for (; sent < 1_000 && !left; sent += 1) {
      const { type } = await sender.request({ type: 'room_message', room: 'slow', data });
      assert.equal(type, 'ack');
      left = sender.inbox.find(gone);
    }
    left ??= await sender.take(gone, 'member_left', 10_000);
    assert.equal(left.reason, 'disconnected');
    await server.healthUntil(({ clients }) => clients === 2);
    assert.ok(sent * data.length > 4 * 1024 * 1024, `closed after ${sent} messages, before its queue was full`);

    const got = (await watcher.drain()).filter(({ type }) => type === 'room_message');
    assert.equal(got.length, sent);
    slow.socket.resume();
    await slow.end(10_000);
  });
});
