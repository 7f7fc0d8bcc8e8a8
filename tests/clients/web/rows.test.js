'use strict';
// The tests of `roomwire.js` on a virtual clock, in a browser: the same files that node runs. What a page has and node has
// not is tried as it is.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { Browser } = require('./chromium');

const TEST_MS = { timeout: 60_000 };
const SHIM = '/node_shim.mjs';
const CLIENT = '/roomwire.js';
const read = (...parts) => fs.readFileSync(path.join(__dirname, ...parts), 'utf8');
/// Of node alone: how large the file is, and a page that it has to make up.
const WITHOUT = {
  'roomwire-js-timing.test.js': [
    'the file stays small, and needs nothing',
    'coming back: a page that wakes, or is online again, tries at once',
  ],
  'roomwire-js-rooms.test.js': [],
};

let site;
let browser;

before(async () => {
  site = http.createServer(({ url }, answer) => {
    const script = { [SHIM]: ['.', SHIM], [CLIENT]: ['../../../core/web', CLIENT] }[url];
    const type = script ? 'text/javascript' : 'text/html';
    answer.setHeader('Content-Type', type).end(script ? read(...script) : '<!doctype html><title>page</title>');
  });
  await new Promise((resolve, reject) => site.once('error', reject).listen(0, '127.0.0.1', resolve));
  browser = new Browser();
});
after(async () => {
  site?.closeAllConnections();
  site?.close();
  await browser?.stop();
});

const open = () => browser.open(`http://127.0.0.1:${site.address().port}/`);

describe('in a browser', () => {
  // covers A4-01, A4-02, A4-03, A4-04, A4-05, A4-06, A4-07, A4-08, A4-09, A4-10, A4-11, A4-12
  for (const [file, without] of Object.entries(WITHOUT)) {
    test(file, TEST_MS, async () => {
      const names = [file, 'virtual.js'];
      const texts = Object.fromEntries(names.map((name) => [name, read('../node', name)]));
      texts['roomwire.js'] = read('../../../core/web/roomwire.js');
      texts['PROTOCOL.md'] = read('../../../core/PROTOCOL.md');
      const page = await open();
      const run = async (what) => (await import('/node_shim.mjs')).run(what);
      const { results, all } = await page.run(run, { file, texts, without }, TEST_MS.timeout);
      assert.deepEqual(without.filter((name) => !all.includes(name)), []);
      assert.deepEqual(results.filter(({ error }) => error), []);
      assert.equal(results.length, all.length - without.length);
      assert.ok(results.length >= 25, `${results.length} tests`);
    });
  }

  // covers A4-15
  test('who waits comes back at once when the page is looked at again, or the network is there', TEST_MS, async () => {
    const page = await open();
    const waits = async () => {
      const { WebSocketClient } = await import('/roomwire.js');
      const made = [];
      class Socket {
        constructor() {
          made.push(this);
        }
        close() {}
      }
      const options = { WebSocket: Socket, reconnectInterval: 600_000, maxReconnectDelay: 600_000, random: () => 1 };
      const client = new WebSocketClient('ws://server/', options);
      const counts = [];
      for (const [target, name] of [[document, 'visibilitychange'], [window, 'online']]) {
        made.at(-1).onclose({ type: 'close', code: 1006 });
        counts.push(made.length);
        target.dispatchEvent(new Event(name));
        counts.push(made.length);
      }
      made.at(-1).onclose({ type: 'close', code: 1006 });
      client.close();
      document.dispatchEvent(new Event('visibilitychange'));
      window.dispatchEvent(new Event('online'));
      return [...counts, made.length, document.visibilityState];
    };
    assert.deepEqual(await page.run(waits), [1, 2, 2, 3, 3, 'visible']);
  });
});
