'use strict';
// Files, as npm `ws` sends and takes them: piece by piece in JSON to receivers of both dialects, and the guide's
// `sendFile` with a room added.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { after, before, test } = require('node:test');
const WebSocket = require('ws');
const { startServer, within } = require('./server');

const TEST_MS = { timeout: 20_000 };
const WAIT_MS = 5_000;

let server;
before(async () => {
  server = await startServer(['--rate-limit', 'off']);
});
after(() => server.stop());

const sha256 = (bytes) => `sha256:${crypto.createHash('sha256').update(bytes).digest('hex')}`;

/// A client that keeps what it hears: JSON, or file frames as the JSON that says the same.
class Client {
  constructor(url, protocol) {
    this.inbox = [];
    this.wake = () => {};
    this.ws = new WebSocket(url, protocol);
    this.ws.on('message', (bytes, isBinary) => {
      this.inbox.push(isBinary ? understand(bytes) : JSON.parse(bytes));
      this.wake();
    });
  }

  async next(...types) {
    const find = async () => {
      for (;;) {
        const at = this.inbox.findIndex((message) => types.includes(message.type));
        if (at >= 0) return this.inbox.splice(0, at + 1)[at];
        await new Promise((resolve) => (this.wake = resolve));
      }
    };
    return within(WAIT_MS, find(), () => `no ${types}, but ${JSON.stringify(this.inbox)}`);
  }

  say(message) {
    this.ws.send(JSON.stringify(message));
  }
}

/// What a frame about a file says.
function understand(bytes) {
  const at = 13;
  const transfer = () => Number(bytes.readBigUInt64BE(at));
  const offset = () => Number(bytes.readBigUInt64BE(at + 8));
  switch (bytes[0]) {
    case 0x01:
      return { type: 'welcome' };
    case 0x62:
      return { type: 'file_chunk', transfer: transfer(), offset: offset(), bytes: bytes.subarray(at + 16) };
    case 0x63:
      return { type: 'file_end', transfer: transfer(), hash: `sha256:${bytes.subarray(at + 16).toString('hex')}` };
    case 0x67:
      return { type: 'file_offered', transfer: transfer() };
    default:
      return { type: `frame ${bytes[0]}` };
  }
}

async function member(protocol, room) {
  const client = new Client(server.url, protocol);
  await client.next('welcome');
  client.say({ type: 'join', room, id: 1 });
  await client.next('joined_room');
  return client;
}

/// Takes the file that it is offered.
async function receive(client, window) {
  const { transfer } = await client.next('file_offered');
  const pieces = [];
  let length = 0;
  client.say({ type: 'file_credit', transfer, offset: 0, window });
  for (;;) {
    const heard = await client.next('file_chunk', 'file_end');
    if (heard.type === 'file_end') {
      const file = Buffer.concat(pieces);
      assert.equal(sha256(file), heard.hash);
      client.say({ type: 'file_complete', transfer });
      return file;
    }
    assert.equal(heard.offset, length);
    const piece = heard.bytes ?? Buffer.from(heard.data, 'base64');
    pieces.push(piece);
    length += piece.length;
    client.say({ type: 'file_credit', transfer, offset: length, window });
  }
}

test('a file reaches receivers of both dialects', TEST_MS, async () => {
  const sender = await member('roomwire.json.v1', 'tea');
  const others = [await member('roomwire.json.v1', 'tea'), await member('roomwire.binary.v1', 'tea')];
  const file = crypto.randomBytes(1_000_003);
  const copies = others.map((client) => receive(client, 200_000));
  sender.say({
    type: 'file_start',
    transferId: 'f1',
    room: 'tea',
    name: 'a.bin',
    size: file.length,
    mimeType: 'application/octet-stream',
    id: 2,
  });
  const { transfer, chunkBytes } = await sender.next('file_accepted');
  let sent = 0;
  while (sent < file.length) {
    const { offset, length } = await sender.next('file_wanted');
    for (let at = offset; at < offset + length; at += chunkBytes) {
      const data = file.subarray(at, Math.min(at + chunkBytes, offset + length)).toString('base64');
      sender.say({ type: 'file_chunk', transfer, offset: at, data, encoding: 'base64' });
    }
    sent = Math.max(sent, offset + length);
  }
  sender.say({ type: 'file_end', transferId: 'f1', size: file.length, hash: sha256(file) });
  for (const copy of copies) assert.ok(file.equals(await copy));
  const { completed, failed } = await sender.next('file_completed');
  assert.deepEqual([completed, failed], [2, 0]);
  for (const client of [sender, ...others]) client.ws.terminate();
});

test("the guide's sendFile, with a room", TEST_MS, async () => {
  const sender = await member('roomwire.json.v1', 'milk');
  const other = await member('roomwire.binary.v1', 'milk');
  const copy = receive(other, 100_000);
  const file = { name: 'photo.png', size: 300_000, type: 'image/png', bytes: crypto.randomBytes(300_000) };
  const { ws } = sender;
  // As in the guide, where a FileReader hands the bytes over.
  ws.send(
    JSON.stringify({ type: 'file_start', room: 'milk', name: file.name, size: file.size, mimeType: file.type }),
  );
  ws.send(file.bytes);
  ws.send(JSON.stringify({ type: 'file_end', name: file.name }));
  assert.ok(file.bytes.equals(await copy));
  assert.equal((await sender.next('file_completed')).completed, 1);
  for (const client of [sender, other]) client.ws.terminate();
});
