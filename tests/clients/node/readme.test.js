'use strict';
// README.md holds: what it prints works as it stands, and its table of settings is the program's.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { connect } = require('./client');
const { binary, run, startServer, within } = require('./server');

const TEST_MS = { timeout: 20_000 };
const ROOT = path.join(__dirname, '../../..');
const README = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');
const PRINTED_URL = 'ws://127.0.0.1:8080/';

/// The only fenced block in this language.
function block(language) {
  const found = [...README.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))];
  assert.equal(found.length, 1, `expected one block of ${language}`);
  return found[0][1];
}

/// The printed program with the test's URL in place of the printed one, and nothing else changed.
function atServer(program) {
  assert.equal(program.split(PRINTED_URL).length, 2, `expected ${PRINTED_URL} once`);
  return program.replace(PRINTED_URL, server.url);
}

let server;
before(async () => {
  server = await startServer();
});
after(() => server.stop());

describe('the Node.js program', () => {
  // covers A1-02, A1-05
  test('joins, is heard, and ends', TEST_MS, async (t) => {
    const listener = await connect(t, server.url);
    await listener.join('tea');
    const child = spawn(process.execPath, ['-e', atServer(block('js'))], { cwd: __dirname });
    t.after(() => child.kill('SIGKILL'));
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
    const ended = new Promise((resolve) => child.on('close', resolve));
    assert.equal(await within(10_000, ended, () => `expected an end, got ${output}`), 0, output);
    for (const type of ['welcome', 'joined_room', 'ack']) {
      assert.match(output, new RegExp(`type: '${type}'`));
    }
    await listener.expect('member_joined');
    assert.equal((await listener.expect('room_message')).data, 'hello from Node.js');
    await listener.expect('member_left');
  });
});

describe('the page', () => {
  // covers A9-02: run as a browser does, with its origin, over a document that only knows what the page uses
  test('joins, shows and sends', TEST_MS, async (t) => {
    const script = atServer(block('html')).match(/<script>(.*)<\/script>/s)[1];
    const input = { value: '' };
    const form = {};
    const lines = [];
    let wake = () => {};
    const pre = {
      append: (line) => {
        lines.push(line);
        wake();
      },
    };
    const document = { querySelector: (name) => ({ form, input, pre })[name] };
    const sockets = [];
    const { WebSocket } = require('ws');
    class PageSocket extends WebSocket {
      constructor(url) {
        super(url, { origin: 'http://localhost:8000' });
        sockets.push(this);
      }
    }
    t.after(() => sockets.forEach((socket) => socket.terminate()));
    new Function('document', 'WebSocket', script)(document, PageSocket);
    const shown = (matches) =>
      within(
        5_000,
        new Promise((resolve) => {
          wake = () => lines.some(matches) && resolve();
          wake();
        }),
        () => `expected ${matches}, got ${JSON.stringify(lines)}`,
      );
    await shown((line) => line.includes('"type":"joined_room"'));

    const other = await connect(t, server.url);
    await other.join('tea');
    other.send({ type: 'room_message', room: 'tea', data: '<b>hello</b>' });
    await shown((line) => line === `${other.id}: <b>hello</b>\n`);
    input.value = 'good morning';
    form.onsubmit({ preventDefault: () => {} });
    assert.equal(input.value, '');
    assert.equal((await other.until('room_message')).data, 'good morning');
    assert.equal(lines.at(-1), 'me: good morning\n');
  });
});

describe('the clients', () => {
  /// The commands of a section, line by line.
  function commands(title) {
    const section = README.split(`## ${title}\n`)[1].split('\n## ')[0];
    const blocks = [...section.matchAll(/^```sh\n(.*?)^```$/gms)];
    return blocks.flatMap(([, text]) => text.trimEnd().split('\n'));
  }

  /// Runs a printed command in a shell that knows the program by its printed name.
  function start(t, folder, command) {
    const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
    // In a pipe the shell stays, otherwise it makes way, so that a signal reaches the program.
    const script = command.includes('|') ? command : `exec ${command}`;
    const stdio = ['ignore', 'pipe', 'pipe'];
    const child = spawn('sh', ['-c', atServer(script)], { cwd: folder, env, stdio });
    t.after(() => child.kill('SIGKILL'));
    const output = { stdout: '', stderr: '' };
    let wake = () => {};
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => {
        output[name] += text;
        wake();
      });
    }
    const said = () => JSON.stringify(output);
    const closed = new Promise((resolve) => child.on('close', resolve));
    return {
      child,
      output,
      ended: () => within(10_000, closed, () => `expected \`${command}\` to end, got ${said()}`),
      until: (part) => {
        const seen = new Promise((resolve) => {
          wake = () => output.stdout.includes(part) && resolve();
          wake();
        });
        return within(5_000, seen, () => `expected ${part} of \`${command}\`, got ${said()}`);
      },
    };
  }

  test('do what is printed', TEST_MS, async (t) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'roomwire-readme-'));
    t.after(() => fs.rmSync(folder, { recursive: true }));
    fs.symlinkSync(binary(), path.join(folder, 'roomwire-tokio'));
    const [tapping, ...others] = commands('Try a server by hand');
    assert.match(tapping, /^roomwire-tokio tap /);
    assert.equal(others.length, 3);
    const tap = start(t, folder, tapping);
    await tap.until('joined_room');
    for (const [command, answer] of others.map((command, at) => [command, ['"ack"', '"ack"', '"pong"'][at]])) {
      const client = start(t, folder, command);
      assert.equal(await client.ended(), 0, JSON.stringify(client.output));
      assert.ok(client.output.stdout.includes(answer), `expected ${answer}, got ${client.output.stdout}`);
      assert.equal(client.output.stderr, '');
    }
    for (const data of ['hello', 'from a pipe']) {
      await tap.until(`"data":"${data}"`);
    }
    tap.child.kill('SIGINT');
    assert.equal(await tap.ended(), 0);
    assert.equal(tap.output.stderr, '');
    const lines = tap.output.stdout.trimEnd().split('\n');
    for (const line of lines) {
      assert.match(line, /^\d\d:\d\d:\d\d\.\d{3} [<>] +\d+ \S/);
    }
    assert.match(lines.at(-1), / < +0 close 1000$/);
  });

  test('send files as it is printed', TEST_MS, async (t) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'roomwire-readme-'));
    t.after(() => fs.rmSync(folder, { recursive: true }));
    fs.symlinkSync(binary(), path.join(folder, 'roomwire-tokio'));
    fs.writeFileSync(path.join(folder, 'README.md'), README);
    const [making, receiving, sending, ...others] = commands('Send files');
    assert.deepEqual([making, others], ['mkdir -p inbox', []]);
    fs.mkdirSync(path.join(folder, 'inbox'));
    const receiver = start(t, folder, receiving);
    await receiver.until('waiting for files as client_');
    const sender = start(t, folder, sending);
    assert.equal(await sender.ended(), 0, JSON.stringify(sender.output));
    assert.match(sender.output.stdout, /^sent README.md: \d+ bytes to 1 in /);
    await receiver.until('received inbox/README.md');
    assert.equal(fs.readFileSync(path.join(folder, 'inbox/README.md'), 'utf8'), README);
    receiver.child.kill('SIGINT');
    assert.equal(await receiver.ended(), 0);
    assert.deepEqual([sender.output.stderr, receiver.output.stderr], ['', '']);
  });
});

describe('the settings', () => {
  test('every flag of the program stands in the table with its variable', TEST_MS, async () => {
    const { code, stdout } = await run(['--help']);
    assert.equal(code, 0);
    const rows = README.split('\n').filter((line) => line.startsWith('| `--'));
    const printed = rows.map((row) => `${row.match(/--[a-z-]+/)[0]} ${row.match(/ROOMWIRE_[A-Z_]+/)[0]}`);
    const flags = [...stdout.matchAll(/^ +(--[a-z-]+).*?\[env: (ROOMWIRE_[A-Z_]+)/gms)];
    const known = flags.map(([, flag, variable]) => `${flag} ${variable}`);
    assert.deepEqual(printed, known);
  });

  test('every key and default of the table is that of the printed config', TEST_MS, async () => {
    const { stdout } = await run(['--print-config']);
    const sections = new Map();
    let section = '';
    for (const line of stdout.split('\n')) {
      section = line.match(/^\[+([a-z_]+)\]+$/)?.[1] ?? section;
      const [, key, value] = line.match(/^([a-z_]+) = (.*)$/) ?? [];
      sections.set(`${section}.${key}`, value);
    }
    const rows = README.split('\n').filter((line) => line.startsWith('| `--'));
    let compared = 0;
    for (const row of rows) {
      const [, , , where, text] = row.split('|').map((cell) => cell.trim());
      const [, key] = where.match(/^`([a-z_]+\.[a-z_]+)`$/) ?? [];
      const value = sections.get(key);
      if (key === 'threads.count') {
        const threads = process.env.ROOMWIRE_TEST_THREADS ?? String(os.availableParallelism());
        assert.equal(value, threads, 'one thread for each core');
        continue;
      }
      if (value !== undefined && value !== '[]') {
        assert.ok(text.startsWith(value.replaceAll('"', '')), `${key} is ${value}, the table says ${text}`);
        compared += 1;
      }
    }
    assert.ok(compared >= 10, `only ${compared} defaults were compared`);
  });

  test('the printed file is one that the server takes', TEST_MS, async (t) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'roomwire-readme-'));
    t.after(() => fs.rmSync(folder, { recursive: true }));
    fs.writeFileSync(path.join(folder, 'roomwire.toml'), block('toml'));
    const { code, stdout, stderr } = await run(['--config', path.join(folder, 'roomwire.toml'), '--check-config']);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'config ok\n', stderr: '' });
  });
});

describe('the text', () => {
  test('every file that is linked is there', () => {
    for (const [, target] of README.matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
      assert.ok(fs.existsSync(path.join(ROOT, target)), `${target} is not there`);
    }
    fs.accessSync(path.join(ROOT, 'tests/run'), fs.constants.X_OK);
  });
});
