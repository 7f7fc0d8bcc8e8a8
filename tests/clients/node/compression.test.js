'use strict';
// Compression with npm `ws`: what is agreed on, who gets what, and thousands of messages byte for byte.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const net = require('node:net');
const { after, before, describe, test } = require('node:test');
const WebSocket = require('ws');
const { ANSWER, COUNT, SEED, checkEcho } = require('../web/checks');
const { wireTo } = require('../web/wire');
const { connect, connectMany, open } = require('./client');
const { startServer } = require('./server');

const TEST_MS = { timeout: 30_000 };

let server;
before(async () => {
  server = await startServer(['--rate-limit', 'off', '--echo', '--max-message-bytes', '4194304']);
});
after(() => server.stop());

/// Bytes received by a socket of `ws` so far.
const received = (client) => client.socket._socket.bytesRead;

const words = ['tea', 'cup', 'kettle', 'leaf', 'ünïcödé', '🫖', '"quoted"', '\\'];
/// Text of about so many characters that repeats itself as prose does.
function prose(length) {
  let text = '';
  while (text.length < length) {
    text += `${words[crypto.randomInt(words.length)]} `;
  }
  return text;
}

describe('permessage-deflate', () => {
  // covers A3-02
  test('is agreed on, and can be switched off', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    assert.equal(client.socket.extensions, 'permessage-deflate');
    const own = await startServer(['--compression=false']);
    t.after(() => own.stop());
    const plain = await connect(t, own.url);
    assert.equal(plain.socket.extensions, '');
    const without = await connect(t, server.url, { perMessageDeflate: false });
    assert.equal(without.socket.extensions, '');
  });

  test('every offer of `ws` is answered so that `ws` takes it', TEST_MS, async (t) => {
    for (const perMessageDeflate of [
      true,
      { serverMaxWindowBits: 9 },
      { serverMaxWindowBits: 15, clientMaxWindowBits: 15 },
      { clientMaxWindowBits: 9 },
      { serverNoContextTakeover: true, clientNoContextTakeover: true, serverMaxWindowBits: 12, clientMaxWindowBits: 10 },
    ]) {
      const client = await connect(t, server.url, { perMessageDeflate });
      assert.equal(client.socket.extensions, 'permessage-deflate', JSON.stringify(perMessageDeflate));
      const about = prose(5_000);
      const reply = await client.request({ type: 'set_metadata', metadata: { about: about.slice(0, 3_000) } });
      assert.equal(reply.metadata.about, about.slice(0, 3_000));
    }
  });

  test('what a browser offers gets this answer', TEST_MS, async (t) => {
    const { hostname, port } = new URL(server.url.replace('ws:', 'http:'));
    const socket = net.connect(Number(port), hostname);
    t.after(() => socket.destroy());
    socket.write(
      'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
        'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n',
    );
    let head = '';
    for await (const bytes of socket) {
      head += bytes.toString('latin1');
      if (head.includes('\r\n\r\n')) {
        break;
      }
    }
    assert.ok(head.includes(`\r\nSec-WebSocket-Extensions: ${ANSWER}\r\n`), head);
  });

  test('a long room message takes fewer bytes, and is the same for all', TEST_MS, async (t) => {
    const room = 'compressed';
    const [sender, ...others] = await connectMany(t, server.url, 4);
    const plain = await connect(t, server.url, { perMessageDeflate: false });
    for (const client of [sender, ...others, plain]) {
      await client.join(room);
    }
    for (const client of [sender, ...others, plain]) {
      await client.drain();
    }
    const receivers = [...others, plain];
    const before = receivers.map(received);
    const data = prose(100_000);
    sender.send({ type: 'room_message', room, data });
    for (const client of receivers) {
      assert.equal((await client.until('room_message')).data, data);
    }
    const bytes = receivers.map((client, at) => received(client) - before[at]);
    assert.ok(bytes.at(-1) > 100_000, `${bytes}`);
    for (const count of bytes.slice(0, -1)) {
      assert.ok(count < 50_000, `${bytes}`);
    }
  });

  test('thousands of mixed messages come back byte for byte', { timeout: 120_000 }, async (t) => {
    const { mixed, same } = await import('../web/mixed.mjs');
    const wire = await wireTo(server.port);
    t.after(() => wire.stop());
    const url = `ws://127.0.0.1:${wire.port}/echo`;
    const socket = new WebSocket(url, { perMessageDeflate: { threshold: 0 } });
    t.after(() => socket.terminate());
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const sent = [];
    const back = { extensions: socket.extensions, messages: 0, text: 0, bytes: 0 };
    const all = new Promise((resolve, reject) => {
      socket.on('close', (code, reason) => reject(new Error(`closed: ${code} ${reason}`)));
      socket.on('message', (data, isBinary) => {
        const message = sent.shift();
        if (!message || !same(message, isBinary ? data : data.toString())) {
          reject(new Error(`message ${back.messages} of seed ${SEED} came back otherwise`));
          return;
        }
        back.messages += 1;
        back.text += isBinary ? 0 : 1;
        back.bytes += data.length;
        if (back.messages === COUNT) {
          resolve();
        }
      });
    });
    let number = 0;
    for (const message of mixed(SEED, COUNT)) {
      sent.push(message);
      const binary = typeof message.data !== 'string';
      // Some in fragments, some not compressed.
      const compress = number % 5 !== 0;
      if (number % 7 === 0) {
        const middle = Math.floor(message.bytes.length / 2);
        socket.send(message.bytes.subarray(0, middle), { binary, compress, fin: false });
        socket.ping();
        socket.send(message.bytes.subarray(middle), { binary, compress, fin: true });
      } else {
        socket.send(message.data, { binary, compress });
      }
      if (number % 100 === 0) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      number += 1;
    }
    await all;
    await checkEcho(t, back, wire.passed[0]);
  });

  test('a bomb is refused with 1009', TEST_MS, async (t) => {
    const client = await open(t, server.url);
    client.send(Buffer.alloc(64 << 20));
    const end = await client.closing;
    assert.equal(end.code, 1009, end.reason);
  });
});
