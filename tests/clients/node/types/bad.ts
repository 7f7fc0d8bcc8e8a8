// What must not type-check: the compiler says so where it finds nothing wrong below such a line.
import { WebSocketClient, type ClientMessage, type CloseCode, type ErrorCode, type ServerMessage } from './roomwire.js';

const client = new WebSocketClient('ws://127.0.0.1:8080/');

export const said: ClientMessage[] = [
  // @ts-expect-error There is no such message.
  { type: 'jion', room: 'tea' },
  // @ts-expect-error A room is missing.
  { type: 'join' },
  // @ts-expect-error A room is a string.
  { type: 'join', room: 7 },
  // @ts-expect-error There is no such field.
  { type: 'join', room: 'tea', colour: 'blue' },
  // @ts-expect-error An epoch goes with an offset.
  { type: 'join', room: 'tea', epoch: '00000000000000ff' },
  // @ts-expect-error One of them.
  { type: 'history', room: 'tea', after: 1, before: 9 },
  // @ts-expect-error Data is missing.
  { type: 'room_message', room: 'tea' },
  // @ts-expect-error `undefined` is no JSON.
  { type: 'room_message', room: 'tea', data: undefined },
  // @ts-expect-error Bytes are spelled by a string.
  { type: 'room_message', room: 'tea', data: 7, encoding: 'base64' },
  // @ts-expect-error There is one encoding.
  { type: 'room_message', room: 'tea', data: '00', encoding: 'hex' },
  // @ts-expect-error Both of them.
  { type: 'resume', clientId: 'client_AAAAAAAAAAAAAAAAAAAAAAAB' },
  // @ts-expect-error One of them.
  { type: 'file_start', name: 'a.txt', size: 1, mimeType: '' },
  // @ts-expect-error One of them.
  { type: 'file_start', room: 'tea', to: 'server', name: 'a.txt', size: 1, mimeType: '' },
  // @ts-expect-error Metadata is an object.
  { type: 'set_metadata', metadata: 7 },
  // @ts-expect-error The server says that, not a client.
  { type: 'welcome' },
  // @ts-expect-error An id is a string or a number.
  { type: 'ping', id: null },
];

export function look(message: ServerMessage): unknown {
  // @ts-expect-error Not every message has a room.
  message.room;
  // @ts-expect-error The server says no such thing.
  if (message.type === 'join') {
    return;
  }
  if (message.type === 'room_message') {
    // @ts-expect-error There is no such field.
    return message.sender;
  }
  if (message.type === 'joined_room') {
    // @ts-expect-error Not every room keeps its messages.
    return message.history.epoch;
  }
  return;
}

// @ts-expect-error There is no such code.
export const wrong: ErrorCode = 'not_a_code';
// @ts-expect-error Nor such a one.
export const none: CloseCode = 1006;
// @ts-expect-error A pong has no members.
client.request({ type: 'ping' }).then(({ members }) => members);
// @ts-expect-error A departure has a reason, from a list.
client.on('member_left', ({ reason }) => reason === 'bored');
