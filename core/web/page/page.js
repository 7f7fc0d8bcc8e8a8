// A page to try a server with: rooms, who is there, what is said, and files.

import { WebSocketClient } from '../roomwire.js';
import { exchangeFiles } from './files.js';
import { Log, button, colour, element } from './log.js';
import { keep, kept, learn, me, nameOf, shortName } from './people.js';
import { side } from './side.js';

const FIRST_ROOM = 'lobby';
const PING_MS = 5000;
const TYPING_MS = 3000;
const SENDING_MS = 400;
const REFRESH_MS = 1000;
const HISTORY_MESSAGES = 50;
const MOST_OWN = 1000;
const MOST_TYPING = 20;
// So many come and go without a word for each.
const MOST_COMING = 10;
const STATES = { connecting: 'Connecting…', open: 'Connected', waiting: 'Offline, trying again', closed: 'Disconnected' };
const REFUSALS = {
  queue_full: 'Not sent: too much waits already',
  rate_limited: 'Not sent: too many messages, try again in a moment',
  too_old: 'Not sent: there was no connection',
};

const at = (id) => document.getElementById(id);
const rooms = new Map();
let current;

// ---- the connection

const url = new URL('ws', document.baseURI);
url.protocol = url.protocol.replace('http', 'ws');
const client = new WebSocketClient(url.href, {
  maxReconnectAttempts: Infinity,
  maxReconnectDelay: 10_000,
  heartbeatInterval: 10_000,
  heartbeatTimeout: 8_000,
});

client.on('state', (state) => {
  at('state').textContent = STATES[state];
  at('state').dataset.state = state;
  at('again').hidden = state !== 'closed';
  at('latency').hidden = true;
  if (state === 'open') {
    measure();
  }
});

async function measure() {
  if (client.state !== 'open' || document.hidden) {
    return;
  }
  const began = performance.now();
  const answer = await client.request({ type: 'ping' }).catch(() => null);
  if (answer) {
    at('ms').textContent = `${Math.max(1, Math.round(performance.now() - began))} ms`;
    at('latency').hidden = false;
  }
}
setInterval(measure, PING_MS);

const tellName = () => client.send({ type: 'set_metadata', metadata: { name: me.name } });
client.on('welcome', tellName);
at('again').addEventListener('click', () => location.reload());

// ---- names

at('name').value = me.name;
at('name').addEventListener('change', () => {
  me.name = at('name').value;
  at('name').value = me.name;
  tellName();
  showMembers();
});

// ---- rooms

function addRoom(name) {
  const room = { name, members: new Set(), total: 0, unread: 0, typing: new Set(), coming: new Map(), own: new Map(), unsure: new Map() };
  room.log = new Log(name, {
    onEarlier: () => earlier(room),
    onAway: (isAway) => room === current && (at('latest').hidden = !isAway),
  });
  rooms.set(name, room);
  at('logs').append(room.log.element);
  keep(sessionStorage, 'rooms', [...rooms.keys()]);
  return room;
}

function removeRoom(room) {
  rooms.delete(room.name);
  room.log.entries.forEach(({ gone }) => gone?.());
  room.log.element.remove();
  keep(sessionStorage, 'rooms', [...rooms.keys()]);
  if (room === current) {
    current = undefined;
    show(rooms.values().next().value);
  } else {
    showRooms();
  }
}

async function join(name, isShown = true) {
  at('join-error').textContent = '';
  const room = rooms.get(name) ?? addRoom(name);
  if (isShown) {
    show(room);
  }
  try {
    await client.join(name);
  } catch ({ reply }) {
    // Without the server's word the room is joined when there is a connection.
    if (reply && rooms.get(name) === room) {
      at('join-error').textContent = `${name}: ${reply.message}`;
      removeRoom(room);
    }
  }
}

function leave(room) {
  client.leave(room.name).catch(() => {});
  removeRoom(room);
  (at('rooms').querySelector('.open') ?? at('room')).focus();
}

function show(room) {
  stopTyping();
  current = room;
  for (const each of rooms.values()) {
    each.log.show(each === room);
  }
  at('latest').hidden = room?.log.isAtEnd ?? true;
  at('title').textContent = room?.name ?? 'No room';
  at('text').placeholder = room ? `Message ${room.name}` : 'Join a room first';
  for (const id of ['text', 'send', 'attach']) {
    at(id).disabled = !room;
  }
  if (room) {
    room.unread = 0;
    history.replaceState(null, '', `#room=${encodeURIComponent(room.name)}`);
  }
  showNote();
  showRooms();
  showMembers();
  showTyping();
}

function showNote() {
  const isBare = current?.isJoined && !current.keeps;
  at('note').textContent = isBare ? 'Messages are not kept here' : '';
}

function showRooms() {
  const items = [...rooms.values()].map((room) => {
    const open = button('open', '', () => {
      show(room);
      side(false);
    });
    open.append(element('bdi', '', room.name));
    if (room.unread > 0) {
      open.append(element('span', 'badge', String(room.unread), element('span', 'unseen', ' new')));
    }
    if (room === current) {
      open.setAttribute('aria-current', 'true');
    }
    const out = button('leave', '×', () => leave(room));
    out.setAttribute('aria-label', `Leave ${room.name}`);
    return element('li', '', open, out);
  });
  at('rooms').replaceChildren(...items);
  const unread = [...rooms.values()].reduce((sum, room) => sum + room.unread, 0);
  at('unread').hidden = unread === 0;
  at('unread').textContent = unread > 0 ? String(unread) : '';
  document.title = `${unread > 0 ? `(${unread}) ` : ''}${current ? `${current.name} · ` : ''}roomwire`;
}

at('join').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = at('room').value.trim();
  if (name) {
    at('room').value = '';
    join(name);
    side(false);
    at('text').focus();
  }
});

client.on('joined_room', ({ room: name, members, total, history: log }) => {
  const room = rooms.get(name);
  if (!room) {
    return;
  }
  const isFirst = !room.isJoined;
  Object.assign(room, { isJoined: true, keeps: log !== undefined, members: new Set(members), total });
  room.typing.clear();
  if (isFirst && log?.last > 0) {
    earlier(room);
  }
  showNote();
  refresh(room);
});

client.on('left_room', ({ room: name, id }) => {
  const room = rooms.get(name);
  if (room && id === undefined) {
    at('join-error').textContent = `You were removed from ${name}`;
    removeRoom(room);
  }
});

// ---- who is there

function showMembers() {
  const others = [...(current?.members ?? [])].filter((id) => id !== client.clientId);
  const shown = others.length < (current?.members.size ?? 0) ? [client.clientId, ...others] : others;
  const items = shown.map((id) => {
    const isMe = id === client.clientId;
    const item = element('li', colour(isMe ? 'me' : id), element('bdi', '', isMe ? me.name : nameOf(id)));
    item.append(...(isMe ? [element('small', '', 'you')] : []));
    return item;
  });
  at('members').replaceChildren(...items);
  const rest = (current?.total ?? 0) - items.length;
  at('others').hidden = rest <= 0;
  at('others').textContent = `and ${rest} more`;
  at('members-title').textContent = current?.total > 0 ? `Members (${current.total})` : 'Members';
}

/** Asks who is there and what they are called, not more often than it is worth. */
function refresh(room) {
  room.timer ??= setTimeout(async () => {
    room.timer = undefined;
    const page = await client.request({ type: 'members', room: room.name, metadata: true }).catch(() => null);
    if (page) {
      Object.entries(page.metadata ?? {}).forEach(([id, about]) => learn(id, about?.name));
      Object.assign(room, { members: new Set(page.members), total: page.total });
      [...room.coming.keys()].forEach((id) => came(room, id));
      showMembers();
    }
  }, REFRESH_MS);
}

function came(room, id) {
  if (room.coming.delete(id)) {
    room.log.notice(`${nameOf(id)} joined`);
  }
}

/** Calls `act` with the room of a message, if the page shows that room. */
const inRoom = (act) => (message) => {
  const room = rooms.get(message.room);
  if (room) {
    act(room, message);
  }
};

client.on('member_joined', inRoom((room, { clientId }) => {
  room.members.add(clientId);
  room.total += 1;
  if (room.coming.size < MOST_COMING) {
    room.coming.set(clientId, true);
  }
  refresh(room);
  showMembers();
}));
client.on('member_left', inRoom((room, { clientId }) => {
  if (!room.coming.delete(clientId) && room.members.has(clientId)) {
    room.log.notice(`${nameOf(clientId)} left`);
  }
  room.members.delete(clientId);
  room.typing.delete(clientId);
  room.total -= 1;
  showMembers();
  showTyping();
}));
client.on('members_changed', inRoom((room) => refresh(room)));
client.on('member_updated', inRoom((room, { clientId, metadata }) => {
  learn(clientId, metadata?.name);
  came(room, clientId);
  showMembers();
}));

// ---- what is said

/** What a message holds, whoever has made it: the page's own have a name and a text. */
function contents({ from, data, encoding, timestamp, offset }) {
  const isOurs = typeof data?.text === 'string';
  const text = isOurs ? data.text : typeof data === 'string' ? data : JSON.stringify(data);
  const name = isOurs && typeof data.name === 'string' && data.name ? shortName(data.name) : nameOf(from);
  return { from, name, body: encoding ? `${text.length} characters of base64` : text, time: timestamp, offset };
}

client.on('room_message', inRoom((room, message) => {
  room.log.say(contents(message));
  room.typing.delete(message.from);
  countUnread(room);
  showTyping();
}));

function countUnread(room) {
  if (room !== current || document.hidden) {
    room.unread += 1;
    showRooms();
  }
}

async function earlier(room) {
  if (room.isLoading || !room.keeps) {
    return;
  }
  room.isLoading = true;
  const before = room.log.first;
  const ask = { type: 'history', room: room.name, limit: HISTORY_MESSAGES, ...(before === undefined ? {} : { before }) };
  const page = await client.request(ask).catch(() => null);
  room.isLoading = false;
  if (page && rooms.get(room.name) === room) {
    // Some may have come meanwhile.
    const first = room.log.first ?? Infinity;
    const isNew = ({ offset, data }) => offset < first && !room.own.has(data?.key);
    room.log.prepend(page.messages.filter(isNew).map(contents));
    room.log.earlier.hidden = !page.more || !room.log.hasRoom;
  }
}

async function say(room, text) {
  const key = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  const tell = room.log.say({ from: 'me', name: me.name, body: text, time: Date.now(), isOwn: true });
  room.own.set(key, true);
  if (room.own.size > MOST_OWN) {
    room.own.delete(room.own.keys().next().value);
  }
  const timer = setTimeout(() => tell(client.state === 'open' ? 'Sending…' : 'Waits for the connection'), SENDING_MS);
  try {
    await client.say(room.name, { text, name: me.name, key });
    tell('');
  } catch ({ code, reply }) {
    if (code === 'connection_lost') {
      tell('Not known to be sent');
      room.unsure.set(key, tell);
    } else {
      tell(REFUSALS[code] ?? `Not sent: ${reply?.message ?? code}`, true);
    }
  }
  clearTimeout(timer);
}

// What a room has kept of one's own says what became of what was on its way when the connection was lost.
client.on('own_message', inRoom((room, { data }) => {
  room.unsure.get(data?.key)?.('');
  room.unsure.delete(data?.key);
}));

client.on('resumed', inRoom((room, { complete }) => {
  if (complete) {
    room.unsure.forEach((tell) => tell('Not sent: the connection was lost', true));
  }
  room.unsure.clear();
  const missing = room.keeps ? 'Back again' : 'Back again. What was said meanwhile is not known';
  room.log.notice(complete ? 'Back again, nothing was missed' : missing);
}));
client.on('gap', inRoom((room, { from, to }) => room.log.notice(`${to - from + 1} messages are not kept any more`)));
client.on('reset', inRoom((room) => {
  room.log.notice('What was said here before is not kept any more');
  room.log.entries.forEach((entry) => (entry.offset = undefined));
  room.log.earlier.hidden = true;
}));
client.on('messages_dropped', inRoom((room, { count }) => room.log.notice(`${count} messages were too many for this connection`)));

// ---- who is typing

let typingUntil = 0;

function stopTyping() {
  if (typingUntil > 0 && current) {
    client.send({ type: 'typing_stop', room: current.name });
  }
  typingUntil = 0;
}

function showTyping() {
  const all = [...(current?.typing ?? [])].map(nameOf);
  const few = all.length > 3 ? [`${all.length} members`] : all;
  at('typing').textContent = few.length > 0 ? `${few.join(', ')} ${few.length > 1 || all.length > 3 ? 'are' : 'is'} typing…` : '';
}

client.on('user_typing', inRoom((room, { clientId }) => {
  if (room.typing.size < MOST_TYPING) {
    room.typing.add(clientId);
  }
  showTyping();
}));
client.on('user_stopped_typing', inRoom((room, { clientId }) => {
  room.typing.delete(clientId);
  showTyping();
}));

// ---- writing

function fit() {
  const { style } = at('text');
  style.height = 'auto';
  style.height = `${at('text').scrollHeight + 2}px`;
}

at('text').addEventListener('input', () => {
  fit();
  const now = Date.now();
  if (at('text').value === '') {
    stopTyping();
  } else if (current && client.state === 'open' && now > typingUntil) {
    typingUntil = now + TYPING_MS;
    client.send({ type: 'typing_start', room: current.name });
  }
});
at('text').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    at('say').requestSubmit();
  }
});
at('say').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = at('text').value.trim();
  if (text && current) {
    at('text').value = '';
    fit();
    stopTyping();
    say(current, text);
    at('text').focus();
  }
});
at('latest').addEventListener('click', () => {
  current?.log.toEnd();
  at('text').focus();
});

// ---- files

const offerFile = exchangeFiles(client, { roomOf: (name) => rooms.get(name) ?? current, onOffer: countUnread });

function sendFiles(files) {
  for (const file of current ? files : []) {
    offerFile(current, file);
  }
}

at('attach').addEventListener('click', () => at('files').click());
at('files').addEventListener('change', () => {
  sendFiles(at('files').files);
  at('files').value = '';
});
document.addEventListener('paste', (event) => {
  if (event.clipboardData.files.length > 0) {
    event.preventDefault();
    sendFiles(event.clipboardData.files);
  }
});
for (const type of ['dragover', 'dragleave', 'drop']) {
  at('main').addEventListener(type, (event) => {
    event.preventDefault();
    at('logs').classList.toggle('over', type === 'dragover');
    sendFiles(type === 'drop' ? event.dataTransfer.files : []);
  });
}

// ---- the beginning

document.addEventListener('visibilitychange', () => {
  if (!document.hidden && current) {
    current.unread = 0;
    showRooms();
    measure();
  }
});

function roomOfLink() {
  const [, name] = /^#room=(.+)/.exec(location.hash) ?? [];
  try {
    return name && decodeURIComponent(name);
  } catch {
    return undefined;
  }
}

addEventListener('hashchange', () => roomOfLink() && join(roomOfLink()));
const before = kept(sessionStorage, 'rooms', []);
for (const name of Array.isArray(before) ? before.filter((name) => typeof name === 'string') : []) {
  join(name, false);
}
join(roomOfLink() ?? rooms.keys().next().value ?? FIRST_ROOM);
// Where it would not bring up a keyboard.
if (matchMedia('(hover: hover)').matches) {
  at('text').focus();
}
