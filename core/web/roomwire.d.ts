// Types of roomwire.js. The messages are described in PROTOCOL.md.

/** A message of the protocol: one of the server's types, or one of the application behind it. */
export interface Message {
  type: string;
  [field: string]: unknown;
}

/** What a member of a room said. `offset` is there in rooms that keep their messages. */
export interface RoomMessage extends Message {
  type: 'room_message';
  room: string;
  /** The sender's client id. */
  from: string;
  data: any;
  /** `base64` if `data` spells bytes. */
  encoding?: 'base64';
  /** The server's clock, in milliseconds since 1970. */
  timestamp: number;
  offset?: number;
}

export interface Welcome extends Message {
  type: 'welcome';
  clientId: string;
}

export interface JoinedRoom extends Message {
  type: 'joined_room';
  room: string;
  /** Client ids, not necessarily all. */
  members: string[];
  total: number;
  /** Where the log stands of a room that keeps its messages. */
  history?: { epoch: string; last: number };
}

/** The end of what was said while the client was away. */
export interface Resumed extends Message {
  type: 'resumed';
  room: string;
  epoch?: string;
  last?: number;
  /** Whether nothing was left out. A room that keeps no messages cannot know: it says `false`. */
  complete: boolean;
}

/** Messages that were missed and are not kept any more, both offsets among them. */
export interface Gap extends Message {
  type: 'gap';
  room: string;
  from: number;
  to: number;
}

/** The log of a room has begun anew: offsets count from 1 again. What the former one held and was not heard is lost. */
export interface Reset extends Message {
  type: 'reset';
  room: string;
  epoch: string;
  last: number;
}

/**
 * - `connecting`: from the beginning, and at each attempt;
 * - `open`: connected. Rooms may still be about to be joined again; what is sent meanwhile goes out behind that;
 * - `waiting`: for the next attempt;
 * - `closed`: for good: by `close()`, because the server said so, or after too many attempts.
 */
export type State = 'connecting' | 'open' | 'waiting' | 'closed';

/**
 * Why a request has no outcome of the server's:
 * - `connection_lost`: it was sent, and whether it was carried out is not known;
 * - `queue_full`, `too_old`: it was not sent, as the connection was away, and too much or for too long;
 * - `closed`: the client is closed, or was before the outcome came;
 * - `left`: of `join`: the room was left meanwhile.
 */
export type LocalCode = 'connection_lost' | 'queue_full' | 'too_old' | 'closed' | 'left';

/** What a request rejects with. */
export interface RequestError extends Error {
  /** A {@link LocalCode}, or the server's, such as `not_member` or `rate_limited`. */
  code: LocalCode | (string & {});
  /** The server's `error`, if it is the one who refused. `retryAfterMs` says when to try again. */
  reply?: Message & { code: string; message: string; retryAfterMs?: number };
}

/** A message that waited for the connection and was given up; a request also rejects. */
export interface Dropped {
  /** As it was given to `send`, `request`, `say` or `leave`. */
  message: any;
  reason: 'queue_full' | 'too_old' | 'closed';
}

/** How a connection ended. One that was given up by the client ends with 1006, and `no pong` or `no answer` as reason. */
export interface Closed {
  code: number;
  reason: string;
  wasClean: boolean;
}

export interface Events {
  /** A connection is there, the first one or another. */
  open: unknown;
  /** Any message, before the event of its own type. Text that is not JSON comes as a string. */
  message: any;
  /** An `error` of the server (a {@link Message}), or a socket that failed (an `Event`); the latter's `close` follows. */
  error: any;
  /** A connection has ended, or an attempt. Whether there will be another one, `state` tells by now. */
  close: Closed;
  /** The state has changed. */
  state: State;
  /** A message that waited was given up. */
  dropped: Dropped;
  /** There will be no other attempt: how the last one ended. */
  maxReconnectAttemptsReached: Closed;
  /**
   * What a member said: live, or after a reconnect what was said meanwhile; each offset once and in order. The client's
   * own messages are not among them.
   */
  room_message: RoomMessage;
  /** An own message as a room has kept it; only told after a reconnect, and by no `message`. */
  own_message: RoomMessage;
  resumed: Resumed;
  gap: Gap;
  reset: Reset;
  welcome: Welcome;
  joined_room: JoinedRoom;
}

export interface Options {
  /** The first wait before a reconnect, in milliseconds. Each is twice as long, and any part of it is waited. Default 1,000. */
  reconnectInterval?: number;
  /** The longest such wait. Default 30,000. */
  maxReconnectDelay?: number;
  /** Attempts to reconnect since a connection was last stable; may be `Infinity`. Default 5. */
  maxReconnectAttempts?: number;
  /** How long a connection may take to open. Default 15,000. */
  connectTimeout?: number;
  /** How long after its `welcome` a connection is stable, and attempts are counted anew. Default 5,000. */
  stableAfter?: number;
  /** The time between an answer and the next ping; 0 for none. Default 30,000. */
  heartbeatInterval?: number;
  /** How long the answer to a ping may take, if nothing else comes either. Default 15,000. */
  heartbeatTimeout?: number;
  /** How many messages wait while there is no connection. Default 100. */
  queueMessages?: number;
  /** How large they are together, in bytes of UTF-8. Default 1,048,576. */
  queueBytes?: number;
  /** How long each waits. Also how long `join` does. Default 60,000. */
  queueAge?: number;
  /** Subprotocols to offer. Default: none, which is right for every server. */
  protocols?: string | string[];
  /** A WebSocket like that of browsers. Default: the global one. */
  WebSocket?: new (url: string, protocols?: string | string[]) => any;
  /** From 0 to 1; for tests, as are the following. Default `Math.random`. */
  random?: () => number;
  /** Milliseconds. Default `Date.now`. */
  now?: () => number;
  setTimeout?: (act: () => void, ms: number) => any;
  clearTimeout?: (timer: any) => void;
}

/**
 * A connection that comes back by itself, with its rooms.
 *
 * It reconnects unless the close code, or the server's `closing`, says that there is no use in it. A page that becomes
 * visible, or is online again, tries at once. Then every room is joined again; what was said there meanwhile is told as
 * `room_message`, if the room keeps it, and `resumed` says whether that was all. Only then is sent what waited.
 *
 * A request that was sent when the connection broke is not sent again, as it may have been carried out.
 *
 * The listener must not be one with `raw_payloads`: what comes without an envelope belongs to no room.
 */
export class WebSocketClient {
  /**
   * Connects at once. Throws what `new WebSocket` throws, a `SyntaxError` for a malformed URL, and a `RangeError` for an
   * option that should be a number and is none, or is negative; the timeouts must not be 0 either.
   */
  constructor(url: string, options?: Options);

  readonly url: string;
  readonly options: Required<Options>;
  readonly state: State;
  /** The client's id of this connection, or of the last one. Every connection has another. */
  readonly clientId: string | undefined;

  /** Calls `handler` whenever something happens, or a message of that type comes. Handlers that throw disturb no other. */
  on<E extends keyof Events>(event: E, handler: (data: Events[E]) => void): void;
  on(event: string, handler: (data: any) => void): void;

  off<E extends keyof Events>(event: E, handler: (data: Events[E]) => void): void;
  off(event: string, handler: (data: any) => void): void;

  /** Calls the handlers of an event. */
  trigger(event: string, data?: unknown): void;

  /**
   * Sends an object as JSON, or text as it is; without a connection it waits for one. Of what became of it only `dropped`
   * is told later.
   */
  send(message: object | string): 'sent' | 'queued' | 'dropped';

  /** As `send`, and resolves to the outcome, or rejects with a {@link RequestError}. The `id` is the client's own. */
  request(message: object): Promise<Message>;

  /**
   * Joins a room. The client wants to be in it from now on, and joins it again whenever a connection is there, until
   * `leave`, or until the server refuses, or removes it. A refusal that says when to ask again (`rate_limited`) is
   * waited for. The promise is about this time only: if it rejects with `connection_lost` or `too_old`, the room is
   * joined when the connection is back all the same.
   */
  join(room: string): Promise<JoinedRoom>;

  /** Leaves a room. Without a connection that is done at once, and what waits to be said there will be refused. */
  leave(room: string): Promise<Message>;

  /** Says something in a room. */
  say(room: string, data: unknown): Promise<Message>;

  /** Ends it for good. What waits is dropped, open requests reject. */
  close(): void;
}
