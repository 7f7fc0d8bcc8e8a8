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

/** What a message asks for besides being told; see "Terms" in PROTOCOL.md. */
export interface Terms {
  /** The sender's own name for it, under which it is told once. */
  messageId?: string;
  /** For how long who comes back is told of it, in milliseconds. */
  ttlMs?: number;
  /** What it tells of: in what the room keeps, a later one with the same key takes its place. */
  key?: string;
}

export interface Welcome extends Message {
  type: 'welcome';
  clientId: string;
}

/** Who the client is: `resumed` says whether it is who it was on its last connection. */
export interface Session extends Message {
  type: 'session';
  clientId: string;
  resumed: boolean;
  /** For how long after a lost connection it can be that again, and for how long nobody is told, in milliseconds. */
  windowMs: number;
  awayMs: number;
  /** The offset of the latest message to this client alone. */
  last: number;
  /** Those of them that were missed and are not kept any more, both offsets among them. */
  gap?: { from: number; to: number };
  /** Those of them that are out of date. */
  leftOut?: { from: number; to: number }[];
}

/** What somebody said to this client alone. `offset` is there if it has a session. */
export interface PrivateMessage extends Message {
  type: 'private_message';
  from: string;
  data: any;
  encoding?: 'base64';
  timestamp: number;
  offset?: number;
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

/**
 * How a file ended; each has one outcome, and `done` resolves to it and never rejects.
 *
 * - `complete`: it is there. Of one that was sent: how many have it, and how many have accepted it and do not; both may
 *   be 0 only if all who had it on their way are gone. Of one that was received: the file, and whether its SHA-256 is
 *   known to be right.
 * - `cancelled`: by `cancel` at this end, `aborted`: by the other. `message` is what was said, untrusted.
 * - `unreadable`: of one that was sent: it cannot be read, as it was changed or removed.
 * - `closed`: the client was closed, or is.
 * - anything else is what the server says, such as `too_large`, `not_member`, `transfer_limit`, `transfer_corrupt` (also
 *   if this end has found that out), `transfer_timeout`; `transfer_lost`, and `transfer_unknown`, if the server, the sender
 *   or this end was away for too long.
 */
export type FileOutcome =
  | { code: 'complete'; completed: number; failed: number }
  | { code: 'complete'; blob: Blob; verified: boolean }
  | { code: 'cancelled' | 'aborted' | 'unreadable' | 'closed' | (string & {}); message?: string };

/** A file on its way. */
export interface FileTransfer<Outcome = FileOutcome> {
  /** The server's number for it; of one that is sent once the server knows of it. */
  readonly transfer: number | undefined;
  readonly room: string | undefined;
  /** What the sender calls it, for people: never a path, and untrusted. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** What the sender says that it is, or empty. Untrusted. */
  readonly mimeType: string;
  /** How much has come, or how much everybody has who has accepted it. The event `progress` tells of more. */
  readonly bytes: number;
  readonly done: Promise<Outcome>;
  /** Ends it, at the other ends too, or refuses what was offered. Nothing happens if it has ended. */
  cancel(reason?: string): void;
}

/** A file that is sent. */
export interface SentFile extends FileTransfer<Exclude<FileOutcome, { blob: Blob }>> {
  readonly to: string | undefined;
  /** Who is at it, has it, or has accepted it and does not have it, once there is progress. */
  readonly receivers?: number;
  readonly completed?: number;
  readonly failed?: number;
}

/** A file that is offered, and then received. */
export interface OfferedFile extends FileTransfer<Exclude<FileOutcome, { completed: number }>> {
  readonly transfer: number;
  /** The sender's client id. */
  readonly from: string;
  readonly hash?: string;
  /**
   * Takes it, into memory. Who does not want it calls `cancel`, or does nothing: it may be accepted as long as it is on
   * its way. Returns `done`.
   *
   * The blob has the type that the sender says. Of what is in it nothing is known: a page must not open it as a document
   * of its own origin.
   */
  accept(): OfferedFile['done'];
}

/** To whom a file goes: a room that the client is in, or a client by its id. */
export type SendOptions = ({ room: string } | { to: string }) & {
  /** Default: the name of a `File`, else `file`. */
  name?: string;
  /** Default: the type of a `Blob`. */
  mimeType?: string;
};

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
  /**
   * A file may be had: in a room, or by this client alone. After a reconnect it is offered again, as another object with
   * the same `transfer`, unless it was accepted: then it goes on. The client's own are not offered to it.
   */
  file: OfferedFile;
  /** More of a file has come, or is known to have come to those who take it. */
  progress: SentFile | OfferedFile;
  /** What was sent to this client alone: live, or after a reconnect what was sent meanwhile; each offset once. */
  private_message: PrivateMessage;
  /** After each connection's `welcome`, unless the server has no sessions: only now it is known who the client is. */
  session: Session;
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
  /**
   * Whether the client is who it was after a lost connection, if it is soon enough: its id, its metadata, its place in its
   * rooms, and what was sent to it alone. Default `true`.
   */
  resume?: boolean;
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

  /**
   * Says something in a room. With a `messageId`, and with the option `resume`, it is sent again when the connection was
   * lost before its outcome came, and told once: it rejects with `connection_lost` only if the session is over. So is
   * every `request` whose message has one. The outcome of a message with terms has its `offset` in the room's log, and
   * says `duplicate` if it was told before.
   */
  say(room: string, data: unknown, terms?: Terms): Promise<Message>;

  /**
   * Offers a file, and sends it as the server asks for it, in binary frames. Without a connection it waits for one. It
   * outlasts a lost connection if that is back within the server's `files.resume_ms`.
   *
   * Where there is `crypto.subtle`, which only secure contexts have (https, and this machine), files of up to 128 MiB are
   * hashed: the sender tells the server what it has sent, and the receiver compares what has come with what the server
   * has counted. Elsewhere, and above, only sizes are compared, and received files are not `verified`.
   */
  sendFile(data: File | Blob | ArrayBuffer | ArrayBufferView | string, options: SendOptions): SentFile;

  /** Ends it for good. What waits is dropped, open requests reject, files end. */
  close(): void;
}
