'use strict';
// What `roomwire.js` needs of the world, in the hands of a test: a clock that stands still, and sockets that do what
// they are told.

const fs = require('node:fs');
const path = require('node:path');

const FILE = path.join(__dirname, '../../../core/web/roomwire.js');

/// The module as it stands. Its folder belongs to no package of modules, so it is imported by what it holds.
const load = () => import(`data:text/javascript;base64,${fs.readFileSync(FILE).toString('base64')}`);

/// Lets promises that are settled be noticed.
const turn = () => new Promise((resolve) => setImmediate(resolve));

class Clock {
  constructor() {
    this.time = 1_000_000;
    this.timers = new Map();
    this.nextId = 1;
    this.now = () => this.time;
    this.setTimeout = (act, ms) => {
      this.timers.set(this.nextId, { act, ms, due: this.time + ms });
      return this.nextId++;
    };
    this.clearTimeout = (id) => this.timers.delete(id);
  }

  /// How long the timers were set for, the shortest first.
  get waits() {
    return [...this.timers.values()].map(({ ms }) => ms).sort((a, b) => a - b);
  }

  /// Time passes, and every timer fires when it is due.
  async pass(ms) {
    const end = this.time + ms;
    await turn();
    for (let next = this.next(end); next; next = this.next(end)) {
      this.time = Math.max(this.time, next[1].due);
      await this.fire(next);
    }
    this.time = end;
  }

  /// The machine sleeps: nothing fires before it wakes, but then at once.
  async sleep(ms) {
    this.time += ms;
    for (let next = this.next(this.time); next; next = this.next(this.time)) {
      await this.fire(next);
    }
  }

  next(end) {
    const due = [...this.timers].filter(([, timer]) => timer.due <= end);
    return due.sort(([, a], [, b]) => a.due - b.due)[0];
  }

  async fire([id, { act }]) {
    this.timers.delete(id);
    act();
    await turn();
  }
}

class VirtualSocket {
  constructor(url, protocols) {
    Object.assign(this, { url, protocols, readyState: 0, sent: [], closes: [] });
  }

  send(text) {
    if (this.readyState === 0) {
      throw new Error('it is not open yet');
    }
    const isJson = typeof text === 'string' && text.startsWith('{');
    this.sent.push(isJson ? JSON.parse(text) : { text });
  }

  /// As in a browser nothing happens until the other end answers: the test says when.
  close(code, reason) {
    this.closes.push({ code, reason });
    this.readyState = 2;
  }

  // What the other end does, which takes no notice of who is still interested.

  async open() {
    this.readyState = 1;
    this.onopen({ type: 'open' });
    await turn();
  }

  async say(...messages) {
    for (const message of messages) {
      this.onmessage({ data: typeof message === 'string' ? message : JSON.stringify(message) });
    }
    await turn();
  }

  async end(code = 1006, reason = '') {
    this.readyState = 3;
    this.onclose({ type: 'close', code, reason, wasClean: code !== 1006 });
    await turn();
  }

  /// Opens and welcomes.
  async welcome(clientId = 'client_me') {
    await this.open();
    await this.say({ type: 'welcome', clientId, protocol: 1 });
  }

  /// What was sent since the last time, without ids.
  take() {
    return this.sent.splice(0).map(({ id, ...message }) => message);
  }
}

/// A client in a world of its own: `socket()` is its latest socket, `told` what its handlers heard.
async function start(t, options = {}) {
  const { WebSocketClient } = await load();
  const clock = new Clock();
  const sockets = [];
  class WebSocket extends VirtualSocket {
    constructor(...args) {
      super(...args);
      sockets.push(this);
    }
  }
  const { now, setTimeout, clearTimeout } = clock;
  // Sessions have tests of their own.
  const own = { WebSocket, now, setTimeout, clearTimeout, random: () => 1, resume: false };
  const client = new WebSocketClient('ws://server/', { ...own, ...options });
  const told = [];
  const names = ['open', 'message', 'error', 'close', 'state', 'dropped', 'maxReconnectAttemptsReached'];
  for (const name of [...names, 'room_message', 'own_message', 'gap', 'reset', 'resumed', 'session', 'private_message']) {
    client.on(name, (data) => told.push([name, data]));
  }
  t.after(() => client.close());
  return {
    client,
    clock,
    sockets,
    socket: () => sockets.at(-1),
    /// What was told of these events, and forgets it all.
    heard: (...wanted) => told.splice(0).filter(([name]) => wanted.includes(name)),
  };
}

/// What became of a promise: its value, or the code that it was rejected with; `undefined` while it is open.
function watch(promise) {
  const seen = {};
  promise.then(
    (value) => Object.assign(seen, { value }),
    ({ code }) => Object.assign(seen, { code }),
  );
  return seen;
}

module.exports = { FILE, load, start, turn, watch };
