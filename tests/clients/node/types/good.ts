// What must type-check, and is never run.
import {
  WebSocketClient,
  type ClientMessage,
  type CloseCode,
  type ErrorCode,
  type RequestError,
  type ServerMessage,
} from './roomwire.js';

const client = new WebSocketClient('ws://127.0.0.1:8080/', { maxReconnectAttempts: Infinity });

// Every message of a client, and what it may hold.
const said: ClientMessage[] = [
  { type: 'ping' },
  { type: 'ping', timestamp: null, id: 7 },
  { type: 'join', room: 'tea', id: 'j-1' },
  { type: 'join', room: 'tea', after: 7 },
  { type: 'join', room: 'tea', after: 7, epoch: '00000000000000ff' },
  { type: 'room_message', room: 'tea', data: { any: ['value', null, 1] } },
  { type: 'room_message', room: 'tea', data: 'AA==', encoding: 'base64' },
  { type: 'broadcast', data: null },
  { type: 'history', room: 'tea', before: 7 },
  { type: 'members', room: 'tea', after: 'client_', limit: 5, metadata: true },
  { type: 'resume' },
  { type: 'resume', clientId: 'client_AAAAAAAAAAAAAAAAAAAAAAAB', sessionSecret: 'AAECAwQFBgcICQoLDA0ODw', after: 0 },
  { type: 'set_metadata', metadata: { name: 'Ada', mood: null } },
  { type: 'file_start', room: 'tea', name: 'a.txt', size: 1, mimeType: '' },
  { type: 'file_start', to: 'server', name: 'a.txt', size: 1, mimeType: '', transferId: 'f1' },
  { type: 'file_end', transferId: 'f1', size: 1 },
  { type: 'batch', messages: [{ type: 'ping' }, { type: 'roll', sides: 6 }] },
];
said.forEach((message) => client.send(message));

// What it is answered with.
client.request({ type: 'ping' }).then(({ timestamp }) => timestamp.toFixed());
client.request({ type: 'members', room: 'tea' }).then(({ members, more }) => (more ? members.at(-1) : undefined));
client.request({ type: 'history', room: 'tea' }).then(({ messages }) => messages.map(({ offset }) => offset + 1));
client.request({ type: 'roll', sides: 6 }).then((reply) => reply.n);
client.join('tea').then(({ history }) => history?.epoch.length);
client.say('tea', 1).then(({ type }) => type === 'ack');
client.leave('tea').catch((error: RequestError) => error.code === 'not_member' || error.reply?.retryAfterMs);

// What it hears.
client.on('member_left', ({ reason }) => reason === 'timeout');
client.on('messages_dropped', ({ room, count }) => [room?.length, count.toFixed()]);
client.on('rolled', (message) => message.n);

/** What the server says is told apart by its `type`, and nothing is forgotten. */
export function look(message: ServerMessage): number | string | undefined {
  switch (message.type) {
    case 'welcome':
      return message.limits.rate?.perMs ?? message.limits.maxRooms;
    case 'error':
      return meaning(message.code);
    case 'closing':
      return message.reconnectAfterMs ?? message.code;
    case 'resumed':
      return message.epoch === undefined ? undefined : message.last.toFixed();
    case 'members':
      return message.metadata?.[message.members[0] ?? '']?.name;
    case 'batch':
      return message.messages.length;
    case 'history':
      return message.reset ? message.gap?.from : message.last;
    default:
      return message.type;
  }
}

function meaning(code: ErrorCode): string {
  return code === 'rate_limited' ? 'later' : code;
}

export const restarts: CloseCode = 1012;
