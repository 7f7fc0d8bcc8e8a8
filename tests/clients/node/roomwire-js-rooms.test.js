'use strict';
// `roomwire.js` over sockets that the test holds: rooms, what was said while a client was away, requests and events.

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { start, turn, watch } = require('./virtual');

const TEST_MS = { timeout: 10_000 };
const QUIET = { heartbeatInterval: 0 };
const EPOCH = '00000000000000aa';

/// A client that is welcome, and in `tea`, whose log stands at offset 4.
async function inTea(t, options) {
  const world = await start(t, { ...QUIET, ...options });
  await world.socket().welcome('client_first');
  const joining = watch(world.client.join('tea'));
  await reply(world, { type: 'joined_room', members: [], total: 1, history: { epoch: EPOCH, last: 4 } });
  assert.equal(joining.value.type, 'joined_room');
  world.heard();
  return world;
}

/// Answers the only thing that was sent, a request to a room.
async function reply({ socket }, message) {
  const [{ id, room }, ...others] = socket().sent.splice(0);
  assert.deepEqual(others, []);
  await socket().say({ room, ...message, id });
}

/// The connection breaks, and there is another one.
async function comeBack({ clock, socket, heard }) {
  await socket().end();
  await clock.pass(clock.waits[0]);
  await socket().welcome('client_second');
  heard();
}

const live = (offset, data = offset) => ({ type: 'room_message', room: 'tea', from: 'client_bob', data, timestamp: 1, offset });
const kept = (offset, from = 'client_bob') => ({ offset, from, data: offset, timestamp: 1 });
const page = (messages, more = {}) => ({ type: 'history', room: 'tea', epoch: EPOCH, last: 9, messages, more: false, ...more });
const offsets = (told) => told.map(([, { offset }]) => offset);

describe('a room', () => {
  test('is joined again, after what was heard last', TEST_MS, async (t) => {
    const world = await inTea(t);
    await world.socket().say(live(5), live(6));
    await comeBack(world);
    assert.deepEqual(world.socket().take(), [{ type: 'join', room: 'tea', after: 6, epoch: EPOCH }]);
  });

  test('tells what was missed as if it were said now, each once and in order', TEST_MS, async (t) => {
    const world = await inTea(t);
    const { client, socket, heard } = world;
    await socket().say(live(5), live(6), live(6));
    assert.deepEqual(offsets(heard('room_message')), [5, 6]);
    await comeBack(world);
    const waiting = watch(client.say('tea', 'behind it'));
    assert.equal(socket().sent.length, 1);
    await reply(world, { type: 'joined_room', members: [], total: 2, history: { epoch: EPOCH, last: 9 } });
    await socket().say(page([kept(6), kept(7)], { more: true }), page([kept(8), kept(9)]));
    await socket().say({ type: 'resumed', room: 'tea', epoch: EPOCH, last: 9, complete: true }, live(9), live(10));
    assert.deepEqual(
      heard('room_message', 'resumed').map(([name, told]) => (name === 'resumed' ? told.complete : told)),
      [live(7), live(8), live(9), true, live(10)],
    );
    assert.deepEqual(socket().take(), [{ type: 'room_message', room: 'tea', data: 'behind it' }]);
    assert.deepEqual(waiting, {});
    await comeBack(world);
    assert.deepEqual(socket().take(), [{ type: 'join', room: 'tea', after: 10, epoch: EPOCH }]);
  });

  test('goes on in the middle of a page that was cut off', TEST_MS, async (t) => {
    const world = await inTea(t);
    await comeBack(world);
    await reply(world, { type: 'joined_room', members: [], total: 2, history: { epoch: EPOCH, last: 9 } });
    await world.socket().say(page([kept(5), kept(6)], { more: true }));
    await comeBack(world);
    assert.deepEqual(world.socket().take(), [{ type: 'join', room: 'tea', after: 6, epoch: EPOCH }]);
  });

  test("sets the client's own messages apart, whichever of its ids they have", TEST_MS, async (t) => {
    const world = await inTea(t);
    await comeBack(world);
    await reply(world, { type: 'joined_room', members: [], total: 2, history: { epoch: EPOCH, last: 7 } });
    await world.socket().say(page([kept(5, 'client_first'), kept(6), kept(7, 'client_second')]));
    const told = world.heard('room_message', 'own_message', 'message');
    assert.deepEqual(told.map(([name, { offset }]) => [name, offset]), [
      ['message', undefined],
      ['own_message', 5],
      ['message', 6],
      ['room_message', 6],
      ['own_message', 7],
    ]);
  });

  test('tells of gaps, and of a log that has begun anew', TEST_MS, async (t) => {
    const world = await inTea(t);
    const { socket, heard } = world;
    const joined = { type: 'joined_room', members: [], total: 2 };
    await comeBack(world);
    await reply(world, { ...joined, history: { epoch: EPOCH, last: 9 } });
    await socket().say(page([kept(8), kept(9)], { gap: { from: 5, to: 7 } }));
    await socket().say({ type: 'resumed', room: 'tea', epoch: EPOCH, last: 9, complete: false });
    assert.deepEqual(
      heard('gap', 'room_message', 'resumed').map(([name, { offset, from, to }]) => [name, offset ?? [from, to]]),
      [
        ['gap', [5, 7]],
        ['room_message', 8],
        ['room_message', 9],
        ['resumed', [undefined, undefined]],
      ],
    );
    await comeBack(world);
    await reply(world, { ...joined, history: { epoch: 'new', last: 2 } });
    await socket().say(page([kept(1), kept(2)], { epoch: 'new', last: 2, reset: true }));
    await socket().say({ type: 'resumed', room: 'tea', epoch: 'new', last: 2, complete: false });
    assert.deepEqual(heard('reset', 'room_message').map(([name, told]) => [name, told.offset ?? told]), [
      ['reset', { type: 'reset', room: 'tea', epoch: 'new', last: 2 }],
      ['room_message', 1],
      ['room_message', 2],
    ]);
    await socket().say({ type: 'reset', room: 'tea', epoch: 'newer', last: 0 }, live(1));
    assert.deepEqual(offsets(heard('reset', 'room_message')), [undefined, 1]);
    await comeBack(world);
    assert.deepEqual(socket().take(), [{ type: 'join', room: 'tea', after: 1, epoch: 'newer' }]);
  });

  test('that has begun anew, and in which something was said already, is asked for', TEST_MS, async (t) => {
    const world = await inTea(t);
    await world.socket().say({ type: 'reset', room: 'tea', epoch: 'new', last: 2 });
    const join = { type: 'join', room: 'tea', after: 0, epoch: 'new' };
    assert.deepEqual(world.socket().sent.map(({ id, ...sent }) => sent), [join]);
    await reply(world, { type: 'joined_room', members: [], total: 2, history: { epoch: 'new', last: 2 } });
    await world.socket().say(page([kept(1), kept(2)], { epoch: 'new', last: 2 }));
    await world.socket().say({ type: 'resumed', room: 'tea', epoch: 'new', last: 2, complete: true });
    // Once more, for others: nothing is asked for again, and nothing comes twice.
    await world.socket().say({ type: 'reset', room: 'tea', epoch: 'new', last: 2 });
    assert.deepEqual(world.socket().sent, []);
    await world.socket().say(live(3));
    assert.deepEqual(offsets(world.heard('room_message')), [1, 2, 3]);
  });

  test('that has begun anew is asked for by its new name, also after half of a page', TEST_MS, async (t) => {
    const world = await inTea(t);
    await comeBack(world);
    await reply(world, { type: 'joined_room', members: [], total: 2, history: { epoch: 'new', last: 9 } });
    await world.socket().say(page([kept(1), kept(2)], { epoch: 'new', reset: true, more: true }));
    await comeBack(world);
    assert.deepEqual(world.socket().take(), [{ type: 'join', room: 'tea', after: 2, epoch: 'new' }]);
  });

  test('what comes before the beginning of a new log that was asked for comes again in its turn', TEST_MS, async (t) => {
    const world = await inTea(t);
    await world.socket().say({ type: 'reset', room: 'tea', epoch: 'new', last: 2 }, live(3));
    assert.deepEqual(offsets(world.heard('room_message')), []);
    await reply(world, { type: 'joined_room', members: [], total: 2, history: { epoch: 'new', last: 3 } });
    await world.socket().say(page([kept(1), kept(2), kept(3)], { epoch: 'new', last: 3 }));
    await world.socket().say({ type: 'resumed', room: 'tea', epoch: 'new', last: 3, complete: true });
    await world.socket().say(live(4));
    assert.deepEqual(offsets(world.heard('room_message')), [1, 2, 3, 4]);
  });

  test('what was heard of a new log before the answer that tells of it is not told twice', TEST_MS, async (t) => {
    const world = await inTea(t);
    await comeBack(world);
    await world.socket().say({ type: 'reset', room: 'tea', epoch: 'new', last: 0 }, live(1));
    await reply(world, { type: 'joined_room', members: [], total: 2, history: { epoch: 'new', last: 2 } });
    await world.socket().say(page([kept(1), kept(2)], { epoch: 'new', last: 2, reset: true }));
    await world.socket().say({ type: 'resumed', room: 'tea', epoch: 'new', last: 2, complete: false });
    assert.deepEqual(offsets(world.heard('room_message')), [1, 2]);
  });

  test('history that was asked for is told as it is', TEST_MS, async (t) => {
    const world = await inTea(t);
    await comeBack(world);
    await reply(world, { type: 'joined_room', members: [], total: 2, history: { epoch: EPOCH, last: 4 } });
    const pages = t.mock.fn();
    world.client.on('history', pages);
    const asked = watch(world.client.request({ type: 'history', room: 'tea' }));
    await world.socket().say({ type: 'resumed', room: 'tea', epoch: EPOCH, last: 4, complete: true });
    await reply(world, page([kept(1)]));
    await world.socket().say(page([kept(2)]));
    assert.deepEqual(asked.value.messages, [kept(1)]);
    assert.equal(pages.mock.callCount(), 2);
    assert.deepEqual(offsets(world.heard('room_message')), []);
  });

  test('left while it is being joined is left', TEST_MS, async (t) => {
    const world = await start(t, QUIET);
    await world.socket().welcome();
    world.client.join('tea');
    const left = watch(world.client.leave('tea'));
    const [join, leave] = world.socket().sent.splice(0);
    await world.socket().say({ type: 'joined_room', id: join.id, room: 'tea', members: [], total: 1 });
    await world.socket().say({ type: 'left_room', id: leave.id, room: 'tea' });
    assert.equal(left.value.type, 'left_room');
    await comeBack(world);
    assert.deepEqual(world.socket().take(), []);
  });

  test('left and joined again while others are joined again is joined', TEST_MS, async (t) => {
    const world = await inTea(t);
    world.client.join('milk');
    await comeBack(world);
    const [tea, milk] = world.socket().sent.splice(0);
    assert.deepEqual([tea.room, milk.room], ['tea', 'milk']);
    await world.socket().say({ type: 'joined_room', id: tea.id, room: 'tea', members: [], total: 1 });
    // milk has no answer yet: what is sent otherwise waits.
    world.client.send({ type: 'later' });
    const left = watch(world.client.leave('tea'));
    const joined = watch(world.client.join('tea'));
    const [leave, join, ...more] = world.socket().sent.splice(0);
    assert.deepEqual([leave.type, join.type, more], ['leave', 'join', []]);
    await world.socket().say({ type: 'left_room', id: leave.id, room: 'tea' });
    await world.socket().say({ type: 'joined_room', id: join.id, room: 'tea', members: [], total: 1 });
    assert.deepEqual([left.value.type, joined.value.type], ['left_room', 'joined_room']);
    await world.socket().say({ type: 'joined_room', id: milk.id, room: 'milk', members: [], total: 1 });
    assert.deepEqual(world.socket().take(), [{ type: 'later' }]);
  });

  test('left and joined again is joined', TEST_MS, async (t) => {
    const world = await inTea(t);
    world.client.leave('tea');
    world.client.join('tea');
    const [leave, join] = world.socket().sent.splice(0);
    await world.socket().say({ type: 'left_room', id: leave.id, room: 'tea' });
    const joined = { type: 'joined_room', id: join.id, room: 'tea', members: [], total: 1, history: { epoch: EPOCH, last: 8 } };
    await world.socket().say(joined);
    await comeBack(world);
    assert.deepEqual(world.socket().take(), [{ type: 'join', room: 'tea', after: 8, epoch: EPOCH }]);
  });

  test('that keeps nothing says that something may be missing', TEST_MS, async (t) => {
    const world = await start(t, QUIET);
    await world.socket().welcome();
    world.client.join('milk');
    await reply(world, { type: 'joined_room', members: [], total: 1 });
    await comeBack(world);
    assert.deepEqual(world.socket().sent.map(({ room, after, epoch }) => [room, after, epoch]), [['milk', 0, undefined]]);
    await reply(world, { type: 'joined_room', members: [], total: 1 });
    await world.socket().say({ type: 'resumed', room: 'milk', complete: false });
    assert.equal(world.heard('resumed')[0][1].complete, false);
  });

  test('that asks for patience is asked again, and the others meanwhile', TEST_MS, async (t) => {
    const { client, clock, socket } = await start(t, QUIET);
    client.join('tea');
    client.join('milk');
    client.send({ type: 'hello' });
    await socket().welcome();
    const [tea, milk] = socket().sent.splice(0);
    await socket().say({ type: 'error', id: tea.id, code: 'rate_limited', message: '', retryAfterMs: 600 });
    await socket().say({ type: 'joined_room', id: milk.id, room: 'milk', members: [], total: 1 });
    await clock.pass(599);
    assert.deepEqual(socket().sent, []);
    await clock.pass(1);
    const [again] = socket().sent.splice(0);
    assert.deepEqual([again.type, again.room], ['join', 'tea']);
    await socket().say({ type: 'joined_room', id: again.id, room: 'tea', members: [], total: 1 });
    assert.deepEqual(socket().sent, [{ type: 'hello' }]);
  });

  test('that asks for patience and is left meanwhile is not asked again', TEST_MS, async (t) => {
    const { client, clock, socket } = await start(t, QUIET);
    await socket().welcome();
    const joining = watch(client.join('tea'));
    const [{ id }] = socket().sent.splice(0);
    await socket().say({ type: 'error', id, code: 'rate_limited', message: '', retryAfterMs: 600 });
    client.leave('tea');
    assert.deepEqual(socket().take(), [{ type: 'leave', room: 'tea' }]);
    await clock.pass(600);
    assert.deepEqual([socket().sent, joining.code], [[], 'left']);
  });

  test('and leaves no timer if the connection breaks meanwhile', TEST_MS, async (t) => {
    const { client, clock, socket } = await start(t, QUIET);
    const joining = watch(client.join('tea'));
    await socket().welcome();
    const [{ id }] = socket().sent.splice(0);
    await socket().say({ type: 'error', id, code: 'rate_limited', message: '', retryAfterMs: 9_999 });
    await socket().end();
    assert.deepEqual([joining.code, clock.waits], ['connection_lost', [1_000]]);
    await clock.pass(1_000);
    await socket().welcome();
    assert.deepEqual(socket().take(), [{ type: 'join', room: 'tea' }]);
  });

  test('that refuses is not asked again', TEST_MS, async (t) => {
    const world = await start(t, QUIET);
    await world.socket().welcome();
    const joining = watch(world.client.join('full'));
    await reply(world, { type: 'error', code: 'room_full', message: 'no' });
    assert.equal(joining.code, 'room_full');
    await comeBack(world);
    assert.deepEqual(world.socket().take(), []);
  });

  for (const [what, leave] of [
    ['leaves', ({ client }) => client.leave('tea')],
    ['is removed from', ({ socket }) => socket().say({ type: 'left_room', room: 'tea' })],
    ['leaves by `send`', ({ client, socket }) => {
      client.send({ type: 'leave', room: 'tea' });
      return socket().say({ type: 'left_room', room: 'tea' });
    }],
  ]) {
    test(`that the client ${what} is not joined again`, TEST_MS, async (t) => {
      const world = await inTea(t);
      leave(world);
      await comeBack(world);
      assert.deepEqual(world.socket().take(), []);
    });
  }

  test('can be left while there is no connection, or before it was joined', TEST_MS, async (t) => {
    const world = await inTea(t);
    await world.socket().end();
    const left = watch(world.client.leave('tea'));
    const joining = watch(world.client.join('milk'));
    world.client.leave('milk');
    await turn();
    assert.deepEqual(left.value, { type: 'left_room', room: 'tea' });
    assert.equal(joining.code, 'left');
    await world.clock.pass(1_000);
    await world.socket().welcome();
    assert.deepEqual(world.socket().take(), []);
  });

  test('joined by `send` is joined again as well', TEST_MS, async (t) => {
    const world = await start(t, QUIET);
    await world.socket().welcome();
    world.client.send({ type: 'join', room: 'tea' });
    await world.socket().say({ type: 'joined_room', room: 'tea', members: [], total: 1, history: { epoch: EPOCH, last: 4 } });
    await comeBack(world);
    assert.deepEqual(world.socket().take(), [{ type: 'join', room: 'tea', after: 4, epoch: EPOCH }]);
  });

  test('is joined once, however often it is asked for', TEST_MS, async (t) => {
    const world = await inTea(t);
    await comeBack(world);
    const joining = [watch(world.client.join('tea')), watch(world.client.join('tea'))];
    await reply(world, { type: 'joined_room', members: [], total: 7, history: { epoch: EPOCH, last: 4 } });
    assert.deepEqual(joining.map(({ value }) => value.total), [7, 7]);
  });

  test('many rooms are joined a few at a time', TEST_MS, async (t) => {
    const { client, socket } = await start(t, QUIET);
    const joining = Array.from({ length: 40 }, (_, at) => watch(client.join(`room ${at}`)));
    await socket().welcome();
    const asked = [];
    for (let most = socket().sent.length; socket().sent.length > 0; ) {
      assert.ok(socket().sent.length <= most && most <= 20, `${socket().sent.length} at once`);
      const { id, room } = socket().sent.shift();
      asked.push(room);
      await socket().say({ type: 'joined_room', id, room, members: [], total: 1 });
    }
    assert.deepEqual(asked, joining.map((_, at) => `room ${at}`));
    assert.ok(joining.every(({ value }) => value));
  });

  test('a handler that leaves it hears no more of a page', TEST_MS, async (t) => {
    const world = await inTea(t);
    world.client.on('room_message', ({ offset }) => offset === 5 && world.client.leave('tea'));
    await comeBack(world);
    await reply(world, { type: 'joined_room', members: [], total: 2, history: { epoch: EPOCH, last: 9 } });
    await world.socket().say(page([kept(5), kept(6)]));
    assert.deepEqual(offsets(world.heard('room_message')), [5]);
  });
});

describe('a request', () => {
  test('has the outcome with its id', TEST_MS, async (t) => {
    const { client, socket } = await start(t, QUIET);
    await socket().welcome();
    const said = watch(client.say('tea', 1));
    const asked = watch(client.request({ type: 'members', room: 'tea', id: 7 }));
    const [first, second] = socket().sent;
    assert.notEqual(first.id, second.id);
    await socket().say({ type: 'members', id: second.id, room: 'tea', members: [] }, { type: 'ack', id: 7 });
    assert.deepEqual([said, asked.value.type], [{}, 'members']);
    await socket().say({ type: 'error', id: first.id, code: 'not_member', message: 'no' });
    assert.equal(said.code, 'not_member');
  });

  test('rejects with what the server said', TEST_MS, async (t) => {
    const { client, socket } = await start(t, QUIET);
    await socket().welcome();
    const said = client.say('tea', 1);
    const error = { type: 'error', id: socket().sent[0].id, code: 'rate_limited', message: 'slowly', retryAfterMs: 600 };
    await socket().say(error);
    await assert.rejects(said, (e) => e instanceof Error && e.message === 'slowly' && e.reply.retryAfterMs === 600);
  });

  test('rejects when the connection is lost before', TEST_MS, async (t) => {
    const world = await inTea(t);
    const { client, socket } = world;
    const asked = [client.say('tea', 1), client.leave('tea'), client.join('milk'), client.request({ type: 'hello' })].map(watch);
    await socket().end();
    assert.deepEqual(asked.map(({ code }) => code), Array(4).fill('connection_lost'));
    await world.clock.pass(1_000);
    await socket().welcome();
    assert.deepEqual(socket().take(), [{ type: 'join', room: 'milk' }]);
  });

  test('that nobody looks at ends no program', TEST_MS, async (t) => {
    const unhandled = t.mock.fn();
    process.on('unhandledRejection', unhandled);
    t.after(() => process.off('unhandledRejection', unhandled));
    const { client, socket } = await start(t, QUIET);
    await socket().welcome();
    client.join('tea');
    client.say('tea', 1);
    await socket().end();
    client.join('tea');
    client.close();
    client.leave('tea');
    await turn();
    assert.equal(unhandled.mock.callCount(), 0);
  });
});

describe('events', () => {
  test('carry every message by its type, and as `message`', TEST_MS, async (t) => {
    const { client, socket, heard } = await start(t, QUIET);
    const rolled = t.mock.fn();
    client.on('rolled', rolled);
    await socket().open();
    heard();
    const messages = [{ type: 'rolled', n: 4 }, 'no JSON', 7, null, [1], { no: 'type' }];
    await socket().say(...messages.map((message) => (message === 'no JSON' ? message : JSON.stringify(message))));
    assert.deepEqual(heard('message').map(([, data]) => data), messages);
    client.off('rolled', rolled);
    await socket().say({ type: 'rolled', n: 5 });
    assert.deepEqual(rolled.mock.calls.map(({ arguments: [{ n }] }) => n), [4]);
  });

  // covers A4-09
  test("nobody else's message passes for one of the client's own", TEST_MS, async (t) => {
    const { socket, heard } = await start(t, QUIET);
    await socket().open();
    heard();
    const names = ['open', 'close', 'state', 'dropped', 'maxReconnectAttemptsReached', 'own_message', 'message'];
    await socket().say(...names.map((type) => ({ type })), { type: '__proto__' }, { type: 'constructor' });
    assert.deepEqual(heard(...names).map(([name]) => name), Array(9).fill('message'));
  });

  test('a handler that fails, or comes and goes, disturbs no other', TEST_MS, async (t) => {
    const said = t.mock.method(console, 'error', () => {});
    const { client } = await start(t, QUIET);
    const heard = [];
    const once = (data) => {
      heard.push(['once', data]);
      client.off('x', once);
    };
    client.on('x', () => {
      throw new Error('no');
    });
    client.on('x', once);
    client.on('x', (data) => heard.push(['always', data]));
    client.trigger('x', 1);
    client.trigger('x', 2);
    client.off('y', once);
    assert.deepEqual(heard, [['once', 1], ['always', 1], ['always', 2]]);
    assert.equal(said.mock.callCount(), 2);
  });

  test('state is told in order, and can only be read', TEST_MS, async (t) => {
    const { client, clock, socket, heard } = await start(t, QUIET);
    assert.equal(client.state, 'connecting');
    assert.throws(() => {
      client.state = 'open';
    }, TypeError);
    await socket().welcome('client_me');
    assert.equal(client.clientId, 'client_me');
    await socket().end();
    await clock.pass(1_000);
    client.close();
    assert.deepEqual(heard('state').map(([, state]) => state), ['open', 'waiting', 'connecting', 'closed']);
  });
});
