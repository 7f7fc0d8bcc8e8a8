'use strict';
// What the port says to plain HTTP, and which upgrades it refuses.

const assert = require('node:assert/strict');
const { after, before, describe, test } = require('node:test');
const { connect, refusedStatus } = require('./client');
const { closePayload, dial, dialWebSocket, frame, OPCODE, textFrame, upgradeRequest } = require('./raw');
const { startServer } = require('./server');

const TEST_MS = { timeout: 15_000 };

let server;
before(async () => {
  server = await startServer();
});
after(() => server.stop());

async function ownServer(t, args, options) {
  const own = await startServer(args, options);
  t.after(() => own.stop());
  return own;
}

/// One request on a connection of its own: `{ status, fields, body }`.
async function ask(t, request, { port = server.port, body } = {}) {
  const client = await dial(t, port);
  client.write(request);
  return client.answer({ body });
}

const get = (path, fields = '') => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${fields}\r\n`;

describe('health', () => {
  // covers A3-15
  test('GET says status, clients, rooms and uptime', TEST_MS, async (t) => {
    const own = await ownServer(t, []);
    const { status, fields, body } = await ask(t, get('/health'), { port: own.port });
    assert.equal(status, 200);
    assert.match(fields['content-type'], /^application\/json\b/);
    const { uptime, ...counts } = JSON.parse(body);
    assert.deepEqual(counts, { status: 'healthy', clients: 0, rooms: 0 });
    assert.equal(typeof uptime, 'number');
    assert.ok(uptime >= 0 && uptime < 60, `expected seconds, got ${uptime}`);

    const client = await connect(t, own.url);
    await client.join('a');
    await own.healthUntil(({ clients, rooms }) => clients === 1 && rooms === 1);
    client.socket.close();
    await own.healthUntil(({ clients, rooms }) => clients === 0 && rooms === 0);
  });

  // covers A3-15
  test('HEAD has the same head and no body', TEST_MS, async (t) => {
    const client = await dial(t, server.port);
    client.write('HEAD /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const { status, fields } = await client.answer({ body: false });
    assert.equal(status, 200);
    assert.match(fields['content-type'], /^application\/json\b/);
    assert.ok(Number(fields['content-length']) > 0, JSON.stringify(fields));
    await client.end();
    assert.equal(client.bytes.length, 0, `expected no body, got ${client.bytes}`);
  });

  // covers A3-15
  test('other methods get 405', TEST_MS, async (t) => {
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const request = `${method} /health HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}`;
      const { status, fields } = await ask(t, request);
      assert.equal(status, 405, method);
      assert.match(fields.allow, /GET/);
      assert.match(fields.allow, /HEAD/);
    }
  });

  // covers A3-15, A11-02
  test('liveness and readiness have paths of their own', TEST_MS, async (t) => {
    for (const path of ['/health/live', '/health/ready', '/health?verbose=1']) {
      assert.equal((await ask(t, get(path))).status, 200, path);
    }
  });

  // covers A3-15, A3-18
  test('any other path is not found', TEST_MS, async (t) => {
    for (const path of ['/nope', '/healthy', '/health/', '/HEALTH', '/ws/x', '/echo']) {
      const { status, body } = await ask(t, get(path));
      assert.deepEqual({ status, body }, { status: 404, body: 'Not found' }, path);
    }
  });
});

describe('upgrade', () => {
  // covers A3-18
  test('serves / and /ws, with or without a query', TEST_MS, async (t) => {
    for (const path of ['', 'ws', '?a=b', 'ws?token=x']) {
      const client = await connect(t, `${server.url}${path}`);
      await client.drain();
    }
  });

  // covers A3-18
  test('is asked for where it is needed, and refused elsewhere', TEST_MS, async (t) => {
    for (const request of [get('/ws'), get('/', 'Sec-WebSocket-Version: 13\r\n')]) {
      const { status, fields } = await ask(t, request);
      assert.equal(status, 426, request);
      assert.match(fields.upgrade, /^websocket$/i);
    }
    assert.equal(await refusedStatus(`${server.url}nope`), 404);
    assert.equal(await refusedStatus(`${server.url}echo`), 404);
  });

  // covers A3-18
  test('that is malformed gets 400, another version 426', TEST_MS, async (t) => {
    const malformed = {
      'no key': { 'Sec-WebSocket-Key': null },
      'a short key': { 'Sec-WebSocket-Key': 'YWJj' },
      'a key that is not base64': { 'Sec-WebSocket-Key': '!!!!!!!!!!!!!!!!!!!!!!==' },
    };
    for (const [what, fields] of Object.entries(malformed)) {
      const { status } = await ask(t, upgradeRequest('/', fields));
      assert.equal(status, 400, what);
    }
    const { status, fields } = await ask(t, upgradeRequest('/', { 'Sec-WebSocket-Version': '12' }));
    assert.equal(status, 426);
    assert.equal(fields['sec-websocket-version'], '13');
    const posted = upgradeRequest().replace('GET', 'POST');
    const answer = await ask(t, posted);
    assert.ok([400, 405].includes(answer.status), `expected 400 or 405, got ${answer.status}`);
  });

  // covers A9-02
  test('from a page that is not allowed gets 403', TEST_MS, async (t) => {
    const foreign = ['https://evil.example', 'http://127.0.0.1.evil.example', 'http://localhost.evil.example', 'null'];
    for (const origin of foreign) {
      assert.equal(await refusedStatus(server.url, { origin }), 403, origin);
    }
    for (const origin of [undefined, 'http://localhost:3000', 'http://127.0.0.1:5173']) {
      await connect(t, server.url, { origin });
    }
  });

  // covers A9-02
  test('origins are allowed by an exact list', TEST_MS, async (t) => {
    const origins = ['https://example.com', 'https://app.example.com'];
    const own = await ownServer(t, origins.flatMap((origin) => ['--allow-origin', origin]));
    for (const origin of origins) {
      await connect(t, own.url, { origin });
    }
    for (const origin of ['http://example.com', 'https://example.com:444', 'https://x.example.com']) {
      assert.equal(await refusedStatus(own.url, { origin }), 403, origin);
    }
  });

  // covers A9-02
  test('programs without an origin can be refused', TEST_MS, async (t) => {
    const own = await ownServer(t, [], { config: '[origin]\nallow_missing = false\n' });
    assert.equal(await refusedStatus(own.url), 403);
    await connect(t, own.url, { origin: 'http://localhost:3000' });
  });

  test('may be followed by frames in the same write', TEST_MS, async (t) => {
    const client = await dial(t, server.port);
    client.write(Buffer.concat([Buffer.from(upgradeRequest()), textFrame({ type: 'ping' })]));
    assert.equal((await client.answer({ body: false })).status, 101);
    assert.equal((await client.message()).type, 'welcome');
    assert.equal((await client.message()).type, 'pong');
  });
});

describe('connections', () => {
  test('one carries several requests, and then an upgrade', TEST_MS, async (t) => {
    const client = await dial(t, server.port);
    client.write(get('/health'));
    assert.equal((await client.answer()).status, 200);
    client.write(get('/nope'));
    assert.equal((await client.answer()).status, 404);
    await client.upgrade('/ws');
    assert.equal((await client.message()).type, 'welcome');
  });

  test('requests in one write are answered in order', TEST_MS, async (t) => {
    const client = await dial(t, server.port);
    client.write(get('/health/live') + get('/nope') + get('/health'));
    const statuses = [];
    for (let answers = 0; answers < 3; answers += 1) {
      statuses.push((await client.answer()).status);
    }
    assert.deepEqual(statuses, [200, 404, 200]);
  });

  test('Connection: close and HTTP/1.0 end after the answer', TEST_MS, async (t) => {
    for (const request of [get('/health', 'Connection: close\r\n'), 'GET /health HTTP/1.0\r\n\r\n']) {
      const client = await dial(t, server.port);
      client.write(request);
      assert.equal((await client.answer()).status, 200);
      await client.end();
    }
  });

  test('a client that finished writing still gets its answer', TEST_MS, async (t) => {
    const client = await dial(t, server.port);
    client.write(get('/health'));
    client.finish();
    assert.equal((await client.answer()).status, 200);
    await client.end();
  });

  // covers A3-19
  test('a WebSocket client that finished writing is gone', TEST_MS, async (t) => {
    const watcher = await connect(t, server.url);
    const client = await dialWebSocket(t, server.port);
    await watcher.join('half-closed');
    client.write(textFrame({ type: 'join', room: 'half-closed' }));
    await watcher.until('member_joined');
    client.finish();
    const { clientId, reason } = await watcher.until('member_left');
    assert.deepEqual({ clientId, reason }, { clientId: client.id, reason: 'disconnected' });
    await client.end();
  });

  test('a close is answered with its code', TEST_MS, async (t) => {
    for (const [payload, code] of [
      [closePayload(1000, 'bye'), 1000],
      [closePayload(3000), 3000],
      [closePayload(4999), 4999],
    ]) {
      const client = await dialWebSocket(t, server.port);
      client.write(frame(OPCODE.close, payload));
      assert.equal(await client.closeCode(), code);
      await client.end();
    }
    const client = await dialWebSocket(t, server.port);
    client.write(frame(OPCODE.close));
    assert.ok([1000, 1005].includes(await client.closeCode()));
    await client.end();
  });
});

describe('malformed requests', () => {
  const heads = {
    'no HTTP at all': '\u0016\u0003\u0001\u0002\u0000\u0001\r\n\r\n',
    'no version': 'GET /health\r\n\r\n',
    'another version': 'GET /health HTTP/3.7\r\nHost: a\r\n\r\n',
    'no host': 'GET /health HTTP/1.1\r\n\r\n',
    'a field without a colon': get('/health', 'nonsense\r\n'),
    'a space before the colon': get('/health', 'A : b\r\n'),
    'a control character in a field': get('/health', 'A: b\u0000c\r\n'),
    'two lengths': get('/health', 'Content-Length: 1\r\nContent-Length: 2\r\n'),
    'a length that is no number': get('/health', 'Content-Length: ten\r\n'),
    'a length and a transfer coding': get('/health', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'),
  };
  for (const [what, head] of Object.entries(heads)) {
    test(`${what}: refused, then closed`, TEST_MS, async (t) => {
      const client = await dial(t, server.port);
      client.write(Buffer.from(head, 'latin1'));
      const { status } = await client.answer();
      assert.ok([400, 501, 505].includes(status), `expected 400, 501 or 505, got ${status}`);
      await client.end();
    });
  }

  test('a body that is too large gets 413', TEST_MS, async (t) => {
    const client = await dial(t, server.port);
    client.write('POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n');
    const { status } = await client.answer();
    assert.ok([405, 413].includes(status), `expected 405 or 413, got ${status}`);
    await client.end();
  });

  test('too many fields get 431', TEST_MS, async (t) => {
    const fields = Array.from({ length: 200 }, (_, at) => `X-${at}: y\r\n`).join('');
    assert.equal((await ask(t, get('/health', fields))).status, 431);
  });

  test('the server goes on', TEST_MS, async (t) => {
    assert.equal((await ask(t, get('/health'))).status, 200);
  });
});

describe('behind a proxy', () => {
  const forwarded = (address) => ({ headers: { 'X-Forwarded-For': `1.1.1.1, ${address}, 10.0.0.1` } });
  const saysHello = async (client) => (await client.request({ type: 'hello' })).type;
  // What is said on one thread counts on the others a moment later; here it is counted to the message.
  const ONE_THREAD = ['--threads', '1'];

  // covers A3-06
  test('clients count by the address that a trusted proxy tells', TEST_MS, async (t) => {
    const config = '[limits]\nmax_connections_per_ip = 2\n[rate_limit]\nmessages = 2\naddress_factor = 1\n';
    const trusted = ['--trusted-proxy', '127.0.0.1', '--trusted-proxy', '10.0.0.0/8'];
    const own = await ownServer(t, [...ONE_THREAD, ...trusted], { config });
    const ada = await connect(t, own.url, forwarded('203.0.113.7'));
    const ada2 = await connect(t, own.url, forwarded('::ffff:203.0.113.7'));
    const bob = await connect(t, own.url, { headers: { Forwarded: 'for="[2001:db8::1]:4711"' } });
    assert.equal(await refusedStatus(own.url, forwarded('203.0.113.7')), 503);
    assert.deepEqual([await saysHello(ada), await saysHello(ada2), await saysHello(ada)], ['ack', 'ack', 'error']);
    assert.deepEqual([await saysHello(bob), await saysHello(bob), await saysHello(bob)], ['ack', 'ack', 'error']);
    const both = { headers: { Forwarded: 'for=203.0.113.8', 'X-Forwarded-For': '203.0.113.9' } };
    assert.equal(await refusedStatus(own.url, both), 400);
  });

  // covers A3-06
  test('nobody is believed who is no trusted proxy', TEST_MS, async (t) => {
    const config = '[rate_limit]\nmessages = 2\naddress_factor = 1\n';
    const own = await ownServer(t, [...ONE_THREAD, '--trusted-proxy', '10.0.0.0/8'], { config });
    const ada = await connect(t, own.url, forwarded('203.0.113.7'));
    const bob = await connect(t, own.url, forwarded('203.0.113.8'));
    assert.deepEqual([await saysHello(ada), await saysHello(bob), await saysHello(bob)], ['ack', 'ack', 'error']);
  });
});
