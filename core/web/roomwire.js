// The client of roomwire for browsers. roomwire.d.ts describes every option, method and event; the messages are those of
// PROTOCOL.md. Nothing here is particular to browsers but what is asked for with `?.`.

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
  batchInterval: 0,
  batchMessages: 100,
  batchBytes: 64 * 1024,
  typingInterval: 3000,
  protocols: [],
  resume: true,
  random: Math.random,
  now: () => Date.now(),
  setTimeout: (act, ms) => setTimeout(act, ms),
  clearTimeout: (timer) => clearTimeout(timer),
};

// Events of the client itself: no message is one, whatever its `type`.
const OWN_EVENTS = [
  ...['open', 'message', 'close', 'state', 'dropped', 'own_message', 'file', 'progress'],
  'maxReconnectAttemptsReached',
];
// After these the server would only close again; so it would after those of a program, 3000 and more.
const FINAL_CODES = [1000, 1002, 1003, 1007, 1008, 1009, 1010];
// All might be more than the server hears at once.
const JOINS_AT_ONCE = 16;
// Own ids that are known: a room may still keep what they said.
const FORMER_IDS = 100;
// A timer that is later was held up.
const LATE_MS = 1000;
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const OPEN = 1;
// Messages wait behind no more of a file than this.
const AHEAD_BYTES = 128 * 1024;
const AHEAD_MS = 20;
// Credit for so much more costs nothing.
const CREDIT_BYTES = 16 * 1024;
// All of it is in memory then.
const MAX_HASHED_BYTES = 128 * 1024 * 1024;
// Files of rooms that are joined again come by then.
const OFFER_MS = 10000;

const fault = (code, reply) => Object.assign(new Error(reply?.message ?? code.replace('_', ' ')), { code, reply });

const isBuffer = (data) => data instanceof ArrayBuffer || ArrayBuffer.isView(data);
const isBytes = (data) => isBuffer(data) || data instanceof Blob;
const base64 = (data) => {
  const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
};

// The bytes that `data` of a message spells whose `encoding` is `base64`.
export const bytesOf = ({ data }) => Uint8Array.from(atob(data), (unit) => unit.charCodeAt(0));

// Nobody need look at it: Node.js ends at a rejection that is not handled.
const quiet = (promise) => {
  promise.catch(() => {});
  return promise;
};

// Only secure contexts have `crypto.subtle`.
const sha256 = async (blob) => {
  if (globalThis.crypto?.subtle && blob.size <= MAX_HASHED_BYTES) {
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
    return `sha256:${Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
  }
};

// Type, time, length; transfer, offset, bytes.
const chunkFrame = (transfer, offset, bytes) => {
  const frame = new Uint8Array(29 + bytes.byteLength);
  const view = new DataView(frame.buffer);
  view.setUint8(0, 0x62);
  view.setUint32(9, 16 + bytes.byteLength);
  view.setBigUint64(13, BigInt(transfer));
  view.setBigUint64(21, BigInt(offset));
  frame.set(new Uint8Array(bytes), 29);
  return frame;
};

export class WebSocketClient {
  #state = 'connecting';
  // Until it is lost or given up.
  #socket = null;
  // What makes it who it was on the next one, and how far it has what was sent to it alone.
  #session = null;
  #mail = {};
  // Rooms are joined again: nothing waits.
  #ready = false;
  #handlers = new Map();
  #timers = new Map();
  // Those that are wanted, by name.
  #rooms = new Map();
  // Requests without an outcome, by id.
  #pending = new Map();
  #queue = [];
  #queuedBytes = 0;
  // What goes out together before long.
  #batch = [];
  #batchBytes = 0;
  #serial = 0;
  #attempts = 0;
  #notBefore = 0;
  #goodbye = null;
  // The id of the open ping, and whether anything else came since.
  #ping = null;
  #heard = false;
  #clientIds = new Set();
  // Those that are sent, and those that were accepted.
  #files = new Set();
  #onWake = () => this.#wake();

  constructor(url, options = {}) {
    this.url = url;
    this.options = { WebSocket: globalThis.WebSocket, ...options };
    for (const [name, value] of Object.entries(DEFAULTS)) {
      const given = (this.options[name] ??= value);
      const least = name.endsWith('Timeout') ? 1 : 0;
      if (typeof value === 'number' && !(given >= least)) {
        throw new RangeError(`${name} is not ${least} or more`);
      }
    }
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
    const isJson = typeof message === 'object' && !isBytes(message);
    return this.#post({ message, isJson, text: isJson ? JSON.stringify(message) : isBytes(message) ? message : String(message) });
  }

  request(message) {
    return this.#promise((entry) => {
      const id = `rw${++this.#serial}`;
      this.#post({ ...entry, message, id, isJson: true, text: JSON.stringify({ ...message, id }) });
    });
  }

  say(room, data, terms) {
    this.typing(room, false);
    const said = isBuffer(data) ? { data: base64(data), encoding: 'base64' } : { data };
    return this.request({ ...terms, type: 'room_message', room, ...said });
  }

  // Nobody hears of it late.
  typing(name, isTyping = true) {
    const { now, typingInterval } = this.options;
    const room = this.#rooms.get(name);
    const isTold = isTyping ? now() - room?.typed < typingInterval : room?.typed === undefined;
    if (room && !isTold && this.#canSend()) {
      room.typed = isTyping ? now() : undefined;
      this.#transmit({ isJson: true, text: JSON.stringify({ type: isTyping ? 'typing_start' : 'typing_stop', room: name }) });
    }
  }

  // What waits to go out with others goes out now.
  flush() {
    if (this.#batch.length > 0 && this.#socket?.readyState === OPEN) {
      const texts = this.#batch.splice(0).map(({ text }) => text);
      this.#batchBytes = 0;
      this.#clear('batch');
      this.#socket.send(texts.length > 1 ? `{"type":"batch","messages":[${texts}]}` : texts[0]);
    }
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
    // Credit that follows would accept them anew, if the room is joined again at once.
    const taken = [...this.#files].filter(({ blob, seen }) => !blob && seen.room === name);
    taken.forEach((file) => file.end({ code: 'not_member' }));
    // Who has not asked is not in it.
    if (this.#state !== 'closed' && (!this.#socket || (room && room.socket !== this.#socket))) {
      return Promise.resolve({ type: 'left_room', room: name });
    }
    const message = { type: 'leave', room: name };
    if (this.#socket?.readyState !== OPEN) {
      return this.request(message);
    }
    // At once, as `join` is: else one that follows would come before it.
    return this.#promise((entry) => {
      const id = `rw${++this.#serial}`;
      this.#transmit({ ...entry, id, text: JSON.stringify({ ...message, id }) });
    });
  }

  sendFile(data, { room, to, name = data.name ?? 'file', mimeType = data.type ?? '' } = {}) {
    const blob = new Blob([data]);
    const transferId = `rw${++this.#serial}`;
    const about = { transferId, room, to, name, size: blob.size, mimeType };
    const file = this.#track(about, {
      file_accepted: ({ transfer, transferSecret, chunkBytes }) => {
        file.seen.transfer = transfer;
        Object.assign(file, { transferSecret, chunkBytes });
        // Nothing but the word for it may be missing.
        if (file.isSent) {
          work(() => this.#sayEnd(file));
        }
      },
      file_wanted: (piece) => {
        const socket = this.#socket;
        work(() => this.#serve(file, piece, socket));
      },
      file_progress: ({ acknowledged: bytes, receivers, completed, failed }) => {
        file.move({ bytes, receivers, completed, failed });
      },
      file_completed: ({ completed, failed }) => file.end({ code: 'complete', completed, failed }),
    });
    const go = () => {
      file.ending = null;
      file.say(() => ({ type: 'file_start', ...about, transferSecret: file.transferSecret }));
    };
    let working = Promise.resolve();
    // One piece after the other.
    const work = (act) => {
      working = working.then(act).catch(({ message }) => file.abandon('unreadable', message));
    };
    Object.assign(file, { blob, go, isSent: blob.size === 0 });
    this.#begin(file);
    return file.seen;
  }

  close() {
    const socket = this.#socket;
    this.flush();
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
    // One that was given up may say more.
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

  async #resume(socket) {
    if (this.options.batchInterval > 0) {
      socket.send('{"type":"hello","batch":true}');
    }
    const taken = this.options.resume && this.#takeUp();
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
    // Again is only sent by who is who it was.
    if (this.#queue.some((entry) => entry.again)) {
      await taken;
    }
    // What is sent by who hears of a drop waits behind the others.
    while (this.#socket === socket && socket.readyState === OPEN && this.#queue.length > 0) {
      const entry = this.#unqueue(0);
      // A timer may have slept.
      if (this.options.now() - entry.since >= this.options.queueAge) {
        this.#drop(entry, 'too_old');
      } else {
        this.#transmit(entry);
      }
    }
    if (this.#socket === socket) {
      this.#ready = true;
      this.#files.forEach((file) => (file.blob || file.offered === socket) && file.go());
      if (this.#files.size > 0) {
        this.#timer('offers', OFFER_MS, () => {
          this.#files.forEach((file) => file.offered === socket || file.end({ code: 'transfer_lost' }));
        });
      }
    }
  }

  // Nothing that follows is listened to before it is settled who says it.
  async #takeUp() {
    const { clientId, sessionSecret } = this.#session ?? {};
    const after = this.#session ? (this.#mail.last ?? 0) : undefined;
    try {
      await this.#insist(() => ({ type: 'resume', clientId, sessionSecret, after }), true);
    } catch ({ code, reply }) {
      // Whatever the server has against it: on this connection it is somebody else.
      for (const entry of this.#queue.filter(({ again }) => again && reply)) {
        this.#drop(this.#unqueue(this.#queue.indexOf(entry)));
      }
      if (code === 'stale_session') {
        this.#session = null;
        await this.#takeUp();
      }
    }
  }

  // Nobody may be there to answer a close frame.
  #abandon(reason) {
    const socket = this.#socket;
    this.#socket = null;
    socket.close(4000, reason);
    this.#lost({ type: 'close', code: 1006, reason, wasClean: false });
  }

  #lost(event) {
    const goodbye = this.#goodbye;
    this.#forget('connection_lost');
    // The server's word beats the code.
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

  #forget(code) {
    this.#socket = null;
    this.#ready = false;
    this.#goodbye = null;
    this.#ping = null;
    this.#clear('connect', 'stable', 'beat', 'offers', 'batch');
    const unsent = this.#batch.splice(0);
    this.#batchBytes = 0;
    unsent.forEach(({ id }) => this.#pending.delete(id));
    const lost = [...this.#pending.values()];
    this.#pending.clear();
    // What has a name of its own is sent again by who can come back.
    const canAgain = this.#session && code === 'connection_lost';
    const again = lost.filter((entry) => canAgain && entry.message?.messageId !== undefined);
    unsent.reverse().forEach((entry) => (code === 'closed' ? this.#drop(entry, code) : this.#wait(entry, 'unshift')));
    again.reverse().forEach((entry) => this.#wait({ ...entry, again: true }, 'unshift'));
    lost.forEach((entry) => again.some(({ id }) => id === entry.id) || this.#settle(entry, fault(code)));
  }

  #retry(hint = 0) {
    const { reconnectInterval, maxReconnectDelay, random, now } = this.options;
    // Anything up to the bound: who was lost together does not come back together.
    const delay = random() * Math.min(maxReconnectDelay, reconnectInterval * 2 ** this.#attempts);
    this.#attempts += 1;
    this.#notBefore = now() + hint;
    this.#timer('retry', Math.max(hint, delay), () => this.#reconnect());
    this.#become('waiting');
  }

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
    this.#files.forEach((file) => file.end({ code: 'closed' }));
  }

  #become(state) {
    if (this.#state !== state) {
      this.#state = state;
      this.trigger('state', state);
    }
  }

  // ---- signs of life

  #rest() {
    const { heartbeatInterval } = this.options;
    this.#ping = null;
    if (heartbeatInterval > 0) {
      this.#timer('beat', heartbeatInterval, () => this.#beat());
    }
  }

  // Only the answer to this very ping is a sign of life, or other messages, behind which it may be stuck. Who was held up
  // asks once more.
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
    if (this.#canSend()) {
      this.#transmit(entry);
      return 'sent';
    }
    if (this.#state === 'closed') {
      return this.#drop(entry, 'closed');
    }
    return this.#wait(entry, 'push');
  }

  // At the end of the queue, or where it was before.
  #wait(entry, where) {
    const { queueMessages, queueBytes, now } = this.options;
    entry.bytes = entry.text.byteLength ?? entry.text.size ?? new TextEncoder().encode(entry.text).length;
    entry.since ??= now();
    if (this.#queue.length >= queueMessages || this.#queuedBytes + entry.bytes > queueBytes) {
      return this.#drop(entry, 'queue_full');
    }
    this.#queue[where](entry);
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
    const { batchInterval, batchMessages, batchBytes } = this.options;
    if (this.#batchBytes + entry.text.length > batchBytes || !entry.isJson) {
      this.flush();
    }
    if (batchInterval === 0 || !entry.isJson) {
      this.#socket.send(entry.text);
      return;
    }
    this.#batchBytes += entry.text.length + 1;
    if (this.#batch.push(entry) >= batchMessages) {
      this.flush();
    } else if (this.#batch.length === 1) {
      this.#timer('batch', batchInterval, () => this.flush());
    }
  }

  #unqueue(at) {
    const [entry] = this.#queue.splice(at, 1);
    this.#queuedBytes -= entry.bytes;
    this.options.clearTimeout(entry.timer);
    return entry;
  }

  // What has been sent before has its own reason: nobody knows.
  #drop(entry, reason) {
    entry.reject?.(fault(entry.again ? 'connection_lost' : reason));
    if (!entry.again) {
      this.trigger('dropped', { message: entry.message, reason });
    }
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

  // Unless that is under way.
  #enter(room) {
    if (!room.entering || room.socket !== this.#socket) {
      room.socket = this.#socket;
      const entering = quiet(this.#ask(room));
      room.entering = entering;
      quiet(
        entering.finally(() => {
          if (room.entering === entering) {
            room.entering = null;
          }
        }),
      );
    }
    return room.entering;
  }

  async #ask(room) {
    const { name } = room;
    const isWanted = () => this.#rooms.get(name) === room;
    const join = () => {
      room.resuming = room.joined;
      const since = room.joined ? { after: room.last ?? 0, epoch: room.epoch } : {};
      return { type: 'join', room: name, ...since };
    };
    try {
      return await this.#insist(join, false, isWanted);
    } catch (error) {
      // The server's no is final; a lost connection is none.
      if (error.reply) {
        if (!isWanted()) {
          throw fault('left');
        }
        this.#rooms.delete(name);
      }
      throw error;
    }
  }

  // Asks on this connection alone, again if the server says when.
  async #insist(message, isQuiet, isWanted = () => true) {
    for (;;) {
      try {
        return await this.#promise((entry) => {
          const id = `rw${++this.#serial}`;
          this.#transmit({ ...entry, id, isQuiet, text: JSON.stringify({ ...message(), id }) });
        });
      } catch (error) {
        const waitMs = error.reply?.retryAfterMs;
        if (waitMs !== undefined) {
          await this.#pause(waitMs);
        }
        if (waitMs === undefined || !isWanted()) {
          throw error;
        }
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
    if (message?.type === 'batch' && Array.isArray(message.messages)) {
      message.messages.forEach((each) => this.#hear(each));
    } else {
      this.#hear(message);
    }
  }

  #hear(message) {
    const { type, id } = message ?? {};
    if (this.#ping && id === this.#ping) {
      this.#rest();
      return;
    }
    // A pong that is late for another ping says nothing of now.
    this.#heard ||= type !== 'pong';
    const entry = this.#pending.get(id);
    const isTold = this.#note(message, type, entry) && !entry?.isQuiet;
    if (entry) {
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

  // Whether the application is told of a message as it is.
  #note(message, type, isOurs) {
    const room = this.#rooms.get(message?.room);
    switch (type) {
      case 'welcome':
        this.#know(message.clientId);
        // One that opens and breaks again and again has not got anywhere.
        this.#timer('stable', this.options.stableAfter, () => {
          this.#attempts = 0;
        });
        return true;
      case 'session':
        this.#know(message.clientId);
        this.#session = message;
        // A new one counts from the beginning, and so does mail that the server has lost.
        if (!message.resumed || message.gap) {
          this.#mail.last = message.gap?.to ?? message.last;
        } else if (this.#mail.last > message.last) {
          this.#mail.last = 0;
        }
        this.#tell(message);
        return false;
      case 'private_message':
        return this.#isNew(this.#mail, message);
      case 'closing':
        this.#goodbye = message;
        return true;
      case 'joined_room':
        // Without a request it was joined by `send`; otherwise it is about to be left.
        if (room || !isOurs) {
          this.#joined(room ?? this.#addRoom(message.room), message.history);
        }
        return true;
      case 'left_room':
        // Removed, or left by `send`.
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
      case 'file_offered':
        return this.#offered(message);
      default:
        return !/^file_/.test(type) || !this.#tellFile(message);
    }
  }

  // The latest is the client's own.
  #know(clientId) {
    this.#clientIds.delete(clientId);
    this.#clientIds.add(clientId);
    if (this.#clientIds.size > FORMER_IDS) {
      this.#clientIds.delete(this.#clientIds.values().next().value);
    }
  }

  #joined(room, history) {
    room.socket = this.#socket;
    room.joined = true;
    // Who comes back is told what was said, and then where the log stands.
    if (!room.resuming) {
      room.epoch = history?.epoch;
      room.last = history?.last;
    }
  }

  // Something may have been said before the server knew again who is in the room. Another one may come, for others.
  #beginAnew(room, { epoch, last }) {
    if (!room || room.epoch === epoch) {
      return;
    }
    Object.assign(room, { epoch, last: 0 });
    if (last > 0 && room.joined) {
      this.#enter(room);
    }
  }

  // As if it were said now.
  #catchUp(room, { epoch, last, messages, gap, reset }) {
    const { name } = room;
    // It may have been told so while it waited for this, and have heard of that log since.
    const isNews = reset && room.epoch !== epoch;
    room.epoch = epoch;
    if (isNews) {
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
      if (each.offset <= room.last) {
        continue;
      }
      room.last = each.offset;
      const message = { type: 'room_message', room: name, ...each };
      if (this.#clientIds.has(each.from)) {
        this.trigger('own_message', message);
      } else {
        this.#tell(message);
      }
    }
  }

  // Each offset once, and in order: who asks for what came before hears of this one behind that.
  #isNew(room, { offset }) {
    if (offset === undefined) {
      return true;
    }
    const isNew = !(offset <= room.last || (room.entering && offset > room.last + 1));
    room.last = isNew ? offset : room.last;
    return isNew;
  }

  // ---- files

  // `seen` is the application's.
  #track(about, heard) {
    let settle;
    const done = new Promise((resolve) => (settle = resolve));
    const seen = { ...about, bytes: 0, done, cancel: (reason) => file.abandon('cancelled', reason) };
    const file = {
      seen,
      // Only the first end is one.
      end: (outcome) => {
        file.isOver = true;
        this.#files.delete(file);
        settle(outcome);
      },
      abandon: (code, message) => {
        const isGoing = this.#files.has(file);
        file.end({ code, message });
        if (isGoing) {
          const { transferId, transfer } = seen;
          this.#sayLast({ type: 'file_abort', ...(transferId ? { transferId } : { transfer }), reason: message });
        }
      },
      // A refusal is the end, unless it was too early, or twice. What a lost connection leaves open, the next settles.
      say: async (ask) => {
        file.offered = this.#socket;
        try {
          await this.#insist(ask, true, () => !file.isOver);
        } catch ({ code, message }) {
          if (code === 'transfer_unexpected') {
            file.ending = null;
          } else if (code !== 'connection_lost') {
            file.end({ code, message });
          }
        }
      },
      move: (how) => this.trigger('progress', Object.assign(seen, how)),
      heard: {
        file_abort: ({ reason: message }) => file.end({ code: 'aborted', message }),
        file_error: ({ code, message }) => file.end({ code, message }),
        ...heard,
      },
    };
    return file;
  }

  #begin(file) {
    this.#files.add(file);
    if (this.#state === 'closed') {
      file.end({ code: 'closed' });
    } else if (this.#canSend()) {
      file.go();
    }
  }

  #sayLast(message) {
    if (this.#canSend()) {
      quiet(this.#insist(() => message, true));
    }
  }

  // Whether a message is about a file of this client's.
  #tellFile(message) {
    const name = message.transferId ? 'transferId' : 'transfer';
    const file = [...this.#files].find(({ seen }) => seen[name] === message[name]);
    file?.heard[message.type]?.(message);
    return !!file;
  }

  async #serve(file, { offset, length }, socket) {
    const { blob, chunkBytes, seen } = file;
    const end = Math.min(offset + length, blob.size);
    for (let at = offset; at < end; at += chunkBytes) {
      const bytes = await blob.slice(at, Math.min(at + chunkBytes, end)).arrayBuffer();
      while (socket.bufferedAmount > AHEAD_BYTES && socket === this.#socket) {
        await new Promise((resolve) => this.options.setTimeout(resolve, AHEAD_MS));
      }
      if (file.isOver || socket !== this.#socket) {
        return;
      }
      socket.send(chunkFrame(seen.transfer, at, bytes));
    }
    if (end === blob.size) {
      file.isSent = true;
      await this.#sayEnd(file);
    }
  }

  async #sayEnd(file) {
    if (file.ending) {
      return;
    }
    file.ending = this.#socket;
    const hash = await (file.hash ??= sha256(file.blob));
    if (file.ending === this.#socket) {
      const { transfer, size } = file.seen;
      file.say(() => ({ type: 'file_end', transfer, size, hash }));
    }
  }

  #offered({ transfer, from, room, name, size, mimeType, hash, maxWindow }) {
    // The client's own, of a connection that it has lost.
    if (this.#clientIds.has(from)) {
      return false;
    }
    const again = [...this.#files].find(({ blob, seen }) => !blob && seen.transfer === transfer && seen.size === size);
    if (again) {
      again.offered = this.#socket;
      this.#begin(again);
      return false;
    }
    const file = this.#track({ transfer, from, room, name, size, mimeType, hash }, {
      file_chunk: ({ offset, data }) => {
        const bytes = bytesOf({ data });
        const end = offset + bytes.length;
        if (offset > seen.bytes || end > size) {
          file.abandon('transfer_corrupt');
        } else if (end > seen.bytes) {
          // After a reconnect it may begin with what is there.
          pieces.push(bytes.subarray(seen.bytes - offset));
          file.move({ bytes: end });
          if (end - credited >= step && end < size && !file.isOver) {
            file.go();
          }
        }
      },
      file_end: async (end) => {
        const blob = new Blob(pieces, { type: mimeType });
        const own = await sha256(blob).catch(() => {});
        if (file.isOver) {
          return;
        }
        if (blob.size === size && [hash, own].every((known) => (known ?? end.hash) === end.hash)) {
          this.#sayLast({ type: 'file_complete', transfer });
          file.end({ code: 'complete', blob, verified: !!own });
        } else {
          file.abandon('transfer_corrupt');
        }
      },
    });
    const { seen } = file;
    const pieces = [];
    const step = Math.min(CREDIT_BYTES, maxWindow / 4);
    let credited = 0;
    file.offered = this.#socket;
    file.go = () => {
      credited = seen.bytes;
      file.say(() => ({ type: 'file_credit', transfer, offset: seen.bytes, window: maxWindow }));
    };
    seen.accept = () => {
      if (!file.isOver) {
        this.#begin(file);
      }
      return seen.done;
    };
    this.trigger('file', seen);
    return true;
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
