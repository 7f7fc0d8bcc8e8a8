// What was said in one room, as far as the page shows it. Whatever comes from others is set as text and never as HTML.

// The oldest make way. What a room keeps can be had again.
const MOST_ENTRIES = 1000;
const ENTRIES_AT_ONCE = 100;
const MOST_CHARS = 4000;
const SAME_SPEAKER_MS = 5 * 60 * 1000;
const NEAR_END_PX = 80;
const COLOURS = 8;

/** An element of a class that holds others, or text. */
export function element(name, className, ...children) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...children);
  return made;
}

/** A button that does something. */
export function button(className, text, act) {
  const made = element('button', className, text);
  made.type = 'button';
  made.addEventListener('click', act);
  return made;
}

/** The class of somebody's colour. */
export function colour(clientId) {
  const sum = [...clientId].reduce((hash, char) => (hash * 31 + char.charCodeAt(0)) % 1009, 0);
  return `c${sum % COLOURS}`;
}

function timeOf(ms) {
  const date = new Date(ms);
  const isToday = date.toDateString() === new Date().toDateString();
  const clock = { hour: '2-digit', minute: '2-digit' };
  const shown = element('time', '', date.toLocaleString([], isToday ? clock : { ...clock, day: 'numeric', month: 'short' }));
  shown.dateTime = date.toISOString();
  return shown;
}

function shortened(text) {
  const rest = text.length - MOST_CHARS;
  return rest > 0 ? `${text.slice(0, MOST_CHARS)}… (and ${rest} more characters)` : text;
}

export class Log {
  /** `onEarlier` is asked for what was said before, `onAway` whether the end of the log is in sight. */
  constructor(room, { onEarlier, onAway }) {
    this.earlier = button('earlier', 'Earlier messages', onEarlier);
    this.earlier.hidden = true;
    this.list = element('ol', 'messages');
    const nothing = element('p', 'nothing', 'Nothing has been said yet. Open this page in another window, or send its link to somebody.');
    this.element = element('div', 'log', this.earlier, this.list, nothing);
    this.element.setAttribute('role', 'log');
    this.element.setAttribute('aria-label', `Messages in ${room}`);
    this.element.tabIndex = 0;
    this.element.hidden = true;
    this.entries = [];
    // Where the reader is. What comes moves on with it only at the end.
    this.isAtEnd = true;
    this.top = 0;
    this.element.addEventListener('scroll', () => {
      if (this.element.hidden) {
        return;
      }
      const { scrollTop, scrollHeight, clientHeight } = this.element;
      const isSameSize = this.height === scrollHeight && this.clientHeight === clientHeight;
      const isUp = isSameSize && scrollTop < this.top;
      this.top = scrollTop;
      this.#measure();
      // Only who scrolls up leaves the end: what has grown, or shrunk, is no reason to stay behind.
      this.isAtEnd = this.#isNearEnd() || (this.isAtEnd && !isUp);
      onAway(!this.isAtEnd);
      if (isUp && scrollTop === 0 && !this.earlier.hidden) {
        onEarlier();
      }
    });
    // Pictures come, and windows change.
    const sizes = new ResizeObserver(() => this.settle());
    sizes.observe(this.element);
    sizes.observe(this.list);
  }

  /** What has this size already when it is scrolled next has been scrolled by somebody. */
  #measure() {
    const { scrollHeight, clientHeight } = this.element;
    Object.assign(this, { height: scrollHeight, clientHeight });
  }

  #isNearEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  }

  /** Shows the log, where it was left. */
  show(isShown) {
    this.element.hidden = !isShown;
    if (isShown) {
      this.element.scrollTop = this.top;
      this.settle();
    }
  }

  toEnd() {
    this.element.scrollTop = this.element.scrollHeight;
    this.top = this.element.scrollTop;
    this.isAtEnd = true;
    this.#measure();
  }

  /** The offset of the oldest message that is shown and has one. */
  get first() {
    return this.entries.find(({ offset }) => offset !== undefined)?.offset;
  }

  /** Something that everybody may know: somebody came, or something is missing. */
  notice(text) {
    this.#append({ node: element('li', 'notice', text) });
  }

  /**
   * What somebody said: `body` is text or an element. Returns what tells what became of it, and `gone` is called when it
   * is not shown any more.
   */
  say(message) {
    const entry = this.#entry(message, this.entries.at(-1));
    this.#append(entry);
    if (message.isOwn) {
      this.toEnd();
    }
    return (text, isFailed = false) => {
      entry.status.textContent = text;
      entry.status.classList.toggle('failed', isFailed);
    };
  }

  /** What was said before everything that is shown. Nobody is read it aloud. */
  prepend(messages) {
    const made = [];
    for (const message of messages) {
      made.push(this.#entry(message, made.at(-1)));
    }
    const { element } = this;
    const before = element.scrollHeight - element.scrollTop;
    element.setAttribute('aria-live', 'off');
    this.list.prepend(...made.map(({ node }) => node));
    this.entries.unshift(...made);
    element.scrollTop = this.isAtEnd ? element.scrollHeight : element.scrollHeight - before;
    if (!element.hidden) {
      this.top = element.scrollTop;
      this.#measure();
    }
    setTimeout(() => element.removeAttribute('aria-live'), 1000);
  }

  /** Whether there is room for more of what was said before. */
  get hasRoom() {
    return this.entries.length < MOST_ENTRIES;
  }

  #entry({ from, name, body, time, offset, isOwn, gone }, before) {
    const isSame = before?.from === from && time - before.time < SAME_SPEAKER_MS;
    const by = element('p', `by ${colour(from)}`, element('bdi', '', name), timeOf(time));
    const said = typeof body === 'string' ? element('p', 'text', shortened(body)) : body;
    said.dir = 'auto';
    const status = element('p', 'status');
    const node = element('li', `said${isOwn ? ' own' : ''}${isSame ? ' same' : ''}`, by, element('div', 'bubble', said), status);
    return { node, status, from, time, offset, gone };
  }

  #append(entry) {
    const { isAtEnd } = this;
    this.entries.push(entry);
    this.list.append(entry.node);
    if (this.entries.length > MOST_ENTRIES) {
      for (const { node, gone } of this.entries.splice(0, ENTRIES_AT_ONCE)) {
        node.remove();
        gone?.();
      }
    }
    if (isAtEnd) {
      this.toEnd();
    }
  }

  /** Its size, or that of something in it, has changed. */
  settle() {
    if (this.isAtEnd) {
      this.toEnd();
    } else {
      this.#measure();
    }
  }
}
