'use strict';
// A browser, compression on: thousands of mixed messages each way, byte for byte, and pages of other hosts.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { startServer } = require('../node/server');
const { COUNT, SEED, checkEcho } = require('./checks');
const { Browser } = require('./chromium');
const { wireTo } = require('./wire');

const TEST_MS = { timeout: 30_000 };
const ECHO_MS = 60_000;
const SCRIPTS = ['/echo.mjs', '/mixed.mjs'];

/// Serves an empty page and the scripts that it imports.
async function startSite() {
  const site = http.createServer(({ url }, answer) => {
    if (SCRIPTS.includes(url)) {
      answer.setHeader('Content-Type', 'text/javascript').end(fs.readFileSync(path.join(__dirname, url)));
    } else {
      answer.setHeader('Content-Type', 'text/html').end('<!doctype html><meta charset="utf-8"><title>page</title>');
    }
  });
  await new Promise((resolve, reject) => site.once('error', reject).listen(0, '127.0.0.1', resolve));
  return site;
}

let site;
let server;
let wire;
let browser;
const origin = (host) => `http://${host}:${site.address().port}`;

before(async () => {
  site = await startSite();
  server = await startServer(['--rate-limit', 'off', '--echo', '--allow-origin', origin('page.example')]);
  wire = await wireTo(server.port);
  browser = new Browser();
});
after(async () => {
  site?.closeAllConnections();
  site?.close();
  // One that fails keeps no other from its end.
  await Promise.all([browser?.stop(), wire?.stop(), server?.stop()]);
});

describe('a browser', () => {
  // covers A3-02
  test('ten thousand messages come back byte for byte', { timeout: 2 * ECHO_MS }, async (t) => {
    const page = await browser.open(`${origin('page.example')}/`);
    const run = async (what) => (await import('/echo.mjs')).echo(what);
    const url = `ws://127.0.0.1:${wire.port}/echo`;
    const back = await page.run(run, { url, seed: SEED, count: COUNT }, ECHO_MS);
    await checkEcho(t, back, wire.passed.at(-1));
  });

  /// The first message that a page gets, or how the connection ends.
  const first = (url) =>
    new Promise((resolve) => {
      const socket = new WebSocket(url);
      socket.onmessage = ({ data }) => resolve(JSON.parse(data).type);
      socket.onclose = ({ code }) => resolve(code);
    });

  // covers A12-05, A9-02
  test('a page of a host that is listed gets in, and of any other does not', TEST_MS, async () => {
    const url = `ws://127.0.0.1:${wire.port}/`;
    for (const [host, outcome, status] of [
      ['page.example', 'welcome', '101'],
      ['other.example', 1006, '403'],
    ]) {
      const page = await browser.open(`${origin(host)}/`);
      assert.equal(await page.run('() => location.origin'), origin(host));
      assert.equal(await page.run(first, url), outcome);
      const { up, down } = wire.passed.at(-1);
      assert.equal(up.field('origin'), origin(host));
      assert.equal(down.head.split(' ')[1], status);
    }
  });

  // covers A12-05
  test('pages of another origin import the client, and hear each other', TEST_MS, async () => {
    const at = { script: `http://127.0.0.1:${server.port}/roomwire.js`, url: server.url };
    const open = async ({ script, url }) => {
      const { WebSocketClient } = await import(script);
      globalThis.client = new WebSocketClient(url);
      globalThis.heard = new Promise((resolve) => globalThis.client.on('room_message', resolve));
      return (await globalThis.client.join('tea')).total;
    };
    const [ada, bob] = [await browser.open(`${origin('page.example')}/`), await browser.open(`${origin('page.example')}/`)];
    assert.deepEqual([await ada.run(open, at), await bob.run(open, at)], [1, 2]);
    assert.equal(await bob.run("() => client.say('tea', 'hello').then(({ type }) => type)"), 'ack');
    assert.equal(await ada.run('() => heard.then(({ data }) => data)'), 'hello');
    for (const page of [ada, bob]) {
      const close = () => new Promise((resolve) => globalThis.client.on('close', resolve)).then(({ code }) => code);
      assert.equal(await page.run(`() => { const closed = (${close})(); client.close(); return closed; }`), 1000);
    }
  });
});
