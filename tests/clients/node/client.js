'use strict';
// One JSON client on npm `ws`: messages arrive in an inbox, every wait is bounded and says what came instead.

const assert = require('node:assert/strict');
const WebSocket = require('ws');
const { sleep, within } = require('./server');

const WAIT_MS = 5_000;
/// For what one thread of the server has told another; with a single thread there is nothing to wait for.
const BETWEEN_THREADS_MS = process.env.ROOMWIRE_TEST_THREADS === '1' ? 0 : 100;

class Client {
  constructor(url, options) {
    this.socket = new WebSocket(url, options);
    this.inbox = [];
    this.wake = () => {};
    this.nextId = 1;
    this.socket.on('message', (data, isBinary) => {
      const text = data.toString();
      this.inbox.push(isBinary ? { binary: data } : Object.defineProperty(parse(text), 'text', { value: text }));
      this.wake();
    });
    this.opened = new Promise((resolve, reject) => {
      this.socket.once('open', resolve);
      this.socket.once('error', reject);
    });
    // Read by `closed` where a test cares; a failed handshake is told by `opened`.
    this.socket.on('error', (error) => {
      this.error = error;
    });
    this.closing = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
  }

  /// An object as JSON, a string or a buffer as it is.
  send(message) {
    const plain = typeof message === 'string' || Buffer.isBuffer(message);
    this.socket.send(plain ? message : JSON.stringify(message));
  }

  /// Takes the first message that `matches` out of the inbox; the others stay.
  async take(matches, what = 'a message', ms = WAIT_MS) {
    const found = () => this.inbox.findIndex(matches);
    await within(
      ms,
      new Promise((resolve, reject) => {
        this.wake = () => found() >= 0 && resolve();
        this.wake();
        this.closing.then((end) => {
          if (found() < 0) {
            reject(new Error(`expected ${what}, got close ${end.code} after ${JSON.stringify(this.inbox)}`));
          }
        });
      }),
      () => `expected ${what}, got ${summary(this.inbox)}`,
    ).finally(() => {
      this.wake = () => {};
    });
    return this.inbox.splice(found(), 1)[0];
  }

  /// The next message in order.
  next() {
    return this.take(() => true);
  }

  /// The next message in order, which must be of this type.
  async expect(type) {
    const message = await this.next();
    assert.equal(message.type, type, `expected ${type}, got ${JSON.stringify(message)}`);
    return message;
  }

  /// The first message of this type; what came before it stays in the inbox.
  until(type, ms) {
    return this.take((message) => message.type === type, type, ms);
  }

  /// Sends a message under a fresh `id` and returns its outcome; everything else stays in the inbox.
  request(message) {
    const id = `request-${this.nextId++}`;
    this.send({ ...message, id });
    return this.take((reply) => reply.id === id, `the outcome of ${JSON.stringify(message)}`);
  }

  /// The outcome of a request that must fail with this code.
  async refused(message, code) {
    const outcome = await this.request(message);
    assert.equal(outcome.type, 'error', `expected error ${code}, got ${JSON.stringify(outcome)}`);
    assert.equal(outcome.code, code, `expected error ${code}, got ${JSON.stringify(outcome)}`);
    assert.equal(typeof outcome.message, 'string');
    return outcome;
  }

  /// Joins a room and returns the reply.
  async join(room) {
    const reply = await this.request({ type: 'join', room });
    assert.equal(reply.type, 'joined_room', `expected joined_room, got ${JSON.stringify(reply)}`);
    return reply;
  }

  /// Everything that the server sent this client until now: a ping's answer tells that nothing else is under way on
  /// its thread. What others were told may still be on its way from theirs: it gets a moment.
  async drain() {
    await sleep(BETWEEN_THREADS_MS);
    const id = `drain-${this.nextId++}`;
    this.send({ type: 'ping', id });
    await this.take((reply) => reply.id === id, 'a pong');
    return this.inbox.splice(0);
  }

  /// Nothing came until now.
  async silent() {
    assert.deepEqual(await this.drain(), []);
  }

  /// The end of the connection: `{ code, reason }`.
  closed(ms = WAIT_MS) {
    return within(ms, this.closing, () => `expected a close, got ${summary(this.inbox)}`);
  }
}

function parse(text) {
  const value = JSON.parse(text);
  assert.ok(value !== null && typeof value === 'object', `expected an object, got ${text}`);
  return value;
}

function summary(inbox) {
  const text = JSON.stringify(inbox);
  return text.length > 2_000 ? `${text.slice(0, 2_000)}… (${inbox.length} messages)` : text;
}

/// A client that lives as long as the test `t` and has opened; its welcome is still in the inbox.
async function open(t, url, options) {
  const client = new Client(url, options);
  t.after(() => client.socket.terminate());
  await within(WAIT_MS, client.opened, () => 'expected the handshake to complete');
  return client;
}

/// As `open`, with the welcome taken: `client.id` is the client's id.
async function connect(t, url, options) {
  const client = await open(t, url, options);
  client.welcome = await client.expect('welcome');
  client.id = client.welcome.clientId;
  return client;
}

/// `count` clients at once.
function connectMany(t, url, count) {
  return Promise.all(Array.from({ length: count }, () => connect(t, url)));
}

/// The HTTP status with which an upgrade is refused.
function refusedStatus(url, options) {
  const socket = new WebSocket(url, options);
  const answered = new Promise((resolve, reject) => {
    socket.on('unexpected-response', (request, response) => {
      response.resume();
      request.destroy();
      resolve(response.statusCode);
    });
    socket.on('open', () => reject(new Error('expected a refusal, got an open connection')));
    socket.on('error', reject);
  });
  return within(WAIT_MS, answered, () => 'expected an HTTP answer').finally(() => socket.terminate());
}

module.exports = { connect, connectMany, open, refusedStatus };
