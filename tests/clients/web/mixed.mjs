// Messages of all kinds for an echo: text and binary, empty, tiny, at the borders of frames and of compression, large,
// such as a compressor likes and such as it cannot make smaller. The same seed gives the same messages, in whatever
// runs this.

/// The server compresses from here on.
export const THRESHOLD_BYTES = 1_024;

const MOST_BYTES = 65_537;
/// Where a frame's length is written otherwise, or compression begins; one off on each side, too.
const BORDERS = [0, 1, 125, 126, 127, 1_023, 1_024, 1_025, 4_096, 65_535, 65_536, 65_537];
const WORDS = [
  ...['tea ', 'cup ', 'kettle ', 'ünïcödé ', 'καφές ', '茶碗', '🫖🍵', '"quoted" '],
  ...['\\', '\0', '\r\n', '\ufeff', '\ud7ff\ue000'],
];

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const words = WORDS.map((word) => encoder.encode(word));

/// Numbers that look random (mulberry32), as every machine computes them: `next(n)` is one of 0 to n - 1.
function randomFrom(seed) {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * n);
  };
}

/// A length: one in eight is at a border, one in twenty any, the others are the more frequent the smaller.
function lengthFrom(next) {
  if (next(8) === 0) {
    return BORDERS[next(BORDERS.length)];
  }
  return next(20) === 0 ? next(MOST_BYTES) : Math.floor(2 ** (next(1_400) / 100)) - 1;
}

/// So many bytes of UTF-8 that repeat themselves as prose does, characters of one to four bytes among them.
function prose(next, length) {
  const bytes = new Uint8Array(length).fill(0x2e);
  for (let at = 0; ; ) {
    const word = words[next(words.length)];
    if (at + word.length > length) {
      return bytes;
    }
    bytes.set(word, at);
    at += word.length;
  }
}

/// So many bytes, the same few of them again and again.
function pattern(next, length) {
  const period = 1 + next(40);
  const first = next(256);
  return new Uint8Array(length).map((_, at) => first + (at % period) * 7);
}

/// So many bytes that no compressor makes smaller.
function noise(next, length) {
  return new Uint8Array(length).map(() => next(256));
}

/// So many characters of ASCII that look random: a compressor saves one bit in eight.
function scrawl(next, length) {
  return new Uint8Array(length).map(() => next(128));
}

const KINDS = [
  { text: true, fill: prose, shrinks: true },
  { text: false, fill: pattern, shrinks: true },
  { text: true, fill: scrawl, shrinks: true },
  { text: false, fill: noise, shrinks: false },
];

/// `count` messages: `{ data, bytes, shrinks }`, data being a string or the bytes themselves. Whatever `shrinks` and
/// is not below the threshold is compressed by a server that can.
export function* mixed(seed, count) {
  const next = randomFrom(seed);
  for (let number = 0; number < count; number += 1) {
    const { text, fill, shrinks } = KINDS[next(KINDS.length)];
    const bytes = fill(next, lengthFrom(next));
    yield { data: text ? decoder.decode(bytes) : bytes, bytes, shrinks };
  }
}

/// Whether an answer, a string or bytes in whatever holds them, is this message again.
export function same({ data, bytes }, answer) {
  if (typeof data === 'string' || typeof answer === 'string') {
    return data === answer;
  }
  const got = ArrayBuffer.isView(answer)
    ? new Uint8Array(answer.buffer, answer.byteOffset, answer.byteLength)
    : new Uint8Array(answer);
  return got.length === bytes.length && got.every((byte, at) => byte === bytes[at]);
}

/// What `count` messages of a seed amount to: all of them and their bytes, and those that a server compresses.
export function sums(seed, count) {
  const all = { messages: 0, text: 0, bytes: 0, compressed: 0 };
  for (const { data, bytes, shrinks } of mixed(seed, count)) {
    all.messages += 1;
    all.text += typeof data === 'string' ? 1 : 0;
    all.bytes += bytes.length;
    all.compressed += shrinks && bytes.length >= THRESHOLD_BYTES ? 1 : 0;
  }
  return all;
}
