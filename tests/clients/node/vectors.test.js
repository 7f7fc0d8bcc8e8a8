'use strict';
// Binary frames by hand: the golden vectors say what PROTOCOL.md says, and the guide's own receiver reads every frame
// of a server. Needs no server.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, test } = require('node:test');
const vm = require('node:vm');
const { HEADER_BYTES, TYPES, decode, toJson } = require('./binary');

const VECTORS = JSON.parse(fs.readFileSync(path.join(__dirname, '../../vectors/binary.json'), 'utf8'));
const understood = VECTORS.filter((vector) => vector.json !== undefined);
const bytesOf = (vector) => Uint8Array.from(Buffer.from(vector.hex, 'hex'));

/// Numbers that JSON can say and JavaScript cannot are compared as text.
const plain = (message) =>
  JSON.parse(JSON.stringify(message, (_, value) => (typeof value === 'bigint' ? `${value}` : value)));
const wanted = (text) =>
  JSON.parse(text.replace(/(?<=:)\d{16,}(?=[,}])/g, (digits) =>
    Number.isSafeInteger(Number(digits)) ? digits : `"${digits}"`));

/// `handleBinaryMessage` of the guide, as it stands there.
const GUIDE = `
class BinaryWebSocketClient {
  handleBinaryMessage(buffer) {
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
}
new BinaryWebSocketClient();
`;

// covers A5-01, A5-05, A5-08
describe('the golden vectors', () => {
  for (const vector of understood) {
    test(`${vector.from}: ${vector.name}`, () => {
      const frame = decode(bytesOf(vector), vector.from);
      const message = toJson(frame, vector.from);
      // The application's own object has no number in JSON: what it holds is its own affair.
      if (frame.name === 'application' && vector.from === 'client') delete message.id;
      assert.deepEqual(plain(message), plain(wanted(vector.json)));
    });
  }

  test('there is one of every published type', () => {
    const seen = new Set(understood.map((vector) => `${vector.from} ${bytesOf(vector)[0]}`));
    assert.deepEqual([...seen].sort(), [...TYPES.keys()].sort());
  });
});

// covers A5-02, A5-03, A5-04
describe('what is no frame', () => {
  for (const vector of VECTORS.filter(({ refused, number }) => refused && number === null)) {
    test(vector.name, () => {
      if (vector.from === 'client') assert.throws(() => decode(bytesOf(vector), 'client'), RangeError);
    });
  }
});

// covers A5-01, A5-06
describe("the guide's own receiver", () => {
  for (const vector of understood.filter(({ from }) => from === 'server')) {
    test(`reads ${vector.name}`, () => {
      const seen = [];
      const context = vm.createContext({
        ArrayBuffer, BigInt, DataView, Uint8Array, console: { log: (...said) => seen.push(said) },
      });
      const bytes = bytesOf(vector);
      vm.runInContext(GUIDE, context).handleBinaryMessage(bytes.buffer);
      const payload = bytes.subarray(HEADER_BYTES);
      assert.equal(seen.length, 1);
      assert.equal(seen[0][0], 'Binary message:');
      assert.deepEqual({ ...seen[0][1] }, { type: bytes[0], timestamp: '1700000000123', payload });
    });
  }
});
