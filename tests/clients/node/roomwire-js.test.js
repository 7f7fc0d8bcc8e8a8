'use strict';
// `roomwire.js` as the server serves it, with the server: chat, connections that are cut, and what was said meanwhile.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const WebSocket = require('ws');
const { connect } = require('./client');
const { wireTo } = require('./cut');
const { sleep, startServer, within } = require('./server');

const TEST_MS = { timeout: 30_000 };
const WEB = path.join(__dirname, '../../../core/web');
const README = fs.readFileSync(path.join(__dirname, '../../../README.md'), 'utf8');
const CONFIG = `
[rate_limit]
enabled = false
[[room]]
pattern = "short"
history_messages = 3
[[room]]
pattern = "bare"
[[room]]
pattern = "*"
history_messages = 1000
`;

let server;
let module_;
before(async () => {
  server = await startServer([], { config: CONFIG });
  module_ = await asServed(server);
});
after(() => server.stop());

const served = (of, file = 'roomwire.js', options) => fetch(`http://127.0.0.1:${of.port}/${file}`, options);

/// The module from the server, in a form that Node.js imports.
async function address(of) {
  const text = await (await served(of)).text();
  return `data:text/javascript;base64,${Buffer.from(text).toString('base64')}`;
}

async function asServed(of) {
  return import(await address(of));
}

/// A client that is quick to come back, and remembers what it heard: `heard(name)`, and `until(name, matches)`.
function client(t, url, options) {
  const own = new module_.WebSocketClient(url, {
    WebSocket,
    reconnectInterval: 20,
    maxReconnectDelay: 100,
    maxReconnectAttempts: Infinity,
    ...options,
  });
  t.after(() => own.close());
  const told = [];
  const wakes = new Set();
  for (const name of ['open', 'close', 'state', 'room_message', 'own_message', 'gap', 'reset', 'resumed', 'welcome']) {
    own.on(name, (data) => {
      told.push([name, data]);
      wakes.forEach((wake) => wake());
    });
  }
  const heard = (wanted) => told.filter(([name]) => name === wanted).map(([, data]) => data);
  const until = (name, matches = () => true) => {
    let wake;
    const seen = new Promise((resolve) => {
      wake = () => heard(name).some(matches) && resolve();
      wakes.add(wake);
      wake();
    });
    const found = within(10_000, seen, () => `expected ${name} ${matches}, got ${JSON.stringify(told)}`);
    return found.then(() => heard(name).find(matches)).finally(() => wakes.delete(wake));
  };
  return Object.assign(own, { heard, until });
}

describe('the file', () => {
  test('is served to any page, without its comments, and not twice', TEST_MS, async () => {
    for (const [file, type] of [
      ['roomwire.js', 'text/javascript; charset=utf-8'],
      ['roomwire.d.ts', 'application/typescript'],
      ['roomwire.schema.json', 'application/schema+json'],
    ]) {
      const answer = await served(server, file);
      assert.equal(answer.status, 200);
      const text = fs.readFileSync(path.join(WEB, file), 'utf8');
      const [head] = /^(?:\/\/.*\n)*/.exec(text);
      assert.equal(await answer.text(), head + text.slice(head.length).replace(/^ *\/\/.*\n/gm, ''));
      assert.equal(answer.headers.get('content-type'), type);
      assert.equal(answer.headers.get('access-control-allow-origin'), '*');
      assert.equal(answer.headers.get('cache-control'), 'no-cache');
      const tag = answer.headers.get('etag');
      const again = await served(server, file, { headers: { 'if-none-match': tag }, cache: 'no-store' });
      assert.deepEqual([again.status, again.headers.get('etag'), await again.text()], [304, tag, '']);
      const short = await served(server, file, { method: 'HEAD' });
      assert.deepEqual([short.status, short.headers.get('etag'), await short.text()], [200, tag, '']);
    }
  });
});

describe('two clients', () => {
  test('chat', TEST_MS, async (t) => {
    const ada = client(t, server.url);
    const bob = client(t, server.url);
    const joined = await ada.join('chat');
    assert.deepEqual(joined.members, [ada.clientId]);
    assert.equal((await bob.join('chat')).total, 2);
    assert.equal((await ada.say('chat', { text: 'hello' })).type, 'ack');
    const { from, data } = await bob.until('room_message');
    assert.deepEqual([from, data], [ada.clientId, { text: 'hello' }]);
    await bob.leave('chat');
    await assert.rejects(bob.say('chat', 1), ({ code, reply }) => code === 'not_member' && reply.type === 'error');
    assert.deepEqual(ada.heard('room_message'), []);
    assert.deepEqual([ada.state, bob.state], ['open', 'open']);
    bob.close();
    await bob.until('close', ({ code }) => code === 1000);
  });
});

describe('a connection that is cut', () => {
  /// One who speaks all the time until `stop`, which tells how much was said.
  function speaker(of, room) {
    let said = 0;
    let going = true;
    const done = (async () => {
      for (; going; said += 1) {
        await of.say(room, said);
        await sleep(1);
      }
    })();
    return async () => {
      going = false;
      await done;
      return said;
    };
  }

  /// With several threads an ack may come before the log has the message; the next request comes after it.
  async function isKept(of, room, offset) {
    assert.equal((await of.request({ type: 'history', room, after: offset - 1 })).last, offset);
  }

  test('misses nothing: every message once, in order', TEST_MS, async (t) => {
    const wire = await wireTo(t, server.port);
    const ada = client(t, server.url);
    const bob = client(t, wire.url);
    await ada.join('tea');
    await bob.join('tea');
    const stop = speaker(ada, 'tea');
    const rounds = 8;
    for (let round = 1; round <= rounds; round += 1) {
      await sleep(30);
      wire.cut();
      await bob.until('resumed', () => bob.heard('resumed').length >= round);
    }
    const said = await stop();
    await bob.until('room_message', ({ data }) => data === said - 1);
    assert.deepEqual(bob.heard('room_message').map(({ data }) => data), Array.from({ length: said }, (_, n) => n));
    assert.deepEqual(bob.heard('resumed').map(({ complete }) => complete), Array(rounds).fill(true));
    assert.deepEqual([bob.heard('gap'), bob.heard('reset')], [[], []]);
    assert.equal(new Set(bob.heard('welcome').map(({ clientId }) => clientId)).size, rounds + 1);
  });

  test('or only silent, is given up, and nothing is missed either', TEST_MS, async (t) => {
    const wire = await wireTo(t, server.port);
    const ada = client(t, server.url);
    const bob = client(t, wire.url, { heartbeatInterval: 100, heartbeatTimeout: 300 });
    await Promise.all([ada.join('silent'), bob.join('silent')]);
    const stop = speaker(ada, 'silent');
    await bob.until('room_message');
    wire.freeze();
    const { reason } = await bob.until('close');
    assert.equal(reason, 'no pong');
    assert.equal((await bob.until('resumed')).complete, true);
    const said = await stop();
    await bob.until('room_message', ({ data }) => data === said - 1);
    assert.deepEqual(bob.heard('room_message').map(({ data }) => data), Array.from({ length: said }, (_, n) => n));
  });

  test('says what waited, behind what it has missed', TEST_MS, async (t) => {
    const wire = await wireTo(t, server.port);
    const ada = client(t, server.url);
    const bob = client(t, wire.url);
    await Promise.all([ada.join('milk'), bob.join('milk')]);
    await bob.say('milk', 'own');
    await ada.until('room_message');
    wire.block();
    await bob.until('state', (state) => state === 'waiting');
    const waiting = bob.say('milk', 'late');
    await ada.say('milk', 'meanwhile');
    await isKept(ada, 'milk', 2);
    wire.open();
    assert.equal((await waiting).type, 'ack');
    assert.deepEqual(bob.heard('room_message').map(({ data }) => data), ['meanwhile']);
    assert.deepEqual(bob.heard('own_message').map(({ data }) => data), ['own']);
    await ada.until('room_message', ({ data }) => data === 'late');
    assert.deepEqual(ada.heard('room_message').map(({ data, offset }) => [data, offset]), [['own', 1], ['late', 3]]);
  });

  test('is told of what is not kept any more', TEST_MS, async (t) => {
    const wire = await wireTo(t, server.port);
    const ada = client(t, server.url);
    const bob = client(t, wire.url);
    await Promise.all([ada.join('short'), bob.join('short')]);
    await ada.say('short', 1);
    await bob.until('room_message');
    wire.block();
    await bob.until('state', (state) => state === 'waiting');
    for (let n = 2; n <= 10; n += 1) {
      await ada.say('short', n);
    }
    await isKept(ada, 'short', 10);
    wire.open();
    const { complete } = await bob.until('resumed');
    assert.equal(complete, false);
    assert.deepEqual(bob.heard('gap'), [{ type: 'gap', room: 'short', from: 2, to: 7 }]);
    assert.deepEqual(bob.heard('room_message').map(({ data }) => data), [1, 8, 9, 10]);
  });

  test('and of a room that keeps nothing', TEST_MS, async (t) => {
    const wire = await wireTo(t, server.port);
    const bob = client(t, wire.url);
    await bob.join('bare');
    wire.cut();
    assert.equal((await bob.until('resumed')).complete, false);
  });

  test('leaves no request without an outcome', TEST_MS, async (t) => {
    const wire = await wireTo(t, server.port);
    const bob = client(t, wire.url);
    await bob.join('tea');
    const said = bob.say('tea', 'lost');
    wire.cut();
    await assert.rejects(said, ({ code }) => code === 'connection_lost');
  });
});

describe('a server that is restarted', () => {
  test('has its clients back in their rooms', TEST_MS, async (t) => {
    const first = await startServer([], { config: `${CONFIG}[drain]\nreconnect_min_ms = 10\nreconnect_max_ms = 50\n` });
    const listen = [`127.0.0.1:${first.port}`];
    const [ada, bob] = [client(t, first.url), client(t, first.url)];
    await Promise.all([ada.join('tea'), bob.join('tea')]);
    await ada.say('tea', 'before');
    await bob.until('room_message');
    await first.stop();
    const waiting = ada.say('tea', 'after');
    const second = await startServer([], { config: CONFIG, listen });
    t.after(() => second.stop());
    assert.equal((await waiting).type, 'ack');
    await bob.until('room_message', ({ data }) => data === 'after');
    // The log is lost, and that is told.
    assert.equal((await bob.until('reset')).room, 'tea');
    assert.equal((await bob.until('resumed')).complete, false);
    assert.deepEqual(bob.heard('close')[0].code, 1012);
    assert.deepEqual(bob.heard('room_message').map(({ data }) => data), ['before', 'after']);
  });
});

describe('a program that is printed', () => {
  /// What a module prints that imports `roomwire.js`, until it has printed `last`.
  async function printed(t, program, last) {
    const prelude = `globalThis.WebSocket ??= require(${JSON.stringify(require.resolve('ws'))})`;
    const folder = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'roomwire-js-'));
    t.after(() => fs.rmSync(folder, { recursive: true }));
    fs.writeFileSync(path.join(folder, 'prelude.cjs'), prelude);
    fs.writeFileSync(path.join(folder, 'program.mjs'), program);
    const child = spawn(process.execPath, ['-r', './prelude.cjs', 'program.mjs'], { cwd: folder });
    t.after(() => child.kill('SIGKILL'));
    let output = '';
    const done = new Promise((resolve) => {
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text) => {
          output += text;
          if (last.test(output)) {
            resolve();
          }
        });
      }
    });
    await within(10_000, done, () => `expected ${last}, got ${output}`);
    return output;
  }

  // The usage example of the guide, as it was published but for the import and the URL.
  const USAGE = `import { WebSocketClient } from 'IMPORT';
// Usage example
const client = new WebSocketClient('URL');

client.on('open', () => {
  console.log('Connected and ready!');
  client.send({ type: 'hello', user: 'JavaScript Client' });
});

client.on('message', (data) => {
  console.log('Received:', data);
});

client.on('error', (error) => {
  console.error('Connection error:', error);
});

client.on('close', (event) => {
  console.log('Connection closed:', event.code, event.reason);
});
`;

  for (const [where, path_, last] of [
    ['the rooms', '', /welcome/],
    ['an echo', 'echo', /hello/],
  ]) {
    test(`the guide's, with ${where}`, TEST_MS, async (t) => {
      const own = await startServer(['--echo']);
      t.after(() => own.stop());
      const program = USAGE.replace('IMPORT', await address(own)).replace('URL', `${own.url}${path_}`);
      const output = await printed(t, program, last);
      assert.match(output, /^Connected and ready!\nReceived: \{/);
      assert.doesNotMatch(output, /error/i);
    });
  }

  test("the README's", TEST_MS, async (t) => {
    const [, program] = README.match(/^```mjs\n(.*?)^```$/ms);
    const listener = await connect(t, server.url);
    await listener.join('tea');
    const placed = program
      .replace('http://127.0.0.1:8080/roomwire.js', await address(server))
      .replace('ws://127.0.0.1:8080/', server.url);
    assert.doesNotMatch(placed, /8080/);
    const talking = (async () => {
      const { data } = await listener.until('room_message');
      assert.equal(data, 'hello from roomwire.js');
      listener.send({ type: 'room_message', room: 'tea', data: 'hello yourself' });
    })();
    const output = await printed(t, placed, /hello yourself/);
    await talking;
    assert.match(output, new RegExp(`${listener.id}`));
  });
});
