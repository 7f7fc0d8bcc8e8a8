'use strict';
// Starts the server under test and ends it: the binary named by ROOMWIRE_BIN, an ephemeral port, readiness
// awaited, nothing left behind. Every wait is bounded.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const READY_MS = 10_000;
const STOP_MS = 5_000;
const SECOND_SIGNAL_MS = 300;

function binary() {
  const file = process.env.ROOMWIRE_BIN;
  if (!file) {
    throw new Error('ROOMWIRE_BIN is not set: it names the binary to test');
  }
  fs.accessSync(file, fs.constants.X_OK);
  return path.resolve(file);
}

/// Resolves like `promise`, or rejects after `ms` with what `describe()` says.
function within(ms, promise, describe) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${describe()} within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/// Runs the binary to its end: `{ code, signal, stdout, stderr }`.
function run(args, ms = READY_MS) {
  const started = launch(args);
  return within(ms, started.exited, () => `expected \`${args.join(' ')}\` to end`).finally(() => {
    started.child.kill('SIGKILL');
  });
}

/// Starts a server with `args` (and a config file holding `config`, TOML) and waits until it listens.
async function startServer(args = [], { config, listen = ['127.0.0.1:0'] } = {}) {
  const all = listen.flatMap((address) => ['--listen', address]).concat(args);
  let folder;
  if (config !== undefined) {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'roomwire-'));
    fs.writeFileSync(path.join(folder, 'roomwire.toml'), config);
    all.push('--config', path.join(folder, 'roomwire.toml'));
  }
  const server = new Server(launch(all), folder);
  try {
    await within(READY_MS, server.ready(listen.length), () => `expected "listening on", got ${server.said()}`);
  } catch (error) {
    await server.kill();
    throw error;
  }
  return server;
}

/// The environment less what would configure the server, which has as many threads as the tests are run with.
function environment(args) {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('ROOMWIRE_'));
  // Only one is recorded.
  const threads = args.includes('--record') ? '' : process.env.ROOMWIRE_TEST_THREADS;
  return Object.fromEntries(threads ? [...others, ['ROOMWIRE_THREADS', threads]] : others);
}

function launch(args) {
  const child = spawn(binary(), args, { env: environment(args), stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  const onExit = () => child.kill('SIGKILL');
  process.on('exit', onExit);
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      output[name] += text;
    });
  }
  const exited = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('exit', onExit);
      resolve({ code, signal, ...output });
    });
  });
  return { child, output, exited };
}

class Server {
  constructor({ child, output, exited }, folder) {
    this.child = child;
    this.output = output;
    this.exited = exited;
    this.folder = folder;
    this.ports = [];
  }

  get port() {
    return this.ports[0];
  }

  get url() {
    return `ws://127.0.0.1:${this.port}/`;
  }

  said() {
    return JSON.stringify(this.output);
  }

  async ready(listeners) {
    const found = () => [...this.output.stdout.matchAll(/^listening on \S+:(\d+)\n/gm)].map((m) => +m[1]);
    await new Promise((resolve, reject) => {
      this.exited.then(() => reject(new Error(`the server ended early: ${this.said()}`)), reject);
      const look = () => found().length >= listeners && resolve();
      this.child.stdout.on('data', look);
    });
    this.ports = found();
  }

  signal(name) {
    this.child.kill(name);
  }

  /// The process's end: `{ code, signal, stdout, stderr }`.
  ended(ms = STOP_MS) {
    return within(ms, this.exited, () => `expected the server to end, got ${this.said()}`);
  }

  /// Ends the server as an operator would, and fails if it does not go, or panicked while it ran.
  async stop() {
    try {
      this.signal('SIGTERM');
      await Promise.race([this.exited, sleep(SECOND_SIGNAL_MS)]);
      this.signal('SIGTERM');
      await this.ended();
    } finally {
      await this.kill();
    }
    if (/panicked/.test(this.output.stderr)) {
      throw new Error(`the server panicked: ${this.output.stderr}`);
    }
  }

  /// Ends the server for sure.
  async kill() {
    this.child.kill('SIGKILL');
    await this.exited.catch(() => {});
    if (this.folder) {
      fs.rmSync(this.folder, { recursive: true, force: true });
    }
  }

  /// The parsed body of `GET /health`.
  async health() {
    const response = await fetch(`http://127.0.0.1:${this.port}/health`, {
      headers: { connection: 'close' },
      signal: AbortSignal.timeout(5_000),
    });
    return response.json();
  }

  /// Asks for `/health` until `holds(body)`.
  async healthUntil(holds, ms = 5_000) {
    const end = Date.now() + ms;
    let body = await this.health();
    while (!holds(body)) {
      if (Date.now() > end) {
        throw new Error(`expected ${holds} of /health within ${ms} ms, got ${JSON.stringify(body)}`);
      }
      await sleep(20);
      body = await this.health();
    }
    return body;
  }
}

module.exports = { binary, run, sleep, startServer, within };
