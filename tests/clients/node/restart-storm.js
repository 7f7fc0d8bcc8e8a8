'use strict';
// A part of the clients of tests/tools/restart-storm, which starts several of these: `roomwire.js`, in rooms, talking.
//
//     node restart-storm.js ADDRESS NUMBER PROCESSES CLIENTS ROOMS RATE
//
// Says `{"ready"}` when all are in their rooms, and obeys lines on its standard input: `mark` begins to count anew,
// `settle` waits until all are back, or as long as is bearable, and reports.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const WebSocket = require('ws');

const SCRIPT = path.join(__dirname, '../../../core/web/roomwire.js');
const [address, ...counts] = process.argv.slice(2);
const [number, processes, clientCount, roomCount, rate] = counts.map(Number);
const SETTLE_MS = 40_000;
const TICK_MS = 20;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

/// When connections were asked for, when they were there, and which were asked for in vain, since the mark.
let attempts = [];
let opened = [];
let refused = [];
let heard = 0;
let said = 0;

class Counted extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { perMessageDeflate: false });
    const at = Date.now();
    attempts.push(at);
    let isOpen = false;
    this.on('open', () => {
      isOpen = true;
      opened.push(Date.now());
    });
    this.on('close', () => isOpen || refused.push(at));
  }
}

/// One client, and what it knows of its room.
class Member {
  constructor(module_, room) {
    this.room = room;
    this.begin();
    this.members = new Set();
    this.client = new module_.WebSocketClient(address, { WebSocket: Counted, maxReconnectAttempts: Infinity });
    const about = (act) => (message) => message.room === room && act(message);
    const on = (name, act) => this.client.on(name, about(act));
    this.client.on('close', () => {
      this.isIn = false;
    });
    on('joined_room', ({ members, total }) => {
      this.isIn = true;
      this.joins += 1;
      this.members = new Set(members);
      assert.equal(total, members.length);
    });
    on('member_joined', ({ clientId }) => this.members.add(clientId));
    on('member_left', ({ clientId }) => this.members.delete(clientId));
    on('reset', () => {
      this.resets += 1;
    });
    on('room_message', () => {
      heard += 1;
    });
  }

  begin() {
    Object.assign(this, { joins: 0, resets: 0 });
  }

  speak(n) {
    if (this.isIn && this.client.state === 'open') {
      this.client.send({ type: 'room_message', room: this.room, data: { n } });
      said += 1;
    }
  }
}

async function main() {
  const text = fs.readFileSync(SCRIPT).toString('base64');
  const module_ = await import(`data:text/javascript;base64,${text}`);
  const names = Array.from({ length: roomCount }, (_, n) => n).filter((n) => n % processes === number);
  const rooms = new Map(names.map((n) => [`room ${n}`, []]));
  for (const [name, members] of rooms) {
    for (let n = 0; n < clientCount / roomCount; n += 1) {
      members.push(new Member(module_, name));
    }
    await Promise.all(members.map(({ client }) => client.join(name)));
  }
  const all = [...rooms.values()].flat();
  talk(all);
  tell({ ready: all.length });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    if (line === 'mark') {
      [attempts, opened, refused, heard, said] = [[], [], [], 0, 0];
      all.forEach((member) => member.begin());
    } else if (line === 'settle') {
      tell(await settled(rooms, all));
    }
  }
  all.forEach(({ client }) => client.close());
  process.exit();
}

/// One after the other says something, so that all together keep the rate.
function talk(all) {
  const perMs = rate / processes / 1000;
  const began = Date.now();
  let due = 0;
  setInterval(() => {
    for (const until = (Date.now() - began) * perMs; due < until; due += 1) {
      all[due % all.length].speak(due);
    }
  }, TICK_MS);
}

/// What became of them.
async function settled(rooms, all) {
  const ids = (members) => members.map(({ client }) => client.clientId).sort().join();
  // Once each: on one connection, told of one log's end, and it knows all others.
  const isBack = (member) => member.isIn && member.joins === 1 && member.client.state === 'open';
  const knows = (member) => [...member.members].sort().join() === ids(rooms.get(member.room));
  const until = Date.now() + SETTLE_MS;
  while (Date.now() < until && !all.every((member) => isBack(member) && member.resets > 0 && knows(member))) {
    await sleep(100);
  }
  const tookUntil = Date.now();
  // What is too much would come by now.
  await sleep(1000);
  let listed = 0;
  for (const [room, members] of rooms) {
    const { members: told, total } = await members[0].client.request({ type: 'members', room });
    listed += told.sort().join() === ids(members) && total === members.length;
  }
  const count = (holds) => all.filter(holds).length;
  return {
    clients: all.length,
    back: count(isBack),
    reset: count(({ resets }) => resets === 1),
    know: count(knows),
    rooms: rooms.size,
    listed,
    attempts,
    opened,
    refused,
    until: tookUntil,
    said,
    heard,
  };
}

main();
