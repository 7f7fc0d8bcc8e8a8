'use strict';
// A TCP client that may say anything: requests byte by byte, frames that no WebSocket library would send.
// Every wait is bounded.

const assert = require('node:assert/strict');
const net = require('node:net');
const { within } = require('./server');

const WAIT_MS = 5_000;

const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

const UPGRADE_FIELDS = {
  Host: '127.0.0.1',
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

/// The upgrade request for `path`; a field of `changes` that is null is left out.
function upgradeRequest(path = '/', changes = {}) {
  const fields = Object.entries({ ...UPGRADE_FIELDS, ...changes }).filter(([, value]) => value !== null);
  return `GET ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

/// One frame of a client; `length` claims another length than the payload has.
function frame(opcode, payload = '', { fin = true, masked = true, rsv = 0, length } = {}) {
  const body = Buffer.from(payload);
  const claimed = BigInt(length ?? body.length);
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const bit = masked ? 0x80 : 0;
  let extended = Buffer.alloc(0);
  if (claimed < 126n) {
    head.push(bit | Number(claimed));
  } else if (claimed < 65_536n) {
    head.push(bit | 126);
    extended = Buffer.alloc(2);
    extended.writeUInt16BE(Number(claimed));
  } else {
    head.push(bit | 127);
    extended = Buffer.alloc(8);
    extended.writeBigUInt64BE(claimed);
  }
  const mask = masked ? Buffer.from([0x12, 0x34, 0x56, 0x78]) : Buffer.alloc(0);
  if (masked) {
    body.forEach((byte, at) => {
      body[at] = byte ^ mask[at % 4];
    });
  }
  return Buffer.concat([Buffer.from(head), extended, mask, body]);
}

const textFrame = (message) => frame(OPCODE.text, JSON.stringify(message));

/// A close frame's payload.
function closePayload(code, reason = '') {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return Buffer.concat([payload, Buffer.from(reason)]);
}

class RawClient {
  constructor(port) {
    this.socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.setNoDelay(true);
    this.bytes = Buffer.alloc(0);
    this.over = false;
    this.wake = () => {};
    this.socket.on('data', (chunk) => {
      this.bytes = Buffer.concat([this.bytes, chunk]);
      this.wake();
    });
    this.ended = new Promise((resolve) => {
      const end = (how) => () => {
        this.over = true;
        resolve(how);
        this.wake();
      };
      this.socket.on('end', end('end'));
      this.socket.on('error', end('reset'));
      this.socket.on('close', end('close'));
    });
  }

  write(bytes) {
    if (this.socket.writable) {
      this.socket.write(bytes);
    }
  }

  /// Finishes writing; reading goes on.
  finish() {
    this.socket.end();
  }

  reset() {
    this.socket.resetAndDestroy();
  }

  destroy() {
    this.socket.destroy();
  }

  /// Takes the bytes that `parse` consumes: it returns `{ taken, value }`, or nothing to wait for more.
  async read(parse, what, ms = WAIT_MS) {
    const got = () => `expected ${what}, got ${JSON.stringify(this.bytes.toString('latin1').slice(0, 500))}`;
    let result;
    await within(
      ms,
      new Promise((resolve, reject) => {
        this.wake = () => {
          result = parse(this.bytes);
          if (result) {
            resolve();
          } else if (this.over) {
            reject(new Error(`${got()} and the end`));
          }
        };
        this.wake();
      }),
      got,
    ).finally(() => {
      this.wake = () => {};
    });
    this.bytes = this.bytes.subarray(result.taken);
    return result.value;
  }

  /// The next HTTP answer: `{ status, fields, body }`; field names in lower case.
  answer({ body = true, ms } = {}) {
    const parse = (bytes) => {
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) {
        return undefined;
      }
      const [line, ...rest] = bytes.subarray(0, end).toString('latin1').split('\r\n');
      assert.match(line, /^HTTP\/1\.1 \d{3} /);
      const fields = Object.fromEntries(
        rest.map((field) => [
          field.slice(0, field.indexOf(':')).toLowerCase(),
          field.slice(field.indexOf(':') + 1).trim(),
        ]),
      );
      const start = end + 4;
      const length = body ? Number(fields['content-length'] ?? 0) : 0;
      if (bytes.length < start + length) {
        return undefined;
      }
      const value = {
        status: Number(line.split(' ')[1]),
        fields,
        body: bytes.subarray(start, start + length).toString(),
      };
      return { taken: start + length, value };
    };
    return this.read(parse, 'an HTTP answer', ms);
  }

  /// Completes a WebSocket handshake.
  async upgrade(path) {
    this.write(upgradeRequest(path));
    const answer = await this.answer({ body: false });
    assert.equal(answer.status, 101, `expected 101, got ${JSON.stringify(answer)}`);
    assert.equal(answer.fields['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    return answer;
  }

  /// The next frame: `{ fin, opcode, payload }`. A server never masks.
  frame(ms) {
    const parse = (bytes) => {
      if (bytes.length < 2) {
        return undefined;
      }
      assert.equal(bytes[1] & 0x80, 0, 'expected an unmasked frame');
      let length = bytes[1] & 0x7f;
      let start = 2;
      if (length === 126 && bytes.length >= 4) {
        length = bytes.readUInt16BE(2);
        start = 4;
      } else if (length === 127 && bytes.length >= 10) {
        length = Number(bytes.readBigUInt64BE(2));
        start = 10;
      } else if (length >= 126) {
        return undefined;
      }
      if (bytes.length < start + length) {
        return undefined;
      }
      const value = {
        fin: (bytes[0] & 0x80) !== 0,
        opcode: bytes[0] & 0x0f,
        payload: Buffer.from(bytes.subarray(start, start + length)),
      };
      return { taken: start + length, value };
    };
    return this.read(parse, 'a frame', ms);
  }

  /// The next text message as JSON; other frames are passed over.
  async message() {
    let next = await this.frame();
    for (let passed = 0; next.opcode !== OPCODE.text && passed < 10_000; passed += 1) {
      next = await this.frame();
    }
    return JSON.parse(next.payload.toString());
  }

  /// The first message of this type; others are passed over.
  async until(type) {
    let next = await this.message();
    for (let passed = 0; next.type !== type && passed < 10_000; passed += 1) {
      next = await this.message();
    }
    return next;
  }

  /// The code of the close frame that the server sends; other frames are passed over.
  async closeCode() {
    let next = await this.frame();
    for (let passed = 0; next.opcode !== OPCODE.close && passed < 100_000; passed += 1) {
      next = await this.frame();
    }
    return next.payload.length < 2 ? 1005 : next.payload.readUInt16BE(0);
  }

  /// How the server ended the connection: `end`, `reset` or `close`.
  end(ms = WAIT_MS) {
    const seen = () => JSON.stringify(this.bytes.toString('latin1').slice(0, 500));
    return within(ms, this.ended, () => `expected the end of the connection, got ${seen()}`);
  }
}

/// A raw connection that lives as long as the test `t`.
async function dial(t, port) {
  const client = new RawClient(port);
  t.after(() => client.destroy());
  await within(
    WAIT_MS,
    new Promise((resolve, reject) => client.socket.once('connect', resolve).once('error', reject)),
    () => 'expected a TCP connection',
  );
  return client;
}

/// A raw WebSocket connection whose welcome was read: `client.id` is its id.
async function dialWebSocket(t, port, path) {
  const client = await dial(t, port);
  await client.upgrade(path);
  client.id = (await client.until('welcome')).clientId;
  return client;
}

module.exports = { OPCODE, closePayload, dial, dialWebSocket, frame, textFrame, upgradeRequest };
