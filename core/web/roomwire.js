// The client of roomwire for browsers: one connection that comes back by itself, the rooms that it is in, and what
// waits while it is away. The types beside it, roomwire.d.ts, describe every option, method and event; the messages are
// those of PROTOCOL.md. Nothing here is particular to browsers but what is asked for with `?.`.

const DEFAULTS = {
  reconnectInterval: 1000,
  maxReconnectDelay: 30000,
  maxReconnectAttempts: 5,
  connectTimeout: 15000,
  stableAfter: 5000,
  heartbeatInterval: 30000,
  heartbeatTimeout: 15000,
  queueMessages: 100,
  queueBytes: 1024 * 1024,
  queueAge: 60000,
  protocols: [],
  random: Math.random,
  now: () => Date.now(),
  setTimeout: (act, ms) => setTimeout(act, ms),
  clearTimeout: (timer) => clearTimeout(timer),
};

// Events of the client itself: a message whose `type` is one of these, such as another's bare data, is none of them.
const OWN_EVENTS = ['open', 'message', 'close', 'state', 'dropped', 'own_message', 'maxReconnectAttemptsReached'];
// Close codes after which the server would only close again; so it would after those of a program, 3000 and more.
const FINAL_CODES = [1000, 1002, 1003, 1007, 1008, 1009, 1010];
// So many rooms are joined at once when a connection is back: all of them might be more than the server hears at once.
const JOINS_AT_ONCE = 16;
// How many of its own former ids a client knows: those whose messages a room may still keep.
const FORMER_IDS = 100;
// A timer that is later than this was held up, by sleep or for a page in the background.
const LATE_MS = 1000;
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const OPEN = 1;

const TEXTS = {
  connection_lost: 'The connection was lost before the outcome was known',
  closed: 'The client is closed',
  left: 'The room was left before it was joined',
  queue_full: 'Too much waits for the connection',
  too_old: 'It waited for the connection for too long',
};

const fault = (code, reply) => Object.assign(new Error(reply?.message ?? TEXTS[code]), { code, reply });

// A promise that nobody need look at: events tell most of it, too, and Node.js ends at a rejection that is not handled.
const quiet = (promise) => {
  promise.catch(() => {});
  return promise;
};

export class WebSocketClient {
  #state = 'connecting';
  // The one connection there is, from `new WebSocket` until it is lost or given up.
  #socket = null;
  // Rooms are joined again: what is sent goes out at once.
  #ready = false;
  #handlers = new Map();
  #timers = new Map();
  // Rooms that the application wants to be in, by name.
  #rooms = new Map();
  // What was asked and has no outcome yet, by id.
  #pending = new Map();
  #queue = [];
  #queuedBytes = 0;
  #serial = 0;
  #attempts = 0;
  #notBefore = 0;
  // The server's `closing`.
  #goodbye = null;
  // The id of the ping that is not answered, and whether anything else came since.
  #ping = null;
  #heard = false;
  #clientIds = new Set();
  #onWake = () => this.#wake();

  constructor(url, options = {}) {
    this.url = url;
    this.options = { WebSocket: globalThis.WebSocket, ...options };
    for (const [name, value] of Object.entries(DEFAULTS)) {
      const given = (this.options[name] ??= value);
      const least = name.endsWith('Timeout') ? 1 : 0;
      if (typeof value === 'number' && !(given >= least)) {
        throw new RangeError(`${name} is no number of ${least} or more: ${given}`);
      }
    }
    // Whoever made a mistake in the URL hears of it here.
    this.#connect();
    globalThis.addEventListener?.('online', this.#onWake);
    globalThis.document?.addEventListener('visibilitychange', this.#onWake);
  }

  get state() {
    return this.#state;
  }

  get clientId() {
    return [...this.#clientIds].pop();
  }

  on(event, handler) {
    this.#handlers.set(event, [...(this.#handlers.get(event) ?? []), handler]);
  }

  off(event, handler) {
    const left = this.#handlers.get(event)?.filter((other) => other !== handler);
    this.#handlers.set(event, left ?? []);
  }

  trigger(event, data) {
    for (const handler of this.#handlers.get(event) ?? []) {
      try {
        handler(data);
      } catch (error) {
        console.error(`Error in ${event} handler:`, error);
      }
    }
  }

  send(message) {
    return this.#post({ message, text: typeof message === 'object' ? JSON.stringify(message) : String(message) });
  }

  request(message) {
    return this.#promise((entry) => {
      const id = `rw${++this.#serial}`;
      this.#post({ ...entry, message, id, text: JSON.stringify({ ...message, id }) });
    });
  }

  say(room, data) {
    return this.request({ type: 'room_message', room, data });
  }

  join(name) {
    if (this.#state === 'closed') {
      return quiet(Promise.reject(fault('closed')));
    }
    const room = this.#rooms.get(name) ?? this.#addRoom(name);
    if (this.#socket?.readyState === OPEN) {
      return this.#enter(room);
    }
    return this.#promise((entry) => {
      room.waiting.push(entry);
      this.#expire(entry, () => {
        room.waiting.splice(room.waiting.indexOf(entry), 1);
        entry.reject(fault('too_old'));
      });
    });
  }

  leave(name) {
    const room = this.#rooms.get(name);
    this.#rooms.delete(name);
    room?.waiting.splice(0).forEach((entry) => this.#settle(entry, fault('left')));
    // A connection that has not asked to be in the room is not in it.
    if (this.#state !== 'closed' && (!this.#socket || (room && room.socket !== this.#socket))) {
      return Promise.resolve({ type: 'left_room', room: name });
    }
    return this.request({ type: 'leave', room: name });
  }

  close() {
    const socket = this.#socket;
    this.#end();
    if (socket) {
      socket.onclose = (event) => this.trigger('close', event);
      socket.close(1000, 'Client closing connection');
    }
  }

  // ---- the connection

  #connect() {
    const { WebSocket, protocols, connectTimeout } = this.options;
    this.#clear('retry');
    const socket = new WebSocket(this.url, protocols);
    // A socket that was given up may still have things to say.
    const ifCurrent = (act) => (event) => this.#socket === socket && act(event);
    socket.onopen = ifCurrent((event) => this.#opened(event));
    socket.onmessage = ifCurrent(({ data }) => this.#receive(data));
    socket.onerror = ifCurrent((event) => this.trigger('error', event));
    socket.onclose = ifCurrent((event) => this.#lost(event));
    this.#socket = socket;
    this.#timer('connect', connectTimeout, () => this.#abandon('no answer'));
    this.#become('connecting');
  }

  #reconnect() {
    try {
      this.#connect();
    } catch (error) {
      this.trigger('error', error);
      this.#lost({ type: 'close', code: 1006, reason: error.message, wasClean: false });
    }
  }

  #opened(event) {
    const socket = this.#socket;
    this.#clear('connect');
    this.#rest();
    this.#become('open');
    this.#resume(socket);
    if (this.#socket === socket) {
      this.trigger('open', event);
    }
  }

  // Joins the rooms again and then sends what waits.
  async #resume(socket) {
    const rooms = this.#rooms.values();
    const joinSome = async () => {
      for (const room of rooms) {
        if (this.#socket !== socket) {
          return;
        }
        const joined = this.#enter(room);
        for (const entry of room.waiting.splice(0)) {
          this.options.clearTimeout(entry.timer);
          joined.then(entry.resolve, entry.reject);
        }
        await joined.catch(() => {});
      }
    };
    if (this.#rooms.size > 0) {
      await Promise.all(Array.from({ length: JOINS_AT_ONCE }, joinSome));
    }
    // What is sent by whoever hears that something was dropped waits behind the others.
    while (this.#socket === socket && socket.readyState === OPEN && this.#queue.length > 0) {
      const entry = this.#unqueue(0);
      // The timer of a machine that slept is late.
      if (this.options.now() - entry.since >= this.options.queueAge) {
        this.#drop(entry, 'too_old');
      } else {
        this.#transmit(entry);
      }
    }
    if (this.#socket === socket) {
      this.#ready = true;
    }
  }

  // Gives a connection up without waiting for an end that may never come: nobody may be there to answer a close frame.
  #abandon(reason) {
    const socket = this.#socket;
    this.#socket = null;
    socket.close(4000, reason);
    this.#lost({ type: 'close', code: 1006, reason, wasClean: false });
  }

  #lost(event) {
    const goodbye = this.#goodbye;
    this.#forget('connection_lost');
    // What the server says itself beats the code.
    const final = goodbye ? goodbye.reconnectAfterMs === undefined : FINAL_CODES.includes(event.code) || event.code >= 3000;
    const tooMany = this.#attempts >= this.options.maxReconnectAttempts;
    if (final || tooMany) {
      this.#end();
    } else {
      this.#retry(goodbye?.reconnectAfterMs);
    }
    this.trigger('close', event);
    if (!final && tooMany) {
      this.trigger('maxReconnectAttemptsReached', event);
    }
  }

  // Nothing of a connection outlives it.
  #forget(code) {
    this.#socket = null;
    this.#ready = false;
    this.#goodbye = null;
    this.#ping = null;
    this.#clear('connect', 'stable', 'beat');
    const lost = [...this.#pending.values()];
    this.#pending.clear();
    lost.forEach((entry) => this.#settle(entry, fault(code)));
  }

  #retry(hint = 0) {
    const { reconnectInterval, maxReconnectDelay, random, now } = this.options;
    // Anything up to the bound, so that those who were lost together do not come back together.
    const delay = random() * Math.min(maxReconnectDelay, reconnectInterval * 2 ** this.#attempts);
    this.#attempts += 1;
    this.#notBefore = now() + hint;
    this.#timer('retry', Math.max(hint, delay), () => this.#reconnect());
    this.#become('waiting');
  }

  // The page is looked at again, or the network is back.
  #wake() {
    if (globalThis.document?.visibilityState === 'hidden') {
      return;
    }
    if (this.#timers.has('retry') && this.options.now() >= this.#notBefore) {
      this.#reconnect();
    } else if (this.#state === 'open' && !this.#ping && this.options.heartbeatInterval > 0) {
      this.#beat();
    }
  }

  #end() {
    if (this.#state === 'closed') {
      return;
    }
    globalThis.removeEventListener?.('online', this.#onWake);
    globalThis.document?.removeEventListener('visibilitychange', this.#onWake);
    this.#clear('retry');
    this.#become('closed');
    this.#forget('closed');
    for (const room of this.#rooms.values()) {
      room.waiting.splice(0).forEach((entry) => this.#settle(entry, fault('closed')));
    }
    while (this.#queue.length > 0) {
      this.#drop(this.#unqueue(0), 'closed');
    }
  }

  #become(state) {
    if (this.#state !== state) {
      this.#state = state;
      this.trigger('state', state);
    }
  }

  // ---- signs of life

  // Until the next ping.
  #rest() {
    const { heartbeatInterval } = this.options;
    this.#ping = null;
    if (heartbeatInterval > 0) {
      this.#timer('beat', heartbeatInterval, () => this.#beat());
    }
  }

  // Asks for a sign of life. Only the answer to this very ping is one, or other messages, behind which it may be stuck.
  // Who was held up asks once more: the answer may have come and not been looked at, or the network only just be back.
  #beat(isLast = false) {
    const { heartbeatTimeout, now } = this.options;
    const due = now() + heartbeatTimeout;
    this.#ping = `rw${++this.#serial}`;
    this.#heard = false;
    this.#socket.send(JSON.stringify({ type: 'ping', id: this.#ping }));
    this.#timer('beat', heartbeatTimeout, () => {
      const heldUp = now() - due > LATE_MS && !isLast;
      if (this.#heard || heldUp) {
        this.#beat(heldUp);
      } else {
        this.#abandon('no pong');
      }
    });
  }

  // ---- what is sent

  #promise(start) {
    return quiet(new Promise((resolve, reject) => start({ resolve, reject })));
  }

  #post(entry) {
    const { queueMessages, queueBytes, now } = this.options;
    if (this.#canSend()) {
      this.#transmit(entry);
      return 'sent';
    }
    entry.bytes = new TextEncoder().encode(entry.text).length;
    entry.since = now();
    if (this.#state === 'closed') {
      return this.#drop(entry, 'closed');
    }
    if (this.#queue.length >= queueMessages || this.#queuedBytes + entry.bytes > queueBytes) {
      return this.#drop(entry, 'queue_full');
    }
    this.#queue.push(entry);
    this.#queuedBytes += entry.bytes;
    this.#expire(entry, () => this.#drop(this.#unqueue(this.#queue.indexOf(entry)), 'too_old'));
    return 'queued';
  }

  #canSend() {
    return this.#ready && this.#socket.readyState === OPEN;
  }

  #transmit(entry) {
    if (entry.id) {
      this.#pending.set(entry.id, entry);
    }
    this.#socket.send(entry.text);
  }

  #unqueue(at) {
    const [entry] = this.#queue.splice(at, 1);
    this.#queuedBytes -= entry.bytes;
    this.options.clearTimeout(entry.timer);
    return entry;
  }

  #drop(entry, reason) {
    entry.reject?.(fault(reason));
    this.trigger('dropped', { message: entry.message, reason });
    return 'dropped';
  }

  #expire(entry, act) {
    entry.timer = this.options.setTimeout(act, Math.min(this.options.queueAge, MAX_TIMEOUT_MS));
  }

  #settle(entry, error, reply) {
    this.options.clearTimeout(entry.timer);
    if (error) {
      entry.reject(error);
    } else {
      entry.resolve(reply);
    }
  }

  // ---- rooms

  #addRoom(name) {
    const room = { name, waiting: [], joined: false };
    this.#rooms.set(name, room);
    return room;
  }

  // Joins a room, unless that is under way.
  #enter(room) {
    if (!room.entering || room.socket !== this.#socket) {
      room.socket = this.#socket;
      const entering = quiet(this.#ask(room));
      room.entering = entering;
      const done = () => {
        if (room.entering === entering) {
          room.entering = null;
        }
      };
      entering.then(done, done);
    }
    return room.entering;
  }

  async #ask(room) {
    const { name } = room;
    for (;;) {
      const since = room.joined ? { after: room.last ?? 0, epoch: room.epoch } : {};
      room.resuming = room.joined;
      try {
        return await this.#promise((entry) => {
          const id = `rw${++this.#serial}`;
          this.#transmit({ ...entry, id, text: JSON.stringify({ type: 'join', room: name, ...since, id }) });
        });
      } catch (error) {
        const { code, reply } = error;
        const isWanted = this.#rooms.get(name) === room;
        if (reply?.retryAfterMs === undefined || !isWanted) {
          // The server's no is final; a lost connection is none.
          if (reply && isWanted) {
            this.#rooms.delete(name);
          }
          throw isWanted || !reply ? error : fault('left');
        }
        await this.#pause(reply.retryAfterMs, code);
      }
    }
  }

  // Some time, if the connection lasts that long.
  #pause(ms) {
    return this.#promise((entry) => {
      const id = `rw${++this.#serial}`;
      this.#pending.set(id, entry);
      entry.timer = this.options.setTimeout(() => {
        this.#pending.delete(id);
        entry.resolve();
      }, Math.min(ms, MAX_TIMEOUT_MS));
    });
  }

  // ---- what comes

  #receive(data) {
    let message = data;
    if (typeof data === 'string') {
      try {
        message = JSON.parse(data);
      } catch {
        // Not JSON: told as it is.
      }
    }
    const { type, id } = message ?? {};
    if (this.#ping && id === this.#ping) {
      this.#rest();
      return;
    }
    // A pong that is late for another ping says nothing of now.
    this.#heard ||= type !== 'pong';
    const isOurs = this.#pending.has(id);
    const isTold = this.#note(message, type, isOurs);
    if (isOurs) {
      const entry = this.#pending.get(id);
      this.#pending.delete(id);
      this.#settle(entry, type === 'error' && fault(message.code, message), message);
    }
    if (isTold) {
      this.#tell(message);
    }
  }

  #tell(message) {
    this.trigger('message', message);
    const type = message?.type;
    if (typeof type === 'string' && !OWN_EVENTS.includes(type)) {
      this.trigger(type, message);
    }
  }

  // What a message means for the client itself. Whether the application is told of it as it is.
  #note(message, type, isOurs) {
    const room = this.#rooms.get(message?.room);
    switch (type) {
      case 'welcome':
        this.#clientIds.add(message.clientId);
        if (this.#clientIds.size > FORMER_IDS) {
          this.#clientIds.delete(this.#clientIds.values().next().value);
        }
        // One that opens and breaks again and again has not got anywhere.
        this.#timer('stable', this.options.stableAfter, () => {
          this.#attempts = 0;
        });
        return true;
      case 'closing':
        this.#goodbye = message;
        return true;
      case 'joined_room':
        // Without a request it was joined by `send`; with one, and not wanted any more, it is about to be left.
        if (room || !isOurs) {
          this.#joined(room ?? this.#addRoom(message.room), message.history);
        }
        return true;
      case 'left_room':
        // Without a request the client was removed, or left by `send`.
        if (!isOurs) {
          this.#rooms.delete(message.room);
        }
        return true;
      case 'reset':
        this.#beginAnew(room, message);
        return true;
      case 'resumed':
        Object.assign(room ?? {}, { epoch: message.epoch, last: message.last, resuming: false });
        return true;
      case 'history':
        if (!room?.resuming || message.id !== undefined) {
          return true;
        }
        this.#catchUp(room, message);
        return false;
      case 'room_message':
        return !room || this.#isNew(room, message);
      default:
        return true;
    }
  }

  #joined(room, history) {
    room.socket = this.#socket;
    room.joined = true;
    // What was said before is no concern of who joins; who comes back is told of it, and then where the log stands.
    if (!room.resuming) {
      room.epoch = history?.epoch;
      room.last = history?.last;
    }
  }

  // The server has lost what the room kept. What the new log has by now may have been said before the server knew again
  // that this client is in the room. Others in the room may be the reason for a second one of the same log.
  #beginAnew(room, { epoch, last }) {
    if (!room || room.epoch === epoch) {
      return;
    }
    Object.assign(room, { epoch, last: 0 });
    if (last > 0 && room.joined) {
      this.#enter(room);
    }
  }

  // A page of what was said while the client was away, as if it were said now.
  #catchUp(room, { epoch, last, messages, gap, reset }) {
    const { name } = room;
    room.epoch = epoch;
    if (reset) {
      room.last = 0;
      this.#tell({ type: 'reset', room: name, epoch, last });
    }
    if (gap) {
      room.last = gap.to;
      this.#tell({ type: 'gap', room: name, from: gap.from, to: gap.to });
    }
    for (const each of messages) {
      // A handler may have left the room, or closed the client.
      if (this.#rooms.get(name) !== room || this.#state === 'closed') {
        return;
      }
      if (!this.#isNew(room, each)) {
        continue;
      }
      const message = { type: 'room_message', room: name, ...each };
      if (this.#clientIds.has(each.from)) {
        this.trigger('own_message', message);
      } else {
        this.#tell(message);
      }
    }
  }

  // Each offset once.
  #isNew(room, { offset }) {
    if (offset === undefined) {
      return true;
    }
    const isNew = !(offset <= room.last);
    room.last = isNew ? offset : room.last;
    return isNew;
  }

  // ---- timers, one of each name

  #timer(name, ms, act) {
    this.#clear(name);
    const run = () => {
      this.#timers.delete(name);
      act();
    };
    this.#timers.set(name, this.options.setTimeout(run, Math.min(ms, MAX_TIMEOUT_MS)));
  }

  #clear(...names) {
    for (const name of names) {
      this.options.clearTimeout(this.#timers.get(name));
      this.#timers.delete(name);
    }
  }
}
