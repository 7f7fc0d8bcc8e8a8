'use strict';
// A wire to a server that can be cut: TCP on both sides, and nothing is said before the end.

const net = require('node:net');

/// Passes on whatever comes. `url` is its own; `cut` destroys what is connected, `block` also takes nothing new until
/// `open`; `freeze` passes nothing more on through what is connected, and leaves it there.
async function wireTo(t, port) {
  const sockets = new Set();
  let blocked = false;
  const cut = () => sockets.forEach((socket) => socket.destroy());
  const server = net.createServer((near) => {
    if (blocked) {
      near.destroy();
      return;
    }
    const far = net.connect(port, '127.0.0.1');
    for (const [socket, other] of [[near, far], [far, near]]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  t.after(() => {
    cut();
    server.close();
  });
  return {
    url: `ws://127.0.0.1:${server.address().port}/`,
    cut,
    block: () => {
      blocked = true;
      cut();
    },
    open: () => (blocked = false),
    freeze: () => sockets.forEach((socket) => socket.unpipe().pause()),
  };
}

module.exports = { wireTo };
