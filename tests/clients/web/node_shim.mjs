// As much of node as the client's tests on a virtual clock need, so that the same files run in a page. `run` is given their
// texts by name, and says what became of each test.

class AssertionError extends Error {
  name = 'AssertionError';
}

const show = (value) => {
  try {
    return typeof value === 'function' ? String(value) : JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
};

function same(a, b) {
  if (Object.is(a, b)) {
    return true;
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    return false;
  }
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) {
    return false;
  }
  if (a instanceof Map || a instanceof Set) {
    return same([...a], [...b]);
  }
  if (ArrayBuffer.isView(a)) {
    return a.length === b.length && Array.prototype.every.call(a, (byte, at) => byte === b[at]);
  }
  const keys = Reflect.ownKeys(a);
  const isIn = (key) => Object.hasOwn(b, key) && same(a[key], b[key]);
  return keys.length === Reflect.ownKeys(b).length && keys.every(isIn);
}

function check(holds, message) {
  if (!holds) {
    throw new AssertionError(message);
  }
}

/// Whether an error is the expected one: of a class, with these fields, with such a message, or as a function says.
function isExpected(error, expected) {
  if (expected === undefined) {
    return true;
  }
  if (expected instanceof RegExp) {
    return expected.test(String(error));
  }
  if (typeof expected === 'function') {
    return expected.prototype ? error instanceof expected : expected(error) === true;
  }
  return Object.entries(expected).every(([key, value]) => same(error[key], value));
}

const assert = {
  ok: (value, message = 'expected something true') => check(value, message),
  equal: (a, b, message) => check(Object.is(a, b), message ?? `expected ${show(b)}, got ${show(a)}`),
  notEqual: (a, b) => check(!Object.is(a, b), `expected another one than ${show(a)}`),
  deepEqual: (a, b, message) => check(same(a, b), message ?? `expected ${show(b)}, got ${show(a)}`),
  match: (text, pattern) => check(pattern.test(text), `expected ${pattern}, got ${text}`),
  doesNotMatch: (text, pattern) => check(!pattern.test(text), `did not expect ${pattern}`),
  throws(act, expected) {
    try {
      act();
    } catch (error) {
      return check(isExpected(error, expected), `expected ${show(expected)}, got ${error}`);
    }
    return check(false, `expected ${show(expected)}`);
  },
  async rejects(promise, expected) {
    const error = await promise.then(
      () => undefined,
      (reason) => ({ reason }),
    );
    check(error && isExpected(error.reason, expected), `expected ${show(expected)}, got ${error?.reason}`);
  },
};

function mocked(act = () => {}) {
  const calls = [];
  const mock = function (...args) {
    calls.push({ arguments: args });
    return act.apply(this, args);
  };
  return Object.assign(mock, { mock: { calls, callCount: () => calls.length } });
}

/// What a test is given, and what is to be done behind it.
function context() {
  const ends = [];
  const t = {
    after: (act) => ends.push(act),
    mock: {
      fn: mocked,
      method(object, name, act) {
        const own = object[name];
        object[name] = mocked(act ?? own);
        ends.push(() => (object[name] = own));
        return object[name];
      },
    },
  };
  return { t, ends };
}

/// Behind what is waited for already, as in node.
function setImmediate(act) {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    act();
  };
  port2.postMessage(null);
}

function modules(texts, tests) {
  const base = (name) => name.split('/').at(-1);
  const text = (name) => texts[base(name)] ?? texts[`${base(name)}.js`];
  const bytes = (name) => ({ toString: () => btoa(String.fromCharCode(...new TextEncoder().encode(text(name)))) });
  let group = [];
  const describe = (name, fill) => {
    const outer = group;
    group = [...outer, name];
    fill();
    group = outer;
  };
  const test = (name, options, act = options) => tests.push({ name: [...group, name].join(': '), timeout: options.timeout, act });
  const handlers = new Map();
  const process = {
    on(_, act) {
      handlers.set(act, (event) => act(event.reason));
      globalThis.addEventListener('unhandledrejection', handlers.get(act));
    },
    off: (_, act) => globalThis.removeEventListener('unhandledrejection', handlers.get(act)),
  };
  const known = {
    'node:assert/strict': assert,
    'node:test': { describe, test },
    'node:fs': { readFileSync: (name, encoding) => (encoding ? text(name) : bytes(name)) },
    'node:path': { join: (...parts) => parts.at(-1) },
    // Of tests that are node's alone.
    'node:events': {},
    'node:zlib': {},
  };
  const require = (name) => (known[name] ??= evaluate(name));
  const evaluate = (name) => {
    const module = { exports: {} };
    const names = ['require', 'module', '__dirname', 'setImmediate', 'process'];
    new Function(...names, text(name))(require, module, '', setImmediate, process);
    return module.exports;
  };
  return require;
}

/// Runs the tests of `file`, but for those called as in `without`: the name of each, and its error if it fails.
export async function run({ file, texts, without }) {
  const tests = [];
  modules(texts, tests)(file);
  const results = [];
  for (const { name, timeout, act } of tests.filter(({ name }) => !without.includes(name))) {
    const { t, ends } = context();
    const late = new Promise((_, reject) => globalThis.setTimeout(reject, timeout, new Error('it takes too long')));
    const error = await Promise.race([(async () => act(t))(), late]).then(
      () => undefined,
      (reason) => `${reason?.stack ?? reason}`,
    );
    for (const end of ends) {
      await end();
    }
    results.push({ name, error });
  }
  return { results, all: tests.map(({ name }) => name) };
}
