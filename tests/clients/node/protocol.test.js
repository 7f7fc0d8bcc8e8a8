'use strict';
// The JSON protocol, message by message, as npm `ws` sees it. Absence is shown by a ping's answer, not by waiting.

const assert = require('node:assert/strict');
const { after, before, describe, test } = require('node:test');
const { connect, connectMany, open } = require('./client');
const { sleep, startServer } = require('./server');

const TEST_MS = { timeout: 20_000 };

const ERROR_CODES = [
  'bad_json',
  'bad_message',
  'forbidden',
  'internal',
  'invalid_room',
  'no_such_room',
  'not_member',
  'rate_limited',
  'reserved',
  'room_full',
  'target_not_found',
  'too_large',
  'too_many_rooms',
  'unknown_type',
];

let server;
before(async () => {
  server = await startServer(['--rate-limit', 'off']);
});
after(() => server.stop());

/// A server of its own for one test.
async function ownServer(t, args, options) {
  const own = await startServer(args, options);
  t.after(() => own.stop());
  return own;
}

/// Milliseconds that a server stamped just now.
function assertNow(timestamp) {
  assert.equal(typeof timestamp, 'number');
  assert.ok(Math.abs(timestamp - Date.now()) < 60_000, `expected about ${Date.now()}, got ${timestamp}`);
}

/// The message without its server time, which must be now.
function untimed({ timestamp, ...rest }) {
  assertNow(timestamp);
  return rest;
}

let rooms = 0;
/// A room name no other test uses.
const newRoom = () => `room-${(rooms += 1)}`;

/// `count` clients in one room, their inboxes empty.
async function roomOf(t, count, room = newRoom()) {
  const clients = await connectMany(t, server.url, count);
  for (const client of clients) {
    await client.join(room);
  }
  for (const client of clients) {
    await client.drain();
  }
  return { room, clients };
}

describe('welcome', () => {
  // covers A2-01
  test('is the first message and says who the client is and what the limits are', TEST_MS, async (t) => {
    const limited = await ownServer(t, ['--heartbeat-interval-ms', '20000', '--heartbeat-timeout-ms', '7000']);
    const client = await open(t, limited.url);
    const { clientId, ...welcome } = untimed(await client.next());
    assert.match(clientId, /^client_\S{24}$/);
    assert.deepEqual(welcome, {
      type: 'welcome',
      protocol: 1,
      resumed: false,
      heartbeatIntervalMs: 20_000,
      heartbeatTimeoutMs: 7_000,
      limits: {
        maxMessageBytes: 1_048_576,
        maxRooms: 256,
        maxRoomNameBytes: 255,
        rate: { messages: 100, perMs: 60_000 },
      },
    });
    const unlimited = await connect(t, server.url);
    assert.equal(unlimited.welcome.limits.rate, null);
  });

  // covers A2-01
  test('comes first to a client that speaks at once, and to one that listens late', TEST_MS, async (t) => {
    const eager = await open(t, server.url);
    eager.send({ type: 'ping' });
    await eager.expect('welcome');
    await eager.expect('pong');

    const undelayed = await ownServer(t, ['--welcome-delay-ms', '0']);
    const client = await open(t, undelayed.url);
    await client.expect('welcome');
  });

  // covers A2-01
  test('everything else waits behind it', TEST_MS, async (t) => {
    const slow = await ownServer(t, ['--welcome-delay-ms', '300']);
    const sender = await open(t, slow.url);
    sender.send({ type: 'ping' });
    await sender.expect('welcome');
    const receiver = await open(t, slow.url);
    sender.send({ type: 'broadcast', data: 'early' });
    await sender.until('pong');
    const first = await receiver.next();
    assert.equal(first.type, 'welcome');
  });

  // covers A3-05
  test('ids are unique and share no visible order', TEST_MS, async (t) => {
    const clients = await connectMany(t, server.url, 50);
    const ids = clients.map((client) => client.id);
    assert.equal(new Set(ids).size, ids.length);
    assert.equal(new Set(ids.map((id) => id.slice(7, 15))).size, ids.length, `expected random ids, got ${ids}`);
  });
});

describe('ping', () => {
  // covers A1-01, A2-02
  test('is answered with the server clock and the client clock', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    client.send({ type: 'ping' });
    assert.deepEqual(untimed(await client.next()), { type: 'pong' });
    client.send({ type: 'ping', timestamp: 1_234 });
    assert.deepEqual(untimed(await client.next()), { type: 'pong', clientTimestamp: 1_234 });
    client.send('{"type":"ping","timestamp":12345678901234567890.50}');
    const { text } = await client.next();
    assert.match(text, /"clientTimestamp":12345678901234567890\.50[,}]/);
  });

  // covers A1-01
  test('does not use up the message quota', TEST_MS, async (t) => {
    const limited = await ownServer(t, ['--rate-limit', '5/60']);
    const client = await connect(t, limited.url);
    for (let sent = 0; sent < 50; sent += 1) {
      client.send({ type: 'ping' });
    }
    for (let got = 0; got < 50; got += 1) {
      await client.expect('pong');
    }
    await client.join('a');
  });

  // covers A1-01
  test('has a cap of its own', TEST_MS, async (t) => {
    const limited = await ownServer(t, []);
    const client = await connect(t, limited.url);
    for (let sent = 0; sent < 400; sent += 1) {
      client.send({ type: 'ping' });
    }
    assert.equal((await client.closed()).code, 1008);
    assert.equal(client.inbox.filter(({ type }) => type === 'pong').length >= 290, true);
  });

  // covers A1-01, A3-09
  test('any traffic counts as life; a client that shows none is gone in time', TEST_MS, async (t) => {
    const strict = await ownServer(t, ['--heartbeat-interval-ms', '300', '--heartbeat-timeout-ms', '300']);
    const [watcher, talker, silent] = await Promise.all([
      connect(t, strict.url),
      connect(t, strict.url, { autoPong: false }),
      connect(t, strict.url, { autoPong: false }),
    ]);
    for (const client of [watcher, talker, silent]) {
      await client.join('a');
    }
    let pinged = 0;
    talker.socket.on('ping', () => {
      pinged += 1;
    });
    const began = Date.now();
    const talk = setInterval(() => talker.send({ type: 'hello' }), 100);
    t.after(() => clearInterval(talk));
    const { reason, clientId } = await watcher.until('member_left', 3_000);
    const took = Date.now() - began;
    assert.deepEqual({ reason, clientId }, { reason: 'timeout', clientId: silent.id });
    assert.ok(took >= 250 && took < 2_000, `expected 300 to 600 ms, got ${took} ms`);
    await sleep(1_000);
    assert.deepEqual(
      (await watcher.drain()).filter(({ type }) => type === 'member_left'),
      [],
    );
    await talker.drain();
    // Signs of life do not stop the pings for good, and their answers alone keep the watcher.
    assert.ok(pinged < 20, `expected few pings, got ${pinged}`);
  });
});

describe('join', () => {
  // covers A1-02, A2-03, A2-04
  test('makes a room, replies with the members and tells the others once', TEST_MS, async (t) => {
    const room = newRoom();
    const [first, second, outsider] = await connectMany(t, server.url, 3);
    first.send({ type: 'join', room });
    assert.deepEqual(await first.next(), { type: 'joined_room', room, members: [first.id], total: 1 });
    second.send({ type: 'join', room });
    const { members, ...reply } = await second.next();
    assert.deepEqual(reply, { type: 'joined_room', room, total: 2 });
    assert.deepEqual(members.toSorted(), [first.id, second.id].toSorted());
    assert.deepEqual(await first.drain(), [{ type: 'member_joined', room, clientId: second.id }]);
    await second.silent();
    await outsider.silent();
  });

  // covers A1-02, A2-04
  test('again is answered, and nobody else hears of it', TEST_MS, async (t) => {
    const { room, clients } = await roomOf(t, 2);
    const reply = await clients[1].join(room);
    assert.equal(reply.total, 2);
    assert.equal(reply.members.length, 2);
    await clients[0].silent();
  });

  // covers A1-02
  test('needs a name that is a string of 1 to 255 bytes without control characters', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    for (const room of [undefined, null, 7, true, {}, ['a']]) {
      await client.refused({ type: 'join', room }, 'bad_message');
    }
    for (const room of ['', 'a'.repeat(256), 'é'.repeat(128), 'a\u0000b', 'a\nb', '\u007f']) {
      await client.refused({ type: 'join', room }, 'invalid_room');
    }
    const allowed = ['a', 'a'.repeat(255), `${'é'.repeat(127)}a`, 'Raum "1" <b> & 漢字 🙂', '__proto__', '../x'];
    for (const room of allowed) {
      assert.equal((await client.join(room)).room, room);
    }
  });

  // covers A1-02
  test('refuses names that belong to the server', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    await client.refused({ type: 'join', room: 'user:someone' }, 'reserved');
    await client.join('users');
  });

  // covers A1-02
  test('stops at the configured numbers of rooms and members', TEST_MS, async (t) => {
    const config = '[limits]\nmax_rooms_per_client = 2\nmax_members_per_room = 2\nmax_rooms = 3\n';
    // One thread: what others hold is known a moment later.
    const small = await ownServer(t, ['--threads', '1'], { config });
    const [a, b, c] = await connectMany(t, small.url, 3);
    await a.join('one');
    await a.join('two');
    await a.refused({ type: 'join', room: 'three' }, 'too_many_rooms');
    await a.join('one');
    await b.join('one');
    await c.refused({ type: 'join', room: 'one' }, 'room_full');
    await b.join('three');
    await c.refused({ type: 'join', room: 'four' }, 'too_many_rooms');
    await b.request({ type: 'leave', room: 'three' });
    await c.join('four');
  });

  // covers A2-03
  test('lists at most 100 members with the total, and pages through the rest', TEST_MS, async (t) => {
    const room = newRoom();
    const clients = await connectMany(t, server.url, 105);
    await Promise.all(clients.slice(1).map((client) => client.join(room)));
    const last = clients[0];
    const reply = await last.join(room);
    assert.equal(reply.total, 105);
    assert.equal(reply.members.length, 100);
    assert.ok(reply.members.includes(last.id), 'expected the caller in the list');

    const listed = [];
    let after;
    for (let page = 0; page < 20; page += 1) {
      const { type, id, members, ...rest } = await last.request({ type: 'members', room, after, limit: 25 });
      assert.equal(type, 'members', `expected members, got ${JSON.stringify({ type, ...rest })}`);
      assert.deepEqual(rest, { room, total: 105, more: members.length === 25 && listed.length + 25 < 105 });
      listed.push(...members);
      after = members.at(-1);
      if (!rest.more) {
        break;
      }
    }
    assert.deepEqual(listed.toSorted(), clients.map(({ id }) => id).toSorted());
  });

  // covers A2-03
  test('the list and the notices are of one instant', TEST_MS, async (t) => {
    const room = newRoom();
    const clients = await connectMany(t, server.url, 30);
    clients.forEach((client) => client.send({ type: 'join', room }));
    const all = clients.map(({ id }) => id).toSorted();
    for (const client of clients) {
      const { members } = await client.until('joined_room');
      const rest = all.length - members.length;
      const announced = [];
      for (let at = 0; at < rest; at += 1) {
        announced.push((await client.until('member_joined')).clientId);
      }
      assert.deepEqual([...members, ...announced].toSorted(), all);
      await client.silent();
    }
  });

  // covers A2-04
  test('is told in sums once a room is large', TEST_MS, async (t) => {
    const config = '[[room]]\npattern = "*"\nnotice_members = 3\nnotice_interval_ms = 200\n';
    const crowded = await ownServer(t, [], { config });
    const clients = await connectMany(t, crowded.url, 10);
    for (const client of clients) {
      await client.join('a');
    }
    const [first] = clients;
    let seen = 1;
    for (let notices = 0; seen < 10 && notices < 20; notices += 1) {
      const notice = await first.next();
      if (notice.type === 'member_joined') {
        seen += 1;
      } else {
        const { type, room, joined, left, total } = notice;
        assert.deepEqual({ type, room, left }, { type: 'members_changed', room: 'a', left: 0 });
        seen += joined;
        assert.equal(total >= seen, true, JSON.stringify(notice));
      }
    }
    assert.equal(seen, 10);
    assert.ok(first.inbox.length === 0, `expected no more, got ${JSON.stringify(first.inbox)}`);
  });
});

describe('members', () => {
  // covers A1-07
  test('can carry the metadata of each', TEST_MS, async (t) => {
    const { room, clients } = await roomOf(t, 2);
    await clients[0].request({ type: 'set_metadata', metadata: { name: 'one' } });
    await clients[1].until('member_updated');
    const page = await clients[1].request({ type: 'members', room, metadata: true });
    assert.deepEqual(page.metadata, { [clients[0].id]: { name: 'one' }, [clients[1].id]: {} });
    const plain = await clients[1].request({ type: 'members', room });
    assert.equal('metadata' in plain, false);
  });

  test('are only told to members', TEST_MS, async (t) => {
    const { room } = await roomOf(t, 1);
    const outsider = await connect(t, server.url);
    await outsider.refused({ type: 'members', room }, 'not_member');
    await outsider.refused({ type: 'members', room: newRoom() }, 'no_such_room');
  });
});

describe('leave', () => {
  // covers A1-03, A2-05, A2-10
  test('is answered, and the others are told why', TEST_MS, async (t) => {
    const { room, clients } = await roomOf(t, 3);
    clients[0].send({ type: 'leave', room });
    assert.deepEqual(await clients[0].next(), { type: 'left_room', room });
    for (const client of clients.slice(1)) {
      assert.deepEqual(await client.drain(), [
        { type: 'member_left', room, clientId: clients[0].id, reason: 'left' },
      ]);
    }
    await clients[0].silent();
  });

  // covers A1-03, A2-05
  test('of someone who was never there is refused and announced to nobody', TEST_MS, async (t) => {
    const { room, clients } = await roomOf(t, 1);
    const outsider = await connect(t, server.url);
    await outsider.refused({ type: 'leave', room }, 'not_member');
    const nowhere = await outsider.request({ type: 'leave', room: newRoom() });
    assert.equal(nowhere.type, 'error');
    assert.ok(['not_member', 'no_such_room'].includes(nowhere.code), JSON.stringify(nowhere));
    await clients[0].silent();
  });

  // covers A2-05, A3-08
  test('a connection that ends leaves each of its rooms exactly once', TEST_MS, async (t) => {
    const { room, clients } = await roomOf(t, 2);
    const other = newRoom();
    const left = newRoom();
    const [stays, goes] = clients;
    for (const name of [other, left]) {
      await stays.join(name);
      await goes.join(name);
    }
    await goes.request({ type: 'leave', room: left });
    await stays.drain();
    goes.socket.close(1000);
    const notices = [await stays.until('member_left'), await stays.until('member_left')];
    assert.deepEqual(
      notices.toSorted((a, b) => (a.room < b.room ? -1 : 1)),
      [room, other]
        .toSorted()
        .map((name) => ({ type: 'member_left', room: name, clientId: goes.id, reason: 'disconnected' })),
    );
    assert.equal((await goes.closed()).code, 1000);
    await stays.silent();
  });

  // covers A3-10
  test('the last member takes the room along', TEST_MS, async (t) => {
    const own = await ownServer(t, []);
    const client = await connect(t, own.url);
    await client.join('a');
    await own.healthUntil(({ rooms }) => rooms === 1);
    await client.request({ type: 'leave', room: 'a' });
    await own.healthUntil(({ rooms }) => rooms === 0);
    await client.refused({ type: 'room_message', room: 'a', data: 1 }, 'no_such_room');
  });
});

describe('broadcast', () => {
  // covers A1-04, A2-09, A0-1
  test('reaches every other client in an envelope that names the sender', TEST_MS, async (t) => {
    const own = await ownServer(t, []);
    const [sender, ...others] = await connectMany(t, own.url, 3);
    const data = { type: 'private_message', from: 'admin', text: '<b>&"\'</b>' };
    sender.send({ type: 'broadcast', from: 'admin', data });
    for (const client of others) {
      assert.deepEqual(untimed(await client.next()), { type: 'broadcast', from: sender.id, data });
      await client.silent();
    }
    await sender.silent();
  });

  // covers A1-04
  test('needs data', TEST_MS, async (t) => {
    const own = await ownServer(t, []);
    const [sender, other] = await connectMany(t, own.url, 2);
    await sender.refused({ type: 'broadcast' }, 'bad_message');
    await other.silent();
    assert.equal((await sender.request({ type: 'broadcast', data: null })).type, 'ack');
    assert.equal((await other.expect('broadcast')).data, null);
  });

  // covers A1-04
  test('is a permission', TEST_MS, async (t) => {
    const own = await ownServer(t, [], { config: 'broadcast = "deny"\n' });
    const [sender, other] = await connectMany(t, own.url, 2);
    await sender.refused({ type: 'broadcast', data: 1 }, 'forbidden');
    await other.silent();
  });
});

describe('room_message', () => {
  // covers A1-05, A2-09, A0-1
  test('reaches the other members in an envelope that names room and sender', TEST_MS, async (t) => {
    const { room, clients } = await roomOf(t, 3);
    const outsider = await connect(t, server.url);
    const [sender, ...others] = clients;
    const data = { text: 'hello', from: 'admin', type: 'welcome' };
    sender.send({ type: 'room_message', room, data, from: 'admin' });
    for (const client of others) {
      assert.deepEqual(untimed(await client.next()), { type: 'room_message', room, from: sender.id, data });
      await client.silent();
    }
    await sender.silent();
    await outsider.silent();
  });

  // covers A1-05
  test('from outside, to nowhere or without data is refused', TEST_MS, async (t) => {
    const { room, clients } = await roomOf(t, 1);
    const outsider = await connect(t, server.url);
    await outsider.refused({ type: 'room_message', room, data: 1 }, 'not_member');
    await outsider.refused({ type: 'room_message', room: newRoom(), data: 1 }, 'no_such_room');
    await outsider.refused({ type: 'room_message', data: 1 }, 'bad_message');
    await clients[0].refused({ type: 'room_message', room }, 'bad_message');
    await clients[0].silent();
  });

  // covers A1-05
  test('keeps its order', TEST_MS, async (t) => {
    const { room, clients } = await roomOf(t, 3);
    const [sender, ...others] = clients;
    const count = 1_000;
    for (let data = 0; data < count; data += 1) {
      sender.send({ type: 'room_message', room, data });
    }
    for (const client of others) {
      for (let data = 0; data < count; data += 1) {
        assert.equal((await client.expect('room_message')).data, data);
      }
    }
  });
});

describe('private_message', () => {
  // covers A1-06, A2-06
  test('reaches its target with the true sender', TEST_MS, async (t) => {
    const [sender, target, other] = await connectMany(t, server.url, 3);
    const data = { from: 'admin', text: 'psst' };
    sender.send({ type: 'private_message', to: target.id, data, from: 'admin', timestamp: 1 });
    const message = await target.next();
    assert.deepEqual(untimed(message), { type: 'private_message', from: sender.id, data });
    assert.equal(message.text.match(/"from"/g).length, 2, `expected one stamp beside the data, got ${message.text}`);
    await sender.silent();
    await other.silent();
  });

  // covers A1-06
  test('tells the sender what became of it', TEST_MS, async (t) => {
    const [sender, target] = await connectMany(t, server.url, 2);
    const message = { type: 'private_message', data: 1 };
    assert.equal((await sender.request({ ...message, to: target.id })).type, 'ack');
    await sender.refused({ ...message, to: `client_${'A'.repeat(24)}` }, 'target_not_found');
    await sender.refused({ ...message, to: 'nobody' }, 'target_not_found');
    await sender.refused({ ...message }, 'bad_message');
    await sender.refused({ ...message, to: 7 }, 'bad_message');
    await sender.refused({ type: 'private_message', to: target.id }, 'bad_message');
    const room = newRoom();
    await sender.join(room);
    await target.join(room);
    target.socket.close();
    await sender.until('member_left');
    await sender.refused({ ...message, to: target.id }, 'target_not_found');
  });

  // covers A1-06
  test('can be kept to clients that share a room', TEST_MS, async (t) => {
    const own = await ownServer(t, [], { config: 'private_messages_need_shared_room = true\n' });
    const [sender, target] = await connectMany(t, own.url, 2);
    const message = { type: 'private_message', to: target.id, data: 1 };
    const outcome = await sender.request(message);
    assert.equal(outcome.type, 'error', JSON.stringify(outcome));
    assert.ok(['forbidden', 'target_not_found'].includes(outcome.code), JSON.stringify(outcome));
    await target.silent();
    await sender.join('a');
    await target.join('a');
    assert.equal((await sender.request(message)).type, 'ack');
    await target.until('private_message');
  });
});

describe('set_metadata', () => {
  // covers A1-07, A2-07
  test('merges, deletes with null, and replies with the whole', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    client.send({ type: 'set_metadata', metadata: { name: 'Ada', level: 1 } });
    assert.deepEqual(await client.next(), { type: 'metadata_updated', metadata: { name: 'Ada', level: 1 } });
    client.send({ type: 'set_metadata', metadata: { level: { deep: [1, null] }, name: null, gone: null } });
    assert.deepEqual(await client.next(), { type: 'metadata_updated', metadata: { level: { deep: [1, null] } } });
  });

  // covers A1-07
  test('is told to the members of shared rooms', TEST_MS, async (t) => {
    const { room, clients } = await roomOf(t, 2);
    const outsider = await connect(t, server.url);
    await clients[0].request({ type: 'set_metadata', metadata: { name: 'Ada' } });
    assert.deepEqual(await clients[1].drain(), [
      { type: 'member_updated', room, clientId: clients[0].id, metadata: { name: 'Ada' } },
    ]);
    await clients[0].silent();
    await outsider.silent();
  });

  // covers A1-07
  test('takes an object within its caps and nothing else', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    for (const metadata of [undefined, null, 'ab', 7, ['a']]) {
      await client.refused({ type: 'set_metadata', metadata }, 'bad_message');
    }
    await client.refused({ type: 'set_metadata', metadata: { a: 'x'.repeat(4_096) } }, 'too_large');
    const keys = (count) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, at]));
    await client.refused({ type: 'set_metadata', metadata: keys(33) }, 'too_large');
    const reply = await client.request({ type: 'set_metadata', metadata: keys(32) });
    assert.deepEqual(reply.metadata, keys(32));
    await client.refused({ type: 'set_metadata', metadata: { one_more: 1 } }, 'too_large');
    const swapped = await client.request({ type: 'set_metadata', metadata: { k0: null, one_more: 1 } });
    assert.equal(swapped.metadata.one_more, 1);
  });
});

describe('hello', () => {
  // covers A1-08
  test('is taken as a greeting and never as an identity', TEST_MS, async (t) => {
    const [client, other] = await connectMany(t, server.url, 2);
    client.send({ type: 'hello', user: 'JavaScript Client' });
    await client.silent();
    assert.equal((await client.request({ type: 'hello', user: 'JavaScript Client' })).type, 'ack');
    assert.equal((await client.request({ type: 'hello' })).type, 'ack');
    await client.refused({ type: 'hello', user: 'x'.repeat(1_000) }, 'too_large');
    await client.request({ type: 'private_message', to: other.id, data: 1 });
    assert.equal((await other.next()).from, client.id);
  });
});

describe('typing', () => {
  test('is told to the others and expires', TEST_MS, async (t) => {
    const own = await ownServer(t, [], { config: '[timeouts]\ntyping_ms = 300\n' });
    const [typist, reader] = await connectMany(t, own.url, 2);
    await typist.join('a');
    await reader.join('a');
    await typist.drain();
    const notice = { room: 'a', clientId: typist.id };
    typist.send({ type: 'typing_start', room: 'a' });
    assert.deepEqual(await reader.next(), { type: 'user_typing', ...notice });
    typist.send({ type: 'typing_stop', room: 'a' });
    assert.deepEqual(await reader.next(), { type: 'user_stopped_typing', ...notice });
    typist.send({ type: 'typing_start', room: 'a' });
    await reader.expect('user_typing');
    const began = Date.now();
    assert.deepEqual(await reader.next(), { type: 'user_stopped_typing', ...notice });
    const took = Date.now() - began;
    assert.ok(took >= 150 && took < 2_000, `expected about 300 ms, got ${took} ms`);
    await typist.silent();
    const outsider = await connect(t, own.url);
    await outsider.refused({ type: 'typing_start', room: 'a' }, 'not_member');
  });
});

describe('what is not understood', () => {
  // covers A1-11
  test('an unknown type is an error, however often', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    for (let sent = 0; sent < 50; sent += 1) {
      client.send({ type: 'no_such_type' });
      assert.equal((await client.expect('error')).code, 'unknown_type');
    }
    for (const type of ['', 'PING', ' ping', 'welcome', '__proto__', 'constructor']) {
      await client.refused({ type }, 'unknown_type');
    }
  });

  // covers A1-12, A2-08, A13-03
  test('text that is not JSON', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    const broken = ['not json', '', '{', '{"type":"ping"', "{'type':'ping'}", '{"type":"ping"}x', '{"type":"ping",}'];
    for (const text of broken) {
      client.send(text);
      assert.deepEqual(await client.next(), {
        type: 'error',
        code: 'bad_json',
        message: 'Invalid message format',
      });
    }
    client.send(' {\n"type" :\t"ping" } ');
    await client.expect('pong');
  });

  // covers A1-12
  test('is not heard for ever: close 1008', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    for (let sent = 0; sent < 19; sent += 1) {
      client.send('not json');
      assert.equal((await client.expect('error')).code, 'bad_json');
    }
    await client.silent();
    client.send('not json');
    client.send('not json');
    assert.equal((await client.closed()).code, 1008);
  });

  // covers A1-13
  test('JSON that is no object', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    for (const text of ['null', '42', '-1e9', '"ping"', 'true', '[]', '[{"type":"ping"}]']) {
      client.send(text);
      assert.equal((await client.expect('error')).code, 'bad_message', text);
    }
    await client.silent();
  });

  // covers A1-14
  test('an object without a type that is a string', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    for (const message of [{}, { type: null }, { type: 1 }, { type: ['ping'] }, { type: { type: 'ping' } }]) {
      await client.refused(message, 'bad_message');
    }
    await client.silent();
  });

  // covers A13-03
  test('binary, which is refused while text goes on', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    client.send(Buffer.from('{"type":"ping"}'));
    assert.equal((await client.expect('error')).code, 'bad_message');
    client.send(Buffer.alloc(0));
    assert.equal((await client.expect('error')).code, 'bad_message');
    await client.silent();
  });
});

describe('JSON at its edges', () => {
  // covers A1-15
  test('of duplicate keys the last wins', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    const room = newRoom();
    client.send(`{"type":"ping","room":"x","type":"join","room":"${room}"}`);
    const reply = await client.expect('joined_room');
    assert.equal(reply.room, room);
  });

  // covers A1-15
  test('depth and the number of fields are bounded', TEST_MS, async (t) => {
    const { room, clients } = await roomOf(t, 2);
    const [sender, receiver] = clients;
    const nested = (depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    sender.send(`{"type":"room_message","room":"${room}","data":${nested(60)}}`);
    await receiver.expect('room_message');
    for (const depth of [70, 10_000, 200_000]) {
      sender.send(`{"type":"room_message","room":"${room}","data":${nested(depth)}}`);
      assert.equal((await sender.expect('error')).code, 'bad_message');
    }
    const fields = (count) => Array.from({ length: count }, (_, at) => `,"f${at}":1`).join('');
    sender.send(`{"type":"ping"${fields(60)}}`);
    await sender.expect('pong');
    sender.send(`{"type":"ping"${fields(70)}}`);
    assert.equal((await sender.expect('error')).code, 'bad_message');
    await receiver.silent();
  });

  // covers A1-15, A0-9, A9-07
  test('data arrives byte for byte', TEST_MS, async (t) => {
    const { room, clients } = await roomOf(t, 2);
    const [sender, receiver] = clients;
    const payloads = [
      '12345678901234567890123',
      '-0.0',
      '1.0',
      '1e400',
      '0.1e-7',
      '9007199254740993',
      '"\\ud800"',
      '"\\u0041\\/é漢🙂"',
      '"<script>&amp;\\u003c\'\\""',
      '{"b":1,"a":2,"b":3,"__proto__":{"x":1},"hasOwnProperty":1}',
      '[null,true,{"from":"admin"},[]]',
    ];
    for (const data of payloads) {
      sender.send(`{"type":"room_message","data":${data},"room":"${room}"}`);
      const { text } = await receiver.expect('room_message');
      assert.ok(text.includes(`"data":${data}`), `expected ${data} untouched, got ${text}`);
    }
  });

  // covers A1-15
  test('a room cannot be named by half a character', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    client.send('{"type":"join","room":"\\ud800","id":1}');
    const { type, code } = await client.next();
    assert.equal(type, 'error');
    assert.ok(['bad_json', 'bad_message', 'invalid_room'].includes(code), `got ${code}`);
    assert.equal((await client.join('\u{1f642}')).room, '\u{1f642}');
  });
});

describe('outcomes', () => {
  // covers A1-16
  test('every request with an id has exactly one, which echoes it', TEST_MS, async (t) => {
    const { room, clients } = await roomOf(t, 2);
    const [client, other] = clients;
    const cases = [
      [{ type: 'ping' }, 'pong'],
      [{ type: 'join', room }, 'joined_room'],
      [{ type: 'room_message', room, data: 1 }, 'ack'],
      [{ type: 'private_message', to: other.id, data: 1 }, 'ack'],
      [{ type: 'set_metadata', metadata: {} }, 'metadata_updated'],
      [{ type: 'hello', user: 'me' }, 'ack'],
      [{ type: 'members', room }, 'members'],
      [{ type: 'typing_start', room }, 'ack'],
      [{ type: 'typing_stop', room }, 'ack'],
      [{ type: 'leave', room }, 'left_room'],
      [{ type: 'leave', room }, 'error'],
      [{ type: 'broadcast', data: 1 }, 'ack'],
      [{ type: 'no_such_type' }, 'error'],
      [{ type: 'join' }, 'error'],
    ];
    for (const id of ['text "quoted" é', 7, 0, -1.5, '']) {
      for (const [message, outcome] of cases) {
        client.send({ ...message, id });
        const reply = await client.take((got) => got.id !== undefined, `the outcome of ${JSON.stringify(message)}`);
        assert.equal(reply.type, outcome, `${JSON.stringify(message)} got ${JSON.stringify(reply)}`);
        assert.equal(reply.id, id);
      }
    }
    assert.deepEqual(
      (await client.drain()).filter((message) => 'id' in message),
      [],
    );
  });

  // covers A1-16
  test('without an id there is no ack', TEST_MS, async (t) => {
    const { room, clients } = await roomOf(t, 2);
    clients[0].send({ type: 'room_message', room, data: 1 });
    clients[0].send({ type: 'private_message', to: clients[1].id, data: 1 });
    await clients[0].silent();
  });

  // covers A1-16
  test('an id is a string or a number of at most 128 bytes', TEST_MS, async (t) => {
    const client = await connect(t, server.url);
    for (const id of [{}, [1], true, 'x'.repeat(200)]) {
      client.send({ type: 'ping', id });
      const { type, code } = await client.next();
      assert.deepEqual({ type, code }, { type: 'error', code: 'bad_message' }, JSON.stringify(id));
    }
    client.send({ type: 'ping', id: 'x'.repeat(126) });
    assert.equal((await client.expect('pong')).id, 'x'.repeat(126));
    client.send('{"type":"ping","id":12345678901234567890}');
    assert.match((await client.next()).text, /"id":12345678901234567890[,}]/);
  });

  // covers A2-08
  test('errors keep a message and have a code from the closed list', TEST_MS, async (t) => {
    const { room } = await roomOf(t, 1);
    const client = await connect(t, server.url);
    const wrong = [
      { type: 'nope' },
      { type: 'join' },
      { type: 'join', room: '' },
      { type: 'join', room: 'user:me' },
      { type: 'leave', room },
      { type: 'room_message', room: newRoom(), data: 1 },
      { type: 'private_message', to: 'x', data: 1 },
    ];
    for (const message of wrong) {
      const outcome = await client.request(message);
      assert.deepEqual(Object.keys(outcome).toSorted(), ['code', 'id', 'message', 'type']);
      assert.ok(ERROR_CODES.includes(outcome.code), `unknown code in ${JSON.stringify(outcome)}`);
      assert.ok(outcome.message.length > 0);
    }
  });
});

describe('limits', () => {
  // covers A2-08, A9-05
  test('too many messages are refused with a time to wait', TEST_MS, async (t) => {
    const limited = await ownServer(t, ['--rate-limit', '5/10']);
    const [client, other] = await connectMany(t, limited.url, 2);
    for (let sent = 0; sent < 5; sent += 1) {
      await client.request({ type: 'hello' });
    }
    const { retryAfterMs } = await client.refused({ type: 'join', room: 'a' }, 'rate_limited');
    assert.ok(retryAfterMs > 0 && retryAfterMs <= 2_000, `expected 1 to 2000 ms, got ${retryAfterMs}`);
    await other.join('a');
    await sleep(retryAfterMs + 50);
    await client.join('a');
  });

  // covers A9-05
  test('a hundred messages a minute are the default', TEST_MS, async (t) => {
    const limited = await ownServer(t, []);
    const client = await connect(t, limited.url);
    for (let sent = 0; sent < 100; sent += 1) {
      assert.equal((await client.request({ type: 'hello' })).type, 'ack', `message ${sent + 1}`);
    }
    const { retryAfterMs } = await client.refused({ type: 'hello' }, 'rate_limited');
    assert.ok(retryAfterMs > 0 && retryAfterMs <= 600, `expected 1 to 600 ms, got ${retryAfterMs}`);
  });

  // covers A9-05
  test('a new connection from the same address gains nothing beyond 20 times the quota', TEST_MS, async (t) => {
    const limited = await ownServer(t, ['--rate-limit', '5/60']);
    let acks = 0;
    for (let connections = 0; connections < 25; connections += 1) {
      const client = await connect(t, limited.url);
      for (let sent = 0; sent < 5; sent += 1) {
        const outcome = await client.request({ type: 'hello' });
        assert.ok(outcome.type === 'ack' || outcome.code === 'rate_limited', JSON.stringify(outcome));
        acks += outcome.type === 'ack' ? 1 : 0;
      }
      client.socket.close();
    }
    assert.ok(acks >= 100 && acks <= 105, `expected 100 and what 60 s refill meanwhile, got ${acks}`);
  });

  // covers A9-05
  test('who goes on after a hundred refusals is closed with 1008', TEST_MS, async (t) => {
    const config = '[rate_limit]\nthrottle_after = 100\n';
    const limited = await ownServer(t, ['--rate-limit', '5/60'], { config });
    const client = await connect(t, limited.url);
    for (let sent = 0; sent < 300; sent += 1) {
      client.send({ type: 'hello' });
    }
    assert.equal((await client.closed()).code, 1008);
    const refusals = client.inbox.filter(({ code }) => code === 'rate_limited').length;
    assert.ok(refusals >= 90 && refusals <= 101, `expected about 100 refusals, got ${refusals}`);
  });

  // covers A9-05
  test('who goes on is read no faster than it may send, and then closed with 1008', TEST_MS, async (t) => {
    const config = '[rate_limit]\nmessages = 1\nper_ms = 100\nthrottle_after = 2\nrefusals = 12\n';
    const limited = await ownServer(t, [], { config });
    const client = await connect(t, limited.url);
    for (let sent = 0; sent < 100; sent += 1) {
      client.send({ type: 'hello', id: sent });
    }
    assert.equal((await client.closed()).code, 1008);
    const outcomes = client.inbox.filter(({ type }) => type === 'ack' || type === 'error');
    assert.deepEqual(outcomes.map(({ id }) => id), outcomes.map((_, index) => index));
    // Two refusals of which it is only told, ten for each of which it waits until one more message passes, the last.
    const refused = outcomes.filter(({ type }) => type === 'error').length;
    assert.ok(refused >= 13, `expected at least 13 refusals, got ${refused}`);
    assert.ok(outcomes.length - refused >= 11, `expected an ack for each wait, got ${outcomes.length - refused}`);
  });

  // covers A3-16
  test('a message of 1 MiB passes, a larger one closes with 1009', TEST_MS, async (t) => {
    const { room, clients } = await roomOf(t, 2);
    const [sender, receiver] = clients;
    const head = `{"type":"room_message","room":"${room}","data":"`;
    const message = (bytes) => `${head}${'x'.repeat(bytes - head.length - 2)}"}`;
    sender.send(message(1_048_576));
    assert.equal((await receiver.expect('room_message')).data.length, 1_048_576 - head.length - 2);
    sender.send(message(1_048_577));
    assert.equal((await sender.closed()).code, 1009);
    await receiver.until('member_left');
  });

  // covers A7-03, A2-11
  test('messages come in batches, and replies for who has asked for it', TEST_MS, async (t) => {
    const { room, clients } = await roomOf(t, 2);
    const [sender, receiver] = clients;
    const say = (data, id) => ({ type: 'room_message', room, data, id });
    const messages = [say('one', 1), { type: 'batch', messages: [say('no', 2)], id: 3 }, say('two', 4)];
    sender.send({ type: 'batch', messages, id: 5 });
    for (const [type, id] of [['ack', 1], ['error', 3], ['ack', 4], ['ack', 5]]) {
      assert.equal((await sender.expect(type)).id, id);
    }
    assert.equal((await receiver.expect('room_message')).data, 'one');
    assert.equal((await receiver.expect('room_message')).data, 'two');
    sender.send({ type: 'hello', batch: true });
    sender.send({ type: 'batch', messages: [{ type: 'ping', id: 6 }, { type: 'hello', id: 7 }] });
    const replies = await sender.expect('batch');
    assert.deepEqual(replies.messages.map(({ type, id }) => [type, id]), [['pong', 6], ['ack', 7]]);
  });

  test('the message limit is a setting', TEST_MS, async (t) => {
    const own = await ownServer(t, ['--max-message-bytes', '1000']);
    const client = await connect(t, own.url);
    assert.equal(client.welcome.limits.maxMessageBytes, 1_000);
    client.send({ type: 'hello', user: 'x'.repeat(2_000) });
    assert.equal((await client.closed()).code, 1009);
  });
});
