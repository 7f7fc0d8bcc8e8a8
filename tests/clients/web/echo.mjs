// Sends mixed messages to an echo with the WebSocket that browsers have, and others after them, and holds what comes
// back against what was sent.

import { mixed, same } from './mixed.mjs';

/// So many messages are under way at once, at most.
const WINDOW = 64;

/// All messages of a seed to `url` and back: `{ extensions, messages, text, bytes }`, what was agreed on and what came
/// back. Fails with the number of the first message that came back otherwise, or not at all.
export function echo({ url, seed, count }) {
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  const messages = mixed(seed, count);
  const underWay = [];
  const back = { extensions: '', messages: 0, text: 0, bytes: 0 };
  const where = () => `message ${back.messages} of seed ${seed}`;

  const sendMore = () => {
    while (underWay.length < WINDOW) {
      const { value: message, done } = messages.next();
      if (done) {
        return;
      }
      underWay.push(message);
      socket.send(message.data);
    }
  };
  const take = (answer) => {
    const message = underWay.shift();
    if (!message || !same(message, answer)) {
      const got = `${typeof answer} of ${answer.length ?? answer.byteLength}`;
      throw new Error(`${where()}, ${typeof message?.data} of ${message?.data.length}, came back as ${got}`);
    }
    back.messages += 1;
    back.text += typeof message.data === 'string' ? 1 : 0;
    back.bytes += message.bytes.length;
  };

  return new Promise((resolve, reject) => {
    socket.onopen = () => {
      back.extensions = socket.extensions;
      sendMore();
    };
    socket.onmessage = ({ data }) => {
      try {
        take(data);
        sendMore();
      } catch (error) {
        reject(error);
      }
      if (back.messages === count) {
        socket.close(1000);
      }
    };
    socket.onclose = ({ code, reason }) => {
      if (back.messages === count && code === 1000) {
        resolve(back);
      }
      reject(new Error(`closed with ${code} "${reason}" at ${where()}`));
    };
  });
}
