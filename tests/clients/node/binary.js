'use strict';
// Binary frames to what the JSON message of the same meaning says. Knows the table in PROTOCOL.md and nothing else
// of their layout: it reads it from there.

const fs = require('node:fs');
const path = require('node:path');

const PROTOCOL = path.join(__dirname, '../../../core/PROTOCOL.md');
const HEADER_BYTES = 13;
const TABLE = '| type | name | from | payload | values |\n';

/// The published types: from whom and of which number -> name and payload.
function registry() {
  const [, table] = fs.readFileSync(PROTOCOL, 'utf8').split(TABLE);
  const types = new Map();
  for (const row of table.split('\n').slice(1)) {
    if (!row.startsWith('|')) break;
    const [, type, name, from, payload] = row.split('|').map((cell) => cell.trim().replaceAll('`', ''));
    types.set(`${from} ${Number(type)}`, { name, payload });
  }
  return types;
}

const TYPES = registry();

/// `a, [bit 0: b], c` -> its pieces. No comma stands inside a piece.
const piecesOf = (payload) => payload.split(', ').map((piece) => piece.trim());

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.at = 0;
  }

  take(length) {
    if (this.at + length > this.bytes.length) throw new RangeError('too short');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  rest() {
    return this.take(this.bytes.length - this.at);
  }

  number(bits) {
    const bytes = this.take(bits / 8);
    return bytes.reduce((number, byte) => number * 256n + BigInt(byte), 0n);
  }
}

const utf8 = (bytes) => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
const base64 = (bytes) => Buffer.from(bytes).toString('base64');
const small = (number) => (number <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(number) : number);

/// Reads one piece of a sort, `fields` being those that have been read.
function read(reader, sort, fields, from) {
  switch (sort) {
    case 'u8': case 'u16': case 'u32': case 'u64':
      return small(reader.number(Number(sort.slice(1))));
    case 'number': return small(reader.number(32)) || undefined;
    case 'client': return `client_${Buffer.from(reader.take(18)).toString('base64url')}`;
    case 'secret': return Buffer.from(reader.take(16)).toString('base64url');
    case 'range': return { from: small(reader.number(64)), to: small(reader.number(64)) };
    case 'hash': return `sha256:${Buffer.from(reader.take(32)).toString('hex')}`;
    case 'text': return utf8(reader.take(small(reader.number(16))));
    case 'json': return JSON.parse(utf8(reader.take(small(reader.number(32)))));
    case 'rest bytes': return { bytes: reader.rest() };
    case 'rest text': return utf8(reader.rest());
    case 'rest json': return JSON.parse(utf8(reader.rest()));
    case 'rest data': return fields.kind === 1 ? JSON.parse(utf8(reader.rest())) : { bytes: reader.rest() };
    case 'rest frames': return split(reader.rest()).map((frame) => decode(frame, from));
    default: throw new Error(`PROTOCOL.md says ${sort}`);
  }
}

/// One piece as the table has it: `u8 kind`, `rest data`, `count × client members`, `[bit 1: u32 limit]`.
function readPiece(reader, piece, fields, from) {
  const condition = /^\[(?:bit (\d)|(\w+) = (\d+)): (.*)\]$/.exec(piece);
  if (condition) {
    const [, bit, name, value, inner] = condition;
    const holds = bit === undefined ? fields[name] === Number(value) : (fields.flags >> Number(bit)) & 1;
    if (holds) readPiece(reader, inner, fields, from);
    return;
  }
  const [, counted, sort, name] =
    /^(count × )?(rest (?:bytes|text|json|frames|data)|\w+)(?: (\w+))?$/.exec(piece);
  const value = counted
    ? Array.from({ length: fields.count }, () => read(reader, sort, fields, from))
    : read(reader, sort, fields, from);
  fields[sort === 'number' ? 'id' : sort === 'rest data' ? 'data' : name] = value;
}

/// Whole frames that lie behind each other.
function split(bytes) {
  const frames = [];
  for (let at = 0; at < bytes.length; ) {
    const length = HEADER_BYTES + new Reader(bytes.subarray(at)).view.getUint32(9);
    if (at + length > bytes.length) throw new RangeError('too short');
    frames.push(bytes.subarray(at, at + length));
    at += length;
  }
  return frames;
}

/// Header and fields of one frame, `from` a 'client' or the 'server'.
function decode(bytes, from) {
  const reader = new Reader(bytes);
  const type = Number(reader.number(8));
  const timestamp = small(reader.number(64));
  if (small(reader.number(32)) !== bytes.length - HEADER_BYTES) throw new RangeError('not one frame');
  const known = TYPES.get(`${from} ${type}`);
  if (!known) throw new RangeError('unknown type');
  const fields = {};
  for (const piece of piecesOf(known.payload)) readPiece(reader, piece, fields, from);
  if (reader.at !== bytes.length) throw new RangeError('too long');
  return { type, name: known.name, timestamp, fields };
}

const NOT_TOLD = 0xffffffff;
const REASONS = ['left', 'disconnected', 'timeout', 'kicked'];

/// The JSON message of the same meaning.
function toJson({ name, timestamp, fields }, from) {
  const { flags, kind, destination, ...rest } = fields;
  const message = { type: name, ...rest };
  if (message.members || message.leftOut) delete message.count;
  const set = (bit) => Boolean((flags >> bit) & 1);
  if (name === 'application') return { id: rest.id, ...rest.message };
  if (message.data?.bytes) Object.assign(message, { data: base64(message.data.bytes), encoding: 'base64' });
  if (message.epoch !== undefined) message.epoch = message.epoch.toString(16).padStart(16, '0');
  if (name === 'batch') message.messages = message.messages.map((inner) => toJson(inner, from));
  if (from === 'client') {
    if (name === 'hello') message.batch = set(0);
    if (name === 'ping') message.timestamp = timestamp;
    if (name === 'members' && set(0)) message.metadata = true;
    if (destination === 2) message.to = 'server';
    return message;
  }
  if (['welcome', 'pong', 'room_message', 'broadcast', 'private_message'].includes(name)) {
    message.timestamp = timestamp;
  }
  if (name === 'welcome') {
    const { maxMessageBytes, maxRooms, maxRoomNameBytes, rateMessages, ratePerMs, ...others } = message;
    const rate = set(1) ? { messages: rateMessages, perMs: ratePerMs } : null;
    return { ...others, resumed: set(0), limits: { maxMessageBytes, maxRooms, maxRoomNameBytes, rate } };
  }
  if (name === 'members') {
    message.more = set(0);
    if (message.metadata) {
      message.metadata = Object.fromEntries(message.members.map((id, index) => [id, message.metadata[index]]));
    }
  }
  if (name === 'joined_room' && message.epoch) {
    const { epoch, last, ...others } = message;
    return { ...others, history: { epoch, last } };
  }
  if (name === 'history') {
    const { gapFrom, gapTo, ...others } = message;
    const messages = message.messages.map((past) => {
      const { type, room, ...kept } = toJson(past, from);
      return kept;
    });
    const gap = set(2) && { gap: { from: gapFrom, to: gapTo } };
    return { ...others, messages, more: set(0), ...gap, ...(set(1) && { reset: true }) };
  }
  if (name === 'resumed') message.complete = set(1);
  if (name === 'session') {
    const { gapFrom, gapTo, ...others } = message;
    return { ...others, resumed: set(0), ...(set(1) && { gap: { from: gapFrom, to: gapTo } }) };
  }
  if (name === 'ack' && set(1)) message.duplicate = true;
  if (name === 'member_left') message.reason = REASONS[message.reason];
  for (const after of ['retryAfterMs', 'reconnectAfterMs']) {
    if (message[after] === NOT_TOLD) delete message[after];
  }
  if (name === 'messages_dropped' && message.room === '') delete message.room;
  return message;
}

module.exports = { HEADER_BYTES, TYPES, decode, split, toJson };
