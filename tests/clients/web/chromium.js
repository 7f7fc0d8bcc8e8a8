'use strict';
// A browser without a screen, driven through pipes with the DevTools protocol: messages of JSON, a zero byte behind
// each. Every wait is bounded, and every name is the loopback's: nothing leaves this machine.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { sleep, within } = require('../node/server');

const PROGRAM = 'chromium-headless-shell';
const ANSWER_MS = 20_000;
const STOP_MS = 5_000;
const UNTIL_MS = 15_000;
const LOOK_MS = 30;
const PHONE = { width: 390, height: 844, deviceScaleFactor: 1, mobile: true };
const DESKTOP = { width: 1280, height: 800, deviceScaleFactor: 1, mobile: false };

class Browser {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'roomwire-browser-'));
    const flags = [
      '--headless',
      '--remote-debugging-pipe',
      `--user-data-dir=${this.folder}`,
      '--host-resolver-rules=MAP * 127.0.0.1',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-dev-shm-usage',
      '--disable-gpu',
      // Its sandbox refuses to be set up by root, as whom containers run their tests.
      ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
    ];
    this.child = spawn(PROGRAM, flags, { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });
    this.said = '';
    this.waiting = new Map();
    this.listeners = new Set();
    this.nextId = 1;
    this.onExit = () => this.child.kill('SIGKILL');
    process.on('exit', this.onExit);
    this.child.stderr.setEncoding('utf8').on('data', (text) => (this.said += text));
    this.ended = new Promise((resolve, reject) => {
      this.child.on('error', reject);
      this.child.on('close', (code, signal) => reject(new Error(`${PROGRAM} ended: ${code ?? signal} ${this.said}`)));
    });
    // Told by whatever waits for an answer.
    this.ended.catch(() => {});
    [, , , this.requests, this.answers] = this.child.stdio;
    this.requests.on('error', () => {});
    this.read();
  }

  read() {
    let rest = '';
    this.answers.setEncoding('utf8').on('data', (text) => {
      const messages = (rest + text).split('\0');
      rest = messages.pop();
      for (const message of messages.map((text) => JSON.parse(text))) {
        const { id, result, error } = message;
        if (id === undefined) {
          this.listeners.forEach((listener) => listener(message));
        }
        const { resolve, reject } = this.waiting.get(id) ?? {};
        this.waiting.delete(id);
        if (error) {
          reject?.(new Error(error.message));
        } else {
          resolve?.(result);
        }
      }
    });
  }

  /// The answer to a command, to the browser or in a page's session.
  send(method, params = {}, { sessionId, ms = ANSWER_MS } = {}) {
    const id = this.nextId++;
    const answer = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    this.requests.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return within(ms, Promise.race([answer, this.ended]), () => `expected an answer to ${method}, got ${this.said}`);
  }

  /// Opens a page; `prepare` is called before anything is loaded. `isApart`: nothing that others keep is there.
  async open(url, prepare, isApart = false) {
    const context = isApart ? await this.send('Target.createBrowserContext') : {};
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', ...context });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    await prepare?.(new Page(this, sessionId));
    const { errorText } = await this.send('Page.navigate', { url }, { sessionId });
    if (errorText) {
      throw new Error(`${url}: ${errorText}`);
    }
    return new Page(this, sessionId);
  }

  /// Ends the browser for sure, with all processes of its own.
  async stop() {
    try {
      await this.send('Browser.close', {}, { ms: STOP_MS });
      await within(STOP_MS, this.ended.catch(() => {}), () => 'expected the browser to end');
    } finally {
      this.child.kill('SIGKILL');
      process.off('exit', this.onExit);
      fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
    }
  }
}

class Page {
  constructor(browser, sessionId) {
    this.browser = browser;
    this.sessionId = sessionId;
  }

  /// A command to the page.
  send(method, params) {
    return this.browser.send(method, params, { sessionId: this.sessionId });
  }

  /// Calls `act` with each event of this name.
  on(wanted, act) {
    this.browser.listeners.add(({ sessionId, method, params }) => {
      if (sessionId === this.sessionId && method === wanted) {
        act(params);
      }
    });
  }

  /// What a function returns that runs in the page with an argument, both as JSON.
  async run(body, argument, ms = ANSWER_MS) {
    const expression = `(${body})(${JSON.stringify(argument)})`;
    const params = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.browser.send('Runtime.evaluate', params, {
      sessionId: this.sessionId,
      ms,
    });
    if (exceptionDetails) {
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    }
    return result.value;
  }

  /// What a function returns that runs in the page again and again until that is something.
  async until(body, argument) {
    const end = Date.now() + UNTIL_MS;
    for (;;) {
      const value = await this.run(body, argument);
      if (value) {
        return value;
      }
      if (Date.now() > end) {
        const shown = await this.run('() => document.body.innerText');
        throw new Error(`expected ${body} of ${JSON.stringify(argument)}, got ${shown}`);
      }
      await sleep(LOOK_MS);
    }
  }

  /// Presses a key, as `Enter` or `Tab`.
  async press(key, code) {
    const text = key === 'Enter' ? { text: '\r' } : {};
    const params = { key, code: key, windowsVirtualKeyCode: code };
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...params, ...text });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...params });
  }

  /// Shows the page in a size, `PHONE` or `DESKTOP`, and a scheme of colours.
  async look(size, scheme) {
    await this.send('Emulation.setDeviceMetricsOverride', size);
    await this.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
  }

  /// A picture of what is in sight, as PNG.
  async picture() {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png' });
    return Buffer.from(data, 'base64');
  }
}

module.exports = { Browser, DESKTOP, PHONE };
