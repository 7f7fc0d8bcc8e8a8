// Types of roomwire.js, and of the messages, which PROTOCOL.md describes.

/** A message of the protocol: one of the server's types, or one of the application behind it. */
export interface Message {
  type: string;
  [field: string]: unknown;
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

/** Messages that were missed and are not kept any more, both offsets among them. */
export interface Gap extends Message {
  type: 'gap';
  room: string;
  from: number;
  to: number;
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
  /** A {@link LocalCode}, or the server's. */
  code: LocalCode | ErrorCode | (string & {});
  /** The server's `error`, if it is the one who refused. */
  reply?: ErrorMessage;
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

/** What is told, by its name: every message of the server by its type, and what the client says by itself. */
export interface Events extends Omit<ServerMessages, 'error'> {
  /** A connection is there, the first one or another. */
  open: unknown;
  /** Any message, before the event of its own type. Text that is not JSON comes as a string. */
  message: any;
  /** An `error` of the server (an {@link ErrorMessage}), or a socket that failed (an `Event`); the latter's `close` follows. */
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
  gap: Gap;
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
  /**
   * For how long a message in JSON waits for others that go out with it, as one `batch`, in milliseconds; their outcomes
   * come together, too. Binary messages, joins and leaves go at once, with what waits before them. What waits when the
   * connection is lost waits for the next one. Default 0: none waits.
   */
  batchInterval?: number;
  /** How many go out together; no more than the server's `limits.max_batch_messages`. Default 100. */
  batchMessages?: number;
  /** How large they are together, in UTF-16 units, if there are several. Default 65,536. */
  batchBytes?: number;
  /** How often the server is told that the user is typing, at most, in milliseconds. Default 3,000. */
  typingInterval?: number;
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
/** The bytes of a message whose `encoding` is `base64`. */
export function bytesOf(message: { data: string }): Uint8Array;

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
   * Sends an object as JSON, bytes as a binary message, or text as it is; without a connection it waits for one. Of what
   * became of it only `dropped` is told later.
   */
  send(message: object | string | ArrayBuffer | ArrayBufferView | Blob): 'sent' | 'queued' | 'dropped';

  /** As `send`, and resolves to the outcome, or rejects with a {@link RequestError}. The `id` is the client's own. */
  request<M extends ClientMessage>(message: M): Promise<ServerMessages[Answers[M['type']]]>;
  request(message: object): Promise<Message>;

  /**
   * Joins a room. The client wants to be in it from now on, and joins it again whenever a connection is there, until
   * `leave`, or until the server refuses, or removes it. A refusal that says when to ask again (`rate_limited`) is
   * waited for. The promise is about this time only: if it rejects with `connection_lost` or `too_old`, the room is
   * joined when the connection is back all the same.
   */
  join(room: string): Promise<JoinedRoom>;

  /** Leaves a room. Without a connection that is done at once, and what waits to be said there will be refused. */
  leave(room: string): Promise<LeftRoom>;

  /**
   * Says something in a room: any value of JSON, or bytes, which come with `encoding` at the others: see
   * {@link bytesOf}. With a `messageId`, and with the option `resume`, it is sent again when the connection was
   * lost before its outcome came, and told once: it rejects with `connection_lost` only if the session is over. So is
   * every `request` whose message has one. The outcome of a message with terms has its `offset` in the room's log, and
   * says `duplicate` if it was told before.
   */
  say(room: string, data: unknown, terms?: Terms): Promise<Ack>;

  /**
   * Tells the others in a room that the user is typing; call it at every key. It is over when a message is said there, after
   * `typing(room, false)`, and some seconds after the last call. Without a connection it does nothing.
   */
  typing(room: string, isTyping?: boolean): void;

  /** Sends at once what waits to go out with others; see `batchInterval`. */
  flush(): void;

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

/* Messages: made of the server's registry by `cargo run -p roomwire-tests --example registry`, not to be edited. */

/** Any value that JSON has. */
export type JsonValue = {} | null;

/** The server's own close codes; 3000 to 4999 are else a program's. */
export type CloseCode =
  | 1000
  | 1001
  | 1002
  | 1003
  | 1007
  | 1008
  | 1009
  | 1011
  | 1012
  | 1013
  | 4401
  | 4403
  | 4409;

/** Why a request was refused: the closed list of `error`. */
export type ErrorCode =
  | 'bad_json'
  | 'bad_message'
  | 'forbidden'
  | 'internal'
  | 'invalid_room'
  | 'no_history'
  | 'no_such_room'
  | 'not_member'
  | 'rate_limited'
  | 'reserved'
  | 'room_full'
  | 'stale_session'
  | 'target_not_found'
  | 'too_large'
  | 'too_many_rooms'
  | 'transfer_corrupt'
  | 'transfer_limit'
  | 'transfer_lost'
  | 'transfer_timeout'
  | 'transfer_unexpected'
  | 'transfer_unknown'
  | 'unknown_type';

/** The outcome of a request that was carried out and has no reply of its own. */
export interface Ack {
  type: 'ack';
  /** That of the request whose outcome this is. */
  id?: string | number;
  /** Of a message under terms: its place in the room's log, if there is one. */
  offset?: number;
  /** There if it had been told before, and was not told again. */
  duplicate?: true;
}

/** Several replies, to a client that has said that it takes them so. */
export interface Batch {
  type: 'batch';
  /** The replies. */
  messages: (Exclude<ServerMessage, { type: 'batch' }> | Message)[];
}

/** What a client says to all. */
export interface Broadcast {
  type: 'broadcast';
  /** The sender. */
  from: string;
  /** What is said. */
  data: any;
  /** There if `data` spells bytes. */
  encoding?: 'base64';
  /** The server's clock, in milliseconds since 1970. */
  timestamp: number;
}

/** The server is about to close the connection. */
export interface Closing {
  type: 'closing';
  /** The close code that follows. */
  code: CloseCode | (number & {});
  /** Why, for people. */
  reason: string;
  /** When to come back, in milliseconds from now; if it is missing: not at all. */
  reconnectAfterMs?: number;
}

/** The outcome of a request that was refused. */
export interface ErrorMessage {
  type: 'error';
  /** That of the request whose outcome this is. */
  id?: string | number;
  /** Why, for programs. */
  code: ErrorCode;
  /** Why, for people. */
  message: string;
  /** When to try again, in milliseconds from now. */
  retryAfterMs?: number;
}

/** The other end has given a file up. */
export interface FileAbort {
  type: 'file_abort';
  /** The server's number for the transfer. */
  transfer: number;
  /** Why, for people. */
  reason: string;
}

/** A file may come. */
export interface FileAccepted {
  type: 'file_accepted';
  /** That of the request whose outcome this is. */
  id?: string | number;
  /** The sender's own name for the transfer; not of a file in one message. */
  transferId?: string;
  /** The server's number for the transfer. */
  transfer: number;
  /** Goes on with it from another connection; empty of a file in one message. */
  transferSecret: string;
  /** Up to where all receivers that are there have it, in bytes. */
  offset: number;
  /** The largest piece, in bytes. */
  chunkBytes: number;
}

/** A piece of a file. */
export interface FileChunk {
  type: 'file_chunk';
  /** The server's number for the transfer. */
  transfer: number;
  /** Where it begins, in bytes. */
  offset: number;
  /** The piece. */
  data: string;
  /** How `data` spells bytes. */
  encoding: 'base64';
}

/** How a file ended, for its sender. */
export interface FileCompleted {
  type: 'file_completed';
  /** The server's number for the transfer. */
  transfer: number;
  /** How many have it. */
  completed: number;
  /** How many have accepted it and do not have it. */
  failed: number;
}

/** All of a file has been sent. */
export interface FileEnd {
  type: 'file_end';
  /** The server's number for the transfer. */
  transfer: number;
  /** In bytes. */
  size: number;
  /** SHA-256 of the whole file. */
  hash: string;
}

/** The server has given a file up. */
export interface FileError {
  type: 'file_error';
  /** The server's number for the transfer. */
  transfer: number;
  /** Why, for programs. */
  code: ErrorCode;
  /** Why, for people. */
  message: string;
}

/** A file may be had. */
export interface FileOffered {
  type: 'file_offered';
  /** The server's number for the transfer. */
  transfer: number;
  /** The sender. */
  from: string;
  /** The room that it is for; if it is missing, for this client alone. */
  room?: string;
  /** What the sender calls it, for people: never a path. */
  name: string;
  /** In bytes. */
  size: number;
  /** What the sender says is in it, or empty. */
  mimeType: string;
  /** SHA-256 of the whole file, if the sender told it. */
  hash?: string;
  /** The most that `file_credit` can ask for at once, in bytes. */
  maxWindow: number;
}

/** How far a file is, for its sender. */
export interface FileProgress {
  type: 'file_progress';
  /** The server's number for the transfer. */
  transfer: number;
  /** Up to where all have it who take it, in bytes. */
  acknowledged: number;
  /** How many are at it. */
  receivers: number;
  /** How many have it. */
  completed: number;
  /** How many have accepted it and do not have it. */
  failed: number;
}

/** The sender of a file is to send a piece. */
export interface FileWanted {
  type: 'file_wanted';
  /** The server's number for the transfer. */
  transfer: number;
  /** Where it begins, in bytes. */
  offset: number;
  /** How long it is, in bytes. */
  length: number;
}

/** Messages that a room keeps. */
export interface History {
  type: 'history';
  /** That of the request whose outcome this is. */
  id?: string | number;
  /** The room's name. */
  room: string;
  /** Which log they are of. */
  epoch: string;
  /** The offset of the latest message; 0: there was none. */
  last: number;
  /** In the order of their offsets. */
  messages: {
    /** Its place in the log. */
    offset: number;
    /** The sender. */
    from: string;
    /** What is said. */
    data: any;
    /** There if `data` spells bytes. */
    encoding?: 'base64';
    /** The server's clock, in milliseconds since 1970. */
    timestamp: number;
  }[];
  /** Whether there are others, to ask for next. */
  more: boolean;
  /** The offsets of what was missed and is not kept any more, both ends among them. */
  gap?: {
    /** The first. */
    from: number;
    /** The last. */
    to: number;
  };
  /** There if the offsets that were asked for are of another log: this is the beginning of the one that there is. */
  reset?: true;
  /** Ranges of offsets that are not told, as their senders wanted it so: out of date, or a later message has their key. */
  leftOut?: {
    /** The first. */
    from: number;
    /** The last. */
    to: number;
  }[];
}

/** The client is in a room. */
export interface JoinedRoom {
  type: 'joined_room';
  /** That of the request whose outcome this is. */
  id?: string | number;
  /** The room's name. */
  room: string;
  /** Who is in it, the client too; not necessarily all. */
  members: string[];
  /** How many there are. */
  total: number;
  /** Where the log stands of a room that keeps its messages. */
  history?: {
    /** Which log that is. */
    epoch: string;
    /** The offset of the latest message; 0: there was none. */
    last: number;
  };
}

/** The client is no longer in a room; without a request: it was removed. */
export interface LeftRoom {
  type: 'left_room';
  /** That of the request whose outcome this is. */
  id?: string | number;
  /** The room's name. */
  room: string;
}

/** Somebody has come into a room. */
export interface MemberJoined {
  type: 'member_joined';
  /** The room's name. */
  room: string;
  /** Who. */
  clientId: string;
}

/** Somebody has gone from a room. */
export interface MemberLeft {
  type: 'member_left';
  /** The room's name. */
  room: string;
  /** Who. */
  clientId: string;
  /** Why. */
  reason: 'left' | 'disconnected' | 'timeout' | 'kicked';
}

/** A member's metadata has changed. */
export interface MemberUpdated {
  type: 'member_updated';
  /** The room's name. */
  room: string;
  /** Who. */
  clientId: string;
  /** All of it. */
  metadata: { [key: string]: any };
}

/** A page of a room's members. */
export interface Members {
  type: 'members';
  /** That of the request whose outcome this is. */
  id?: string | number;
  /** The room's name. */
  room: string;
  /** In ascending order. */
  members: string[];
  /** How many there are in the room. */
  total: number;
  /** Whether others follow. */
  more: boolean;
  /** Of each of them, if it was asked for. */
  metadata?: { [clientId: string]: { [key: string]: any } };
}

/** Joins and departures of a large room, summed up. */
export interface MembersChanged {
  type: 'members_changed';
  /** The room's name. */
  room: string;
  /** How many have come since the last such notice. */
  joined: number;
  /** How many have gone. */
  left: number;
  /** How many there are now. */
  total: number;
}

/** The client reads too slowly, and has missed messages. */
export interface MessagesDropped {
  type: 'messages_dropped';
  /** Of which room; missing for broadcasts, and rooms that the client has left. */
  room?: string;
  /** How many. */
  count: number;
}

/** The client's own metadata after a change. */
export interface MetadataUpdated {
  type: 'metadata_updated';
  /** That of the request whose outcome this is. */
  id?: string | number;
  /** All of it. */
  metadata: { [key: string]: any };
}

/** The answer to a `ping`. */
export interface Pong {
  type: 'pong';
  /** That of the request whose outcome this is. */
  id?: string | number;
  /** The server's clock, in milliseconds since 1970. */
  timestamp: number;
  /** The `timestamp` of the `ping`, as it was. */
  clientTimestamp?: string | number | boolean | null;
}

/** What somebody says to this client alone. */
export interface PrivateMessage {
  type: 'private_message';
  /** The sender. */
  from: string;
  /** What is said. */
  data: any;
  /** There if `data` spells bytes. */
  encoding?: 'base64';
  /** The server's clock, in milliseconds since 1970. */
  timestamp: number;
  /** Its place among those to this client, if it has a session. */
  offset?: number;
}

/** The log of a room has begun anew: offsets count from 1 again. What the former one held and was not heard is lost. */
export interface Reset {
  type: 'reset';
  /** The room's name. */
  room: string;
  /** The new log. */
  epoch: string;
  /** The offset of the latest message; 0: there was none. */
  last: number;
}

/** The end of what was said in a room while the client was away. */
export type Resumed = {
  type: 'resumed';
  /** The room's name. */
  room: string;
  /** The room's log, if it keeps one. */
  epoch?: string;
  /** The offset of the latest message; 0: there was none. */
  last?: number;
  /** Whether nothing was left out. A room that keeps no messages cannot know: it says `false`. */
  complete: boolean;
} &
  ({ epoch: string; last: number } | { epoch?: undefined }) &
  ({ last: number; epoch: string } | { last?: undefined });

/** What a member of a room says. */
export interface RoomMessage {
  type: 'room_message';
  /** The room's name. */
  room: string;
  /** The sender. */
  from: string;
  /** What is said. */
  data: any;
  /** There if `data` spells bytes. */
  encoding?: 'base64';
  /** The server's clock, in milliseconds since 1970. */
  timestamp: number;
  /** Its place in the log of a room that keeps its messages. */
  offset?: number;
}

/** Who the client is from now on, and how it can be that again on another connection. */
export interface Session {
  type: 'session';
  /** That of the request whose outcome this is. */
  id?: string | number;
  /** Who it is. */
  clientId: string;
  /** What takes the session up again. */
  sessionSecret: string;
  /** Whether it is who it asked to be, not somebody new. */
  resumed: boolean;
  /** For how long after a lost connection it can be that again, in milliseconds. */
  windowMs: number;
  /** For how long after one nobody is told, in milliseconds. */
  awayMs: number;
  /** The offset of the latest message to this client alone; 0: there was none. */
  last: number;
  /** The offsets of what was missed and is not kept any more, both ends among them. */
  gap?: {
    /** The first. */
    from: number;
    /** The last. */
    to: number;
  };
  /** Ranges of offsets that are not told, as their senders wanted it so: out of date, or a later message has their key. */
  leftOut?: {
    /** The first. */
    from: number;
    /** The last. */
    to: number;
  }[];
}

/** Somebody is no longer typing. */
export interface UserStoppedTyping {
  type: 'user_stopped_typing';
  /** The room's name. */
  room: string;
  /** Who. */
  clientId: string;
}

/** Somebody is typing. */
export interface UserTyping {
  type: 'user_typing';
  /** The room's name. */
  room: string;
  /** Who. */
  clientId: string;
}

/** The first message on every connection. */
export interface Welcome {
  type: 'welcome';
  /** The client's address for others. */
  clientId: string;
  /** The server's clock, in milliseconds since 1970. */
  timestamp: number;
  /** The version of the protocol. */
  protocol: 1;
  /** Always `false`: who was somebody else before says so with `resume`. */
  resumed: boolean;
  /** Between two pings of the server, in milliseconds; 0: none. */
  heartbeatIntervalMs: number;
  /** From a ping to the end of a silent connection, in milliseconds. */
  heartbeatTimeoutMs: number;
  /** What the server takes. */
  limits: {
    /** The largest message, in bytes. */
    maxMessageBytes: number;
    /** Rooms that one client may be in. */
    maxRooms: number;
    /** The longest name of a room, in bytes of UTF-8. */
    maxRoomNameBytes: number;
    /** How often a client may say something; `null`: that is not limited. */
    rate: {
      /** So many messages */
      messages: number;
      /** in so many milliseconds. */
      perMs: number;
    } | null;
  };
}

/** The client has what was sent to it alone. */
export interface AckRequest {
  type: 'ack';
  /** The outcome has the same. */
  id?: string | number;
  /** Up to this one. */
  offset: number;
}

/** Several messages, carried out in order, each with an outcome of its own. */
export interface BatchRequest {
  type: 'batch';
  /** The outcome has the same. */
  id?: string | number;
  /** The messages. */
  messages: (Exclude<ClientMessage, { type: 'batch' }> | Message)[];
}

/** Says something to every other client. */
export type BroadcastRequest = {
  type: 'broadcast';
  /** The outcome has the same. */
  id?: string | number;
  /** What is said. */
  data: JsonValue;
  /** There if `data` spells bytes. */
  encoding?: 'base64';
} &
  ({ encoding: 'base64'; data: string } | { encoding?: undefined });

/** Gives a file up, at either end. */
export type FileAbortRequest = {
  type: 'file_abort';
  /** The outcome has the same. */
  id?: string | number;
  /** The server's number for the transfer. */
  transfer?: number;
  /** The sender's own name for the transfer. */
  transferId?: string;
  /** Why, for people. */
  reason?: string;
} &
  ({ transfer?: undefined } | { transferId?: undefined });

/** A piece of a file that the server has asked for. */
export interface FileChunkRequest {
  type: 'file_chunk';
  /** The outcome has the same. */
  id?: string | number;
  /** The server's number for the transfer. */
  transfer: number;
  /** Where the piece begins, in bytes. */
  offset: number;
  /** The piece. */
  data: string;
  /** How `data` spells bytes. */
  encoding: 'base64';
}

/** The receiver has the file, and its hash is right. */
export interface FileCompleteRequest {
  type: 'file_complete';
  /** The outcome has the same. */
  id?: string | number;
  /** The server's number for the transfer. */
  transfer: number;
}

/** The receiver takes more of a file; the first one accepts it. */
export interface FileCreditRequest {
  type: 'file_credit';
  /** The outcome has the same. */
  id?: string | number;
  /** The server's number for the transfer. */
  transfer: number;
  /** Everything before it has come, in bytes. */
  offset: number;
  /** How many bytes it takes from there. */
  window: number;
}

/** The sender has sent all of a file once. */
export type FileEndRequest = {
  type: 'file_end';
  /** The outcome has the same. */
  id?: string | number;
  /** The server's number for the transfer. */
  transfer?: number;
  /** The sender's own name for the transfer. */
  transferId?: string;
  /** In bytes. */
  size?: number;
  /** SHA-256 of the whole file. */
  hash?: string;
} &
  ({ transfer?: undefined } | { transferId?: undefined });

/** Offers a file to a room, to a client or to the server's program. Without `transferId` the next binary message is all of it. */
export type FileStartRequest = {
  type: 'file_start';
  /** The outcome has the same. */
  id?: string | number;
  /** The sender's own name for the transfer. */
  transferId?: string;
  /** The room that it is for. */
  room?: string;
  /** The client that it is for, or `server`. */
  to?: string;
  /** What the file is called, for people. */
  name: string;
  /** In bytes. */
  size: number;
  /** What is in it, or empty. */
  mimeType: string;
  /** SHA-256 of the whole file. */
  hash?: string;
  /** Goes on with the transfer that was accepted with it. */
  transferSecret?: string;
} &
  ({ room: string; to?: undefined } | { room?: undefined; to: string });

/** A greeting. */
export interface HelloRequest {
  type: 'hello';
  /** The outcome has the same. */
  id?: string | number;
  /** Who says so; no identity. */
  user?: JsonValue;
  /** Whether the client takes several replies in one message. */
  batch?: boolean;
}

/** Asks for messages that a room keeps; with neither `after` nor `before` for the last ones. */
export type HistoryRequest = {
  type: 'history';
  /** The outcome has the same. */
  id?: string | number;
  /** The room's name. */
  room: string;
  /** Only those with a larger offset. */
  after?: number;
  /** Only those with a smaller offset. */
  before?: number;
  /** The log that the offset is of. */
  epoch?: string;
  /** At most so many. */
  limit?: number;
} &
  ({ after?: undefined } | { before?: undefined });

/** Enters a room. */
export type JoinRequest = {
  type: 'join';
  /** The outcome has the same. */
  id?: string | number;
  /** The room's name. */
  room: string;
  /** The offset up to which the client has the room's messages: it comes back, and gets the later ones. */
  after?: number;
  /** The log that the offset is of. */
  epoch?: string;
} &
  ({ epoch: string; after: number } | { epoch?: undefined });

/** Leaves a room. */
export interface LeaveRequest {
  type: 'leave';
  /** The outcome has the same. */
  id?: string | number;
  /** The room's name. */
  room: string;
}

/** Asks for a page of a room's members, in the order of their ids. */
export interface MembersRequest {
  type: 'members';
  /** The outcome has the same. */
  id?: string | number;
  /** The room's name. */
  room: string;
  /** Only ids after it. */
  after?: string;
  /** At most so many. */
  limit?: number;
  /** Whether with their metadata. */
  metadata?: boolean;
}

/** Asks whether the server is there. */
export interface PingRequest {
  type: 'ping';
  /** The outcome has the same. */
  id?: string | number;
  /** The client's own clock; comes back as it is. At most 64 bytes as written. */
  timestamp?: string | number | boolean | null;
}

/** Says something to one client. */
export type PrivateMessageRequest = {
  type: 'private_message';
  /** The outcome has the same. */
  id?: string | number;
  /** The receiver. */
  to: string;
  /** What is said. */
  data: JsonValue;
  /** There if `data` spells bytes. */
  encoding?: 'base64';
  /** The sender's own name for it, under which it is told once. */
  messageId?: string;
  /** For how long who comes back is told of it, in milliseconds. */
  ttlMs?: number;
} &
  ({ encoding: 'base64'; data: string } | { encoding?: undefined });

/** Makes the client able to come back as who it is, or takes up who it was. */
export type ResumeRequest = {
  type: 'resume';
  /** The outcome has the same. */
  id?: string | number;
  /** Who it was. */
  clientId?: string;
  /** The proof, as `session` told it. */
  sessionSecret?: string;
  /** The offset of the last message to it alone that it has. */
  after?: number;
} &
  ({ clientId: string; sessionSecret: string } | { clientId?: undefined }) &
  ({ sessionSecret: string; clientId: string } | { sessionSecret?: undefined }) &
  ({ after: number; clientId: string } | { after?: undefined });

/** Says something in a room. */
export type RoomMessageRequest = {
  type: 'room_message';
  /** The outcome has the same. */
  id?: string | number;
  /** The room's name. */
  room: string;
  /** What is said. */
  data: JsonValue;
  /** There if `data` spells bytes. */
  encoding?: 'base64';
  /** The sender's own name for it, under which it is told once. */
  messageId?: string;
  /** For how long who comes back is told of it, in milliseconds. */
  ttlMs?: number;
  /** What it tells of: in what the room keeps, a later message with the same key takes its place. */
  key?: string;
} &
  ({ encoding: 'base64'; data: string } | { encoding?: undefined });

/** Merges into the client's metadata. */
export interface SetMetadataRequest {
  type: 'set_metadata';
  /** The outcome has the same. */
  id?: string | number;
  /** Each field replaces the client's own; `null` deletes it. */
  metadata: { [key: string]: JsonValue };
}

/** The client is typing in a room. */
export interface TypingStartRequest {
  type: 'typing_start';
  /** The outcome has the same. */
  id?: string | number;
  /** The room's name. */
  room: string;
}

/** It no longer is. */
export interface TypingStopRequest {
  type: 'typing_stop';
  /** The outcome has the same. */
  id?: string | number;
  /** The room's name. */
  room: string;
}

/** What the server says, by its `type`. */
export interface ServerMessages {
  ack: Ack;
  batch: Batch;
  broadcast: Broadcast;
  closing: Closing;
  error: ErrorMessage;
  file_abort: FileAbort;
  file_accepted: FileAccepted;
  file_chunk: FileChunk;
  file_completed: FileCompleted;
  file_end: FileEnd;
  file_error: FileError;
  file_offered: FileOffered;
  file_progress: FileProgress;
  file_wanted: FileWanted;
  history: History;
  joined_room: JoinedRoom;
  left_room: LeftRoom;
  member_joined: MemberJoined;
  member_left: MemberLeft;
  member_updated: MemberUpdated;
  members: Members;
  members_changed: MembersChanged;
  messages_dropped: MessagesDropped;
  metadata_updated: MetadataUpdated;
  pong: Pong;
  private_message: PrivateMessage;
  reset: Reset;
  resumed: Resumed;
  room_message: RoomMessage;
  session: Session;
  user_stopped_typing: UserStoppedTyping;
  user_typing: UserTyping;
  welcome: Welcome;
}

/** What the server says. Fields and types may be added: skip those that you do not know. */
export type ServerMessage = ServerMessages[keyof ServerMessages];

/** What a client sends, by its `type`. */
export interface ClientMessages {
  ack: AckRequest;
  batch: BatchRequest;
  broadcast: BroadcastRequest;
  file_abort: FileAbortRequest;
  file_chunk: FileChunkRequest;
  file_complete: FileCompleteRequest;
  file_credit: FileCreditRequest;
  file_end: FileEndRequest;
  file_start: FileStartRequest;
  hello: HelloRequest;
  history: HistoryRequest;
  join: JoinRequest;
  leave: LeaveRequest;
  members: MembersRequest;
  ping: PingRequest;
  private_message: PrivateMessageRequest;
  resume: ResumeRequest;
  room_message: RoomMessageRequest;
  set_metadata: SetMetadataRequest;
  typing_start: TypingStartRequest;
  typing_stop: TypingStopRequest;
}

/** What a client sends. */
export type ClientMessage = ClientMessages[keyof ClientMessages];

/** The `type` of the outcome of each request that was carried out. */
export interface Answers {
  ack: 'ack';
  batch: 'ack';
  broadcast: 'ack';
  file_abort: 'ack';
  file_chunk: 'ack';
  file_complete: 'ack';
  file_credit: 'ack';
  file_end: 'ack';
  file_start: 'file_accepted';
  hello: 'ack';
  history: 'history';
  join: 'joined_room';
  leave: 'left_room';
  members: 'members';
  ping: 'pong';
  private_message: 'ack';
  resume: 'session';
  room_message: 'ack';
  set_metadata: 'metadata_updated';
  typing_start: 'ack';
  typing_stop: 'ack';
}

/* End of messages. */
