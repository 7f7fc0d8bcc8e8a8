'use strict';
// The process: how it starts, what it refuses to start with, how it ends, and what clients notice of it.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { describe, test } = require('node:test');
const { connect, connectMany, open } = require('./client');
const { dial, dialWebSocket, frame, OPCODE } = require('./raw');
const { run, sleep, startServer } = require('./server');

const TEST_MS = { timeout: 30_000 };

async function ownServer(t, args, options) {
  const own = await startServer(args, options);
  t.after(() => own.stop());
  return own;
}

/// A file with this content that lives as long as the test.
function temporaryFile(t, content) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'roomwire-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'roomwire.toml');
  fs.writeFileSync(file, content);
  return file;
}

describe('start', () => {
  // covers A3-01
  test('port 0 is a free port, told on standard output and nothing else', TEST_MS, async (t) => {
    const [one, two] = [await ownServer(t, []), await ownServer(t, [])];
    assert.notEqual(one.port, two.port);
    await (await connect(t, one.url)).drain();
    assert.equal(one.output.stdout, `listening on 127.0.0.1:${one.port}\n`);
  });

  // covers A3-01
  test('several listeners lead to the same rooms', TEST_MS, async (t) => {
    const own = await ownServer(t, [], { listen: ['127.0.0.1:0', '127.0.0.2:0'] });
    assert.equal(own.output.stdout.match(/\n/g).length, 2);
    const one = await connect(t, own.url);
    const two = await connect(t, `ws://127.0.0.2:${own.ports[1]}/`);
    await one.join('a');
    assert.equal((await two.join('a')).total, 2);
  });

  // covers A3-01
  test('an address in use ends with 1 and is named', TEST_MS, async (t) => {
    const own = await ownServer(t, []);
    const address = `127.0.0.1:${own.port}`;
    const { code, stdout, stderr } = await run(['--listen', address]);
    assert.equal(code, 1, stderr);
    assert.equal(stdout, '');
    assert.ok(stderr.includes(address), `expected ${address} in ${stderr}`);
  });

  // covers A11-01
  test('flags that make no sense end with 2', TEST_MS, async () => {
    for (const args of [
      ['--no-such-flag'],
      ['--listen', 'nowhere'],
      ['--rate-limit', 'sometimes'],
      ['--rate-limit', '0/0'],
      ['--max-message-bytes', '-1'],
      ['--config', '/no/such/file'],
    ]) {
      const { code, stdout, stderr } = await run(args);
      assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
      assert.equal(stdout, '');
      assert.ok(stderr.length > 0);
    }
  });

  test('a config file is checked, and a key that does not exist is named', TEST_MS, async (t) => {
    const good = temporaryFile(t, '[limits]\nmax_message_bytes = 2048\n');
    const checked = await run(['--config', good, '--check-config']);
    assert.equal(checked.code, 0, checked.stderr);

    const bad = temporaryFile(t, '[limits]\nmax_mesage_bytes = 2048\n');
    for (const args of [['--config', bad, '--check-config'], ['--config', bad, '--listen', '127.0.0.1:0']]) {
      const { code, stderr } = await run(args);
      assert.equal(code, 2, stderr);
      assert.match(stderr, /max_mesage_bytes/);
    }
  });

  test('the printed config is one that can be read', TEST_MS, async (t) => {
    const printed = await run(['--max-message-bytes', '4321', '--print-config']);
    assert.equal(printed.code, 0, printed.stderr);
    assert.match(printed.stdout, /4_?321/);
    const checked = await run(['--config', temporaryFile(t, printed.stdout), '--check-config']);
    assert.equal(checked.code, 0, checked.stderr);
  });

  test('a flag beats the config file', TEST_MS, async (t) => {
    const own = await ownServer(t, ['--max-message-bytes', '3000'], {
      config: '[limits]\nmax_message_bytes = 2000\nmax_rooms_per_client = 7\n',
    });
    const { limits } = (await connect(t, own.url)).welcome;
    assert.deepEqual([limits.maxMessageBytes, limits.maxRooms], [3_000, 7]);
  });

  test('it knows its version', TEST_MS, async () => {
    const { code, stdout } = await run(['--version']);
    assert.equal(code, 0);
    assert.match(stdout, /^roomwire-[a-z-]+ \d+\.\d+\.\d+/);
    assert.equal(stdout.split(' ')[0], path.basename(process.env.ROOMWIRE_BIN));
  });

  // covers A3-17
  test('logs are on standard error, as JSON if asked, and hold no payload', TEST_MS, async (t) => {
    const own = await ownServer(t, ['--log', 'json', '--log-level', 'debug']);
    const client = await connect(t, own.url);
    await client.request({ type: 'broadcast', data: 'a-secret-payload' });
    client.socket.close();
    await client.closed();
    await own.healthUntil(({ clients }) => clients === 0);
    const lines = own.output.stderr.split('\n').filter(Boolean);
    assert.ok(lines.length > 0, 'expected log lines');
    lines.forEach((line) => JSON.parse(line));
    assert.doesNotMatch(own.output.stderr, /a-secret-payload/);
  });
});

describe('end', () => {
  // covers A0-10, A11-01, A3-14
  test('SIGTERM tells every client when to come back, closes with 1012 and ends with 0', TEST_MS, async () => {
    const server = await startServer();
    try {
      const clients = await Promise.all(Array.from({ length: 20 }, () => connectFree(server.url)));
      server.signal('SIGTERM');
      const delays = new Set();
      for (const client of clients) {
        const { type, code, reason, reconnectAfterMs } = await client.until('closing');
        assert.deepEqual({ type, code }, { type: 'closing', code: 1012 });
        assert.equal(typeof reason, 'string');
        assert.ok(reconnectAfterMs >= 500 && reconnectAfterMs <= 5_000, `got ${reconnectAfterMs}`);
        delays.add(reconnectAfterMs);
        assert.equal((await client.closed()).code, 1012);
      }
      assert.ok(delays.size > 1, 'expected different delays');
      const { code } = await server.ended();
      assert.equal(code, 0);
    } finally {
      await server.kill();
    }
  });

  test('an idle server ends at once, on SIGINT too', TEST_MS, async () => {
    for (const signal of ['SIGTERM', 'SIGINT']) {
      const server = await startServer();
      try {
        server.signal(signal);
        const { code } = await server.ended(2_000);
        assert.equal(code, 0, signal);
      } finally {
        await server.kill();
      }
    }
  });

  // covers A0-10
  test('the close code of a drain is a setting', TEST_MS, async () => {
    const server = await startServer(['--drain-code', '1001']);
    try {
      const client = await connectFree(server.url);
      server.signal('SIGTERM');
      assert.equal((await client.until('closing')).code, 1001);
      assert.equal((await client.closed()).code, 1001);
      await server.ended();
    } finally {
      await server.kill();
    }
  });

  // covers A3-14
  test('clients that do not answer hold it up no longer than the drain timeout', TEST_MS, async (t) => {
    const server = await startServer(['--drain-timeout-ms', '500']);
    try {
      await dialWebSocket(t, server.port);
      const began = Date.now();
      server.signal('SIGTERM');
      const { code } = await server.ended(4_000);
      assert.equal(code, 0);
      assert.ok(Date.now() - began < 3_000, `expected about 500 ms, got ${Date.now() - began} ms`);
    } finally {
      await server.kill();
    }
  });

  // covers A3-14
  test('a second signal ends it at once', TEST_MS, async (t) => {
    const server = await startServer(['--drain-timeout-ms', '20000']);
    try {
      const client = await dialWebSocket(t, server.port);
      server.signal('SIGTERM');
      await client.until('closing');
      server.signal('SIGTERM');
      await server.ended(2_000);
    } finally {
      await server.kill();
    }
  });

  // covers A11-01
  test('while it drains nobody new comes in', TEST_MS, async (t) => {
    const server = await startServer(['--drain-timeout-ms', '3000']);
    try {
      const client = await dialWebSocket(t, server.port);
      server.signal('SIGTERM');
      await client.until('closing');
      // Each thread of the server is told by itself.
      await sleep(100);
      await assert.rejects(dial(t, server.port).then((late) => late.upgrade('/')));
    } finally {
      await server.kill();
    }
  });
});

describe('clients that vanish', () => {
  // covers A2-05, A3-19
  test('a killed process is told to its rooms as disconnected', TEST_MS, async (t) => {
    const own = await ownServer(t, []);
    const watcher = await connect(t, own.url);
    await watcher.join('a');
    const script = `
      const WebSocket = require('ws');
      const socket = new WebSocket(process.argv[1]);
      socket.on('open', () => socket.send('{"type":"join","room":"a"}'));
      setTimeout(() => process.exit(1), 20000);`;
    const child = spawn(process.execPath, ['-e', script, own.url], { cwd: __dirname, stdio: 'ignore' });
    t.after(() => child.kill('SIGKILL'));
    const { clientId } = await watcher.until('member_joined', 10_000);
    child.kill('SIGKILL');
    assert.deepEqual(await watcher.until('member_left'), {
      type: 'member_left',
      room: 'a',
      clientId,
      reason: 'disconnected',
    });
    await watcher.silent();
  });
});

describe('--raw-payloads', () => {
  // covers A2-09, A0-1
  test('delivers the bare data, byte for byte', TEST_MS, async (t) => {
    const own = await ownServer(t, ['--raw-payloads']);
    const [sender, receiver] = await connectMany(t, own.url, 2);
    await sender.join('a');
    await receiver.join('a');
    const payloads = ['{"b":1, "a":[12345678901234567890,1.0]}', '{"type":"chat","from":"me"}', '["type","welcome"]'];
    for (const data of payloads) {
      sender.send(`{"type":"room_message","room":"a","data":${data}}`);
      assert.equal((await receiver.next()).text, data);
      sender.send(`{"type":"broadcast","data":${data}}`);
      assert.equal((await receiver.next()).text, data);
    }
    await sender.until('member_joined');
    await sender.silent();
  });

  // covers A2-09, A0-1
  test('refuses data that looks like the server', TEST_MS, async (t) => {
    const own = await ownServer(t, ['--raw-payloads', '--rate-limit', 'off']);
    const [sender, receiver] = await connectMany(t, own.url, 2);
    await sender.join('a');
    await receiver.join('a');
    const types = ['welcome', 'private_message', 'member_joined', 'error', 'pong', 'closing', 'room_message'];
    for (const type of types) {
      const data = { from: 'admin', type };
      await sender.refused({ type: 'room_message', room: 'a', data }, 'reserved');
      await sender.refused({ type: 'broadcast', data }, 'reserved');
    }
    sender.send('{"type":"broadcast","id":1,"data":{"\\u0074ype":"wel\\u0063ome"}}');
    const { code } = await sender.until('error');
    assert.equal(code, 'reserved');
    sender.send('{"type":"broadcast","id":2,"data":{"type":"chat","type":"welcome"}}');
    assert.equal((await sender.until('error')).code, 'reserved');
    await receiver.silent();
  });

  // covers A2-06
  test('leaves private messages in their envelope', TEST_MS, async (t) => {
    const own = await ownServer(t, ['--raw-payloads']);
    const [sender, receiver] = await connectMany(t, own.url, 2);
    sender.send({ type: 'private_message', to: receiver.id, data: { type: 'welcome' } });
    const message = await receiver.expect('private_message');
    assert.deepEqual([message.from, message.data], [sender.id, { type: 'welcome' }]);
  });
});

describe('other switches', () => {
  test('--echo serves /echo beside the rooms', TEST_MS, async (t) => {
    const own = await ownServer(t, ['--echo', '--rate-limit', 'off']);
    const client = await dial(t, own.port);
    await client.upgrade('/echo');
    for (const [opcode, payload] of [
      [OPCODE.text, 'not json é'],
      [OPCODE.binary, Buffer.from([0, 255, 1])],
      [OPCODE.text, ''],
      [OPCODE.binary, Buffer.alloc(100_000, 7)],
    ]) {
      client.write(frame(opcode, payload));
      const echoed = await client.frame();
      assert.equal(echoed.opcode, opcode);
      assert.deepEqual(echoed.payload, Buffer.from(payload));
    }
    await connect(t, own.url);
  });

  // covers A3-16
  test('--max-connections refuses the one too many, and takes another when one has gone', TEST_MS, async (t) => {
    for (const flag of ['--max-connections', '--max-connections-per-ip']) {
      const own = await ownServer(t, [flag, '2']);
      const [first, second] = await connectMany(t, own.url, 2);
      await assert.rejects(open(t, own.url), undefined, `${flag}: expected a refusal`);
      first.socket.close();
      await first.closed();
      await connectSoon(t, own.url);
      await second.drain();
    }
  });
});

/// As `connect`, for a server that ends within the test.
function connectFree(url) {
  return connect({ after: () => {} }, url);
}

/// Connects once the server has noticed that there is room again.
async function connectSoon(t, url) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await connect(t, url);
    } catch (error) {
      if (attempt === 20) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
