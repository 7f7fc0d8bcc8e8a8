'use strict';
// Stands between a client and the server and counts what passes, frame by frame, touching nothing: what a client says
// about its own compression is not asked.

const net = require('node:net');

const HEAD_END = '\r\n\r\n';
const MOST_HEAD_BYTES = 16_384;
const RSV1 = 0x40;
const CONTROL = 0x08;

/// One direction of one connection: the head of HTTP, then frames. `sum` is all of it: messages, those of them that
/// are compressed, and bytes of payload as they are on the wire.
class Direction {
  constructor() {
    this.head = '';
    this.sum = { messages: 0, compressed: 0, bytes: 0 };
    this.header = [];
    this.left = 0;
  }

  see(bytes) {
    let at = this.head.endsWith(HEAD_END) ? 0 : this.seeHead(bytes);
    while (at < bytes.length) {
      if (this.left > 0) {
        const skipped = Math.min(this.left, bytes.length - at);
        this.left -= skipped;
        at += skipped;
      } else {
        this.header.push(bytes[at]);
        at += 1;
        this.seeHeader();
      }
    }
  }

  /// The head's bytes; says where the frames begin.
  seeHead(bytes) {
    const before = this.head.length;
    const all = this.head + bytes.toString('latin1');
    const end = all.indexOf(HEAD_END);
    this.head = end < 0 ? all : all.slice(0, end + HEAD_END.length);
    if (this.head.length > MOST_HEAD_BYTES) {
      throw new Error('no end of the head');
    }
    return this.head.length - before;
  }

  seeHeader() {
    const [first, second] = this.header;
    if (this.header.length < 2) {
      return;
    }
    const short = second & 0x7f;
    const lengthBytes = { 126: 2, 127: 8 }[short] ?? 0;
    const maskBytes = second & 0x80 ? 4 : 0;
    if (this.header.length < 2 + lengthBytes + maskBytes) {
      return;
    }
    const long = this.header.slice(2, 2 + lengthBytes);
    this.left = lengthBytes ? long.reduce((length, byte) => length * 256 + byte, 0) : short;
    this.header = [];
    if ((first & CONTROL) === 0) {
      this.sum.bytes += this.left;
      this.sum.messages += first & 0x80 ? 1 : 0;
      this.sum.compressed += first & RSV1 ? 1 : 0;
    }
  }

  /// The only value of a field of the head.
  field(name) {
    const found = [...this.head.matchAll(new RegExp(`^${name}: *(.*?) *\r$`, 'gim'))];
    return found.length === 1 ? found[0][1] : undefined;
  }
}

/// Listens on a port of its own for clients of the server at `port`. What passed on each connection is in `passed`.
async function wireTo(port) {
  const passed = [];
  const sockets = new Set();
  const join = (from, to, direction) => {
    sockets.add(from);
    from.setNoDelay();
    from.on('data', (bytes) => direction.see(bytes));
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroySoon());
    from.pipe(to);
  };
  const listener = net.createServer((client) => {
    const server = net.connect(port, '127.0.0.1');
    const connection = { up: new Direction(), down: new Direction() };
    passed.push(connection);
    join(client, server, connection.up);
    join(server, client, connection.down);
  });
  await new Promise((resolve, reject) => listener.once('error', reject).listen(0, '127.0.0.1', resolve));
  const stop = () => {
    sockets.forEach((socket) => socket.destroy());
    return new Promise((resolve) => listener.close(resolve));
  };
  return { port: listener.address().port, passed, stop };
}

module.exports = { wireTo };
