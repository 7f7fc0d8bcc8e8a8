// Files on their way, as cards in logs.

import { button, element } from './log.js';
import { me, nameOf } from './people.js';

// What browsers show and nothing runs in. What others say that it is is believed for as little as that.
const PICTURES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif', 'image/bmp'];
const MOST_PICTURE_BYTES = 20 * 1024 * 1024;

const ENDS = {
  aborted: 'Called off by the other end',
  cancelled: 'Cancelled',
  closed: 'Disconnected',
  rate_limited: 'Too many messages, try again later',
  too_large: 'Larger than files may be here',
  transfer_corrupt: 'What came is not what was sent',
  transfer_limit: 'Too many files are on their way',
  transfer_lost: 'Lost: the other end, or the server, was away for too long',
  transfer_timeout: 'Nobody has taken it in time',
  transfer_unknown: 'It is not on its way any more',
  unreadable: 'The file cannot be read any more',
};

/** 1536 as `1.5 KB`. */
export function sizeOf(bytes) {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log(Math.max(1, bytes)) / Math.log(1024)));
  const number = bytes / 1024 ** power;
  return `${power > 0 && number < 10 ? number.toFixed(1) : Math.round(number)} ${units[power]}`;
}

export class FileCard {
  #how = element('p', 'how');
  #actions = element('div', 'actions');
  #progress = element('progress', '');
  #urls = [];

  constructor(file) {
    const name = element('p', 'name', element('bdi', '', file.name), ' ', element('span', 'size', sizeOf(file.size)));
    this.#progress.max = Math.max(1, file.size);
    this.#progress.value = 0;
    this.#progress.setAttribute('aria-label', `Progress of ${file.name}`);
    this.#progress.hidden = true;
    this.element = element('div', 'file', name, this.#progress, this.#how, this.#actions);
    this.follow(file);
  }

  /** Shows another transfer of the same file: it is offered again. */
  follow(file) {
    this.file = file;
    file.done.then((outcome) => this.file === file && this.#end(outcome));
    if (file.accept) {
      this.#how.textContent = '';
      const accept = button('strong', 'Accept', () => this.#accept());
      const decline = button('', 'Decline', () => file.cancel());
      accept.setAttribute('aria-label', `Accept ${file.name}`);
      decline.setAttribute('aria-label', `Decline ${file.name}`);
      this.#actions.replaceChildren(accept, decline);
    } else {
      this.#how.textContent = 'Offered to the room';
      this.#cancellable();
    }
  }

  #accept() {
    this.isAccepted = true;
    this.#how.textContent = 'On its way';
    this.#progress.hidden = false;
    this.#cancellable();
    this.#actions.querySelector('button').focus();
    this.file.accept();
  }

  #cancellable() {
    const cancel = button('', 'Cancel', () => this.file.cancel('cancelled'));
    cancel.setAttribute('aria-label', `Cancel ${this.file.name}`);
    this.#actions.replaceChildren(cancel);
  }

  /** It has moved. */
  update() {
    const { bytes, receivers, completed } = this.file;
    this.#progress.value = bytes;
    if (receivers > 0 || completed > 0) {
      this.#progress.hidden = false;
      this.#how.textContent = `On its way to ${receivers + completed}`;
    }
  }

  #end(outcome) {
    const { code, blob, verified, completed, failed } = outcome;
    this.isOver = true;
    const hadFocus = this.#actions.contains(document.activeElement);
    this.#actions.replaceChildren();
    this.#progress.hidden = true;
    const isDone = code === 'complete' && (blob || completed > 0);
    this.#how.classList.toggle('failed', !isDone && code !== 'cancelled');
    if (blob) {
      this.#how.textContent = verified ? 'Received' : 'Received (not checked: the page is not secure, or the file too large)';
      // Whatever it says that it is: a file to be saved.
      const save = element('a', 'save', 'Save');
      save.href = this.#url(new Blob([blob], { type: 'application/octet-stream' }));
      save.download = this.file.name;
      save.setAttribute('aria-label', `Save ${this.file.name}`);
      this.#actions.append(save);
      if (hadFocus) {
        save.focus();
      }
      this.picture(blob, this.file);
    } else if (isDone) {
      this.#how.textContent = `Received by ${completed}${failed > 0 ? `, not by ${failed}` : ''}`;
    } else {
      this.#how.textContent = code === 'complete' ? 'Received by nobody' : (ENDS[code] ?? outcome.message ?? code);
    }
  }

  /** Shows what is in it, if that is a picture. */
  picture(blob, { name, mimeType }) {
    if (!PICTURES.includes(mimeType) || blob.size > MOST_PICTURE_BYTES) {
      return;
    }
    const image = element('img', '');
    image.alt = name;
    image.addEventListener('error', () => image.remove());
    image.src = this.#url(new Blob([blob], { type: mimeType }));
    this.element.prepend(image);
  }

  #url(blob) {
    const url = URL.createObjectURL(blob);
    this.#urls.push(url);
    return url;
  }

  /** It is not shown any more. */
  gone() {
    this.#urls.splice(0).forEach((url) => URL.revokeObjectURL(url));
    if (!this.isOver) {
      this.file.cancel();
    }
  }
}

/**
 * Shows what a client is offered, in the room that `roomOf` finds for its name; `onOffer` hears of each. Returns what offers
 * a file to a room.
 */
export function exchangeFiles(client, { roomOf, onOffer }) {
  // By transfer, as long as it is on its way; and those that were offered, as long as they are shown.
  const cards = new Map();
  const offers = new Map();

  const show = (room, file, message) => {
    const card = new FileCard(file);
    const gone = () => {
      card.gone();
      message.gone?.();
    };
    cards.set(file, card);
    file.done.then(() => cards.delete(file));
    room.log.say({ ...message, body: card.element, time: Date.now(), gone });
    return card;
  };

  client.on('progress', (file) => cards.get(file)?.update());
  client.on('file', (file) => {
    const room = roomOf(file.room);
    const key = JSON.stringify([file.transfer, file.from, file.name, file.size]);
    const known = offers.get(key);
    // Offered again, after a reconnect: what was taken or refused before stays so.
    if (known && !known.isOver && !known.isAccepted) {
      cards.set(file, known);
      known.follow(file);
    }
    if (!known && room) {
      const message = { from: file.from, name: nameOf(file.from), gone: () => offers.delete(key) };
      offers.set(key, show(room, file, message));
      onOffer(room);
    }
  });

  return (room, file) => {
    const sent = client.sendFile(file, { room: room.name });
    show(room, sent, { from: 'me', name: me.name, isOwn: true }).picture(file, sent);
  };
}
