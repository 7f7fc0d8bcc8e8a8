'use strict';
// Binary frames, as npm `ws` and the guide's own client see them, beside JSON clients in the same rooms.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const WebSocket = require('ws');
const { connect } = require('./client');
const { startServer, within } = require('./server');

const TEST_MS = { timeout: 20_000 };
const WAIT_MS = 5_000;

const WELCOME = 0x01;
const PING = 0x03;
const PONG = 0x04;
const ACK = 0x05;
const ERROR = 0x06;
const BATCH = 0x08;
const JOIN = 0x20;
const JOINED_ROOM = 0x21;
const MEMBER_JOINED = 0x24;
const ROOM_MESSAGE = 0x40;
const PRIVATE_MESSAGE = 0x50;

let server;
before(async () => {
  server = await startServer(['--rate-limit', 'off']);
});
after(() => server.stop());

const u8 = (value) => Buffer.from([value]);
const u32 = (value) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value]);
const text = (value) => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length]), bytes]);
};

function frame(type, ...parts) {
  const payload = Buffer.concat(parts);
  const header = Buffer.alloc(13);
  header.writeUInt8(type, 0);
  header.writeBigUInt64BE(BigInt(Date.now()), 1);
  header.writeUInt32BE(payload.length, 9);
  return Buffer.concat([header, payload]);
}

/// The guide's client, its method for what comes being copied to the letter; what it logs is what it has read.
class BinaryWebSocketClient {
  constructor(url, protocols) {
    this.inbox = [];
    this.wake = () => {};
    const console = {
      log: (_, message) => {
        this.inbox.push(message);
        this.wake();
      },
    };
    this.ws = new WebSocket(url, protocols);
    this.ws.binaryType = 'arraybuffer';
    this.ws.onmessage = (event) => {
      if (event.data instanceof ArrayBuffer) {
        handleBinaryMessage.call(this, event.data, console);
      } else {
        this.inbox.push({ text: event.data });
        this.wake();
      }
    };
  }

  async next(type) {
    await within(
      WAIT_MS,
      new Promise((resolve) => {
        this.wake = () => this.inbox.length > 0 && resolve();
        this.wake();
      }),
      () => `expected a frame of type ${type}`,
    );
    const message = this.inbox.shift();
    assert.equal(message.type, type, `${JSON.stringify(message)}`);
    assert.ok(Math.abs(Number(message.timestamp) - Date.now()) < 60_000, message.timestamp);
    return Buffer.from(message.payload);
  }

  send(...frameParts) {
    this.ws.send(frame(...frameParts));
  }

  /// Closes in order.
  async close() {
    const closed = new Promise((resolve) => this.ws.once('close', resolve));
    this.ws.close(1000);
    assert.equal(await within(WAIT_MS, closed, () => 'expected the end'), 1000);
  }
}

function handleBinaryMessage(buffer, console) {
  // Example: Parse a custom binary protocol
  const view = new DataView(buffer);

  // Read message type (1 byte)
  const messageType = view.getUint8(0);

  // Read timestamp (8 bytes)
  const timestamp = view.getBigUint64(1);

  // Read payload length (4 bytes)
  const payloadLength = view.getUint32(9);

  // Read payload
  const payload = new Uint8Array(buffer, 13, payloadLength);

  console.log('Binary message:', {
    type: messageType,
    timestamp: timestamp.toString(),
    payload: payload,
  });
}

async function binaryClient(t, path = '/?dialect=binary', protocols = []) {
  const client = new BinaryWebSocketClient(server.url.replace(/\/$/, '') + path, protocols);
  t.after(() => client.ws.terminate());
  const welcome = await client.next(WELCOME);
  client.idBytes = welcome.subarray(0, 18);
  client.id = `client_${client.idBytes.toString('base64url')}`;
  return client;
}

// covers A5-01, A5-06, A5-10, A0-12
test("the guide's client reads every frame and JSON clients see the same room", TEST_MS, async (t) => {
  const json = await connect(t, server.url);
  const ada = await binaryClient(t);
  const bob = await binaryClient(t, '/', ['roomwire.binary.v1']);
  assert.equal(bob.ws.protocol, 'roomwire.binary.v1');
  await json.request({ type: 'join', room: 'tea' });
  for (const client of [ada, bob]) {
    client.send(JOIN, u32(1), text('tea'));
    const joined = await client.next(JOINED_ROOM);
    assert.deepEqual(joined.subarray(0, 9), Buffer.concat([u32(1), text('tea')]));
  }
  await ada.next(MEMBER_JOINED);
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  ada.send(ROOM_MESSAGE, u32(2), u8(0), text('tea'), bytes);
  assert.deepEqual(await ada.next(ACK), u32(2));
  assert.deepEqual(await bob.next(ROOM_MESSAGE), Buffer.concat([u8(0), ada.idBytes, text('tea'), bytes]));
  const said = await json.until('room_message');
  assert.equal(said.from, ada.id);
  assert.equal(said.encoding, 'base64');
  assert.deepEqual(Buffer.from(said.data, 'base64'), bytes);
  json.send('{"type":"room_message","room":"tea","data":{"n": 1.50}}');
  for (const client of [ada, bob]) {
    const got = await client.next(ROOM_MESSAGE);
    assert.equal(got[0], 1);
    assert.equal(got.subarray(19 + 5).toString(), '{"n": 1.50}');
  }
  // Directly, both ways.
  bob.send(PRIVATE_MESSAGE, u32(3), u8(0), ada.idBytes, Buffer.from('psst'));
  assert.deepEqual(await bob.next(ACK), u32(3));
  assert.deepEqual(await ada.next(PRIVATE_MESSAGE), Buffer.concat([u8(0), bob.idBytes, Buffer.from('psst')]));
  await json.request({ type: 'private_message', to: ada.id, data: 'psst' });
  const got = await ada.next(PRIVATE_MESSAGE);
  assert.equal(got.subarray(19).toString(), '"psst"');
  for (const client of [ada, bob]) {
    await client.close();
  }
});

// covers A5-09, A0-12
test('text and binary are understood on every connection and answered in kind', TEST_MS, async (t) => {
  const json = await connect(t, server.url);
  json.send(frame(PING, u32(9)));
  const pong = await json.take((message) => message.binary, 'a binary pong');
  assert.equal(pong.binary[0], PONG);
  assert.deepEqual(pong.binary.subarray(13, 17), u32(9));
  const ada = await binaryClient(t);
  ada.ws.send('{"type":"ping","id":1}');
  await within(WAIT_MS, new Promise((resolve) => (ada.wake = resolve)), () => 'expected a pong');
  assert.equal(JSON.parse(ada.inbox.shift().text).type, 'pong');
  // JSON in a binary message is a mistake that its sender can read about.
  json.send(Buffer.from('{"type":"ping"}'));
  const error = await json.until('error');
  assert.equal(error.code, 'bad_message');
  assert.match(error.message, /send JSON as text/);
});

// covers A5-02, A5-03, A5-04, A5-05
test('frames that are none, or unknown, are refused and the connection lives', TEST_MS, async (t) => {
  const ada = await binaryClient(t);
  const ping = frame(PING, u32(1));
  const lying = Buffer.from(ping);
  lying.writeUInt32BE(0xffffffff, 9);
  for (const bad of [ping.subarray(0, 5), lying, Buffer.concat([ping, u8(0)]), Buffer.alloc(0)]) {
    ada.ws.send(bad);
    const error = await ada.next(ERROR);
    assert.equal(error.subarray(10, 21).toString(), 'bad_message');
  }
  ada.send(0x7f, u32(4));
  const error = await ada.next(ERROR);
  assert.equal(error.subarray(10, 22).toString(), 'unknown_type');
  ada.ws.send(ping);
  await ada.next(PONG);
});

// covers A7-03
test('frames in a batch are carried out in order', TEST_MS, async (t) => {
  const ada = await binaryClient(t);
  const inner = [frame(JOIN, u32(1), text('oolong')), frame(PING, u32(2)), frame(JOIN, u32(3), text(''))];
  ada.send(BATCH, u32(4), ...inner);
  await ada.next(JOINED_ROOM);
  await ada.next(PONG);
  await ada.next(ERROR);
  assert.deepEqual(await ada.next(ACK), u32(4));
});

// covers A5-07
test('frames come in order, as array buffers and as blobs', TEST_MS, async (t) => {
  const ada = await binaryClient(t);
  const bob = await binaryClient(t);
  const eve = await binaryClient(t);
  for (const client of [ada, bob, eve]) {
    client.send(JOIN, u32(0), text('puerh'));
    await client.next(JOINED_ROOM);
  }
  const counts = 500;
  const heard = [bob, eve].map((client, blobs) => {
    const numbers = [];
    // What a blob holds is there later: each waits for the one before it.
    let before = Promise.resolve();
    client.ws.binaryType = blobs ? 'blob' : 'arraybuffer';
    return new Promise((resolve) => {
      client.ws.onmessage = ({ data }) => {
        before = before.then(async () => {
          const bytes = Buffer.from(data instanceof ArrayBuffer ? data : await data.arrayBuffer());
          assert.equal(data instanceof ArrayBuffer, blobs === 0);
          if (bytes[0] === ROOM_MESSAGE && numbers.push(bytes.readUInt32BE(bytes.length - 4)) === counts) {
            resolve(numbers);
          }
        });
      };
    });
  });
  for (let number = 0; number < counts; number += 1) {
    ada.send(ROOM_MESSAGE, u32(0), u8(0), text('puerh'), u32(number));
  }
  const expected = Array.from({ length: counts }, (_, number) => number);
  for (const numbers of await within(WAIT_MS, Promise.all(heard), () => 'expected all of them')) {
    assert.deepEqual(numbers, expected);
  }
});
