'use strict';
// The page that the server serves at `/`, in a browser: two tabs that chat, a network that drops, files, keys, and what is
// said to those who do not see it. Pictures of it are kept in the folder that ROOMWIRE_TEST_PICTURES names.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const zlib = require('node:zlib');
const { wireTo } = require('../node/cut');
const { sleep, startServer, within } = require('../node/server');
const { Browser, DESKTOP, PHONE } = require('./chromium');

const TEST_MS = { timeout: 60_000 };
const AXE = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const CONFIG = '[[room]]\npattern = "bare"\n[[room]]\npattern = "*"\nhistory_messages = 1000\n';
const HTML = '<img src=x onerror="document.title=1"><b>bold</b>';

let server;
let browser;
let folder;
before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'roomwire-page-'));
  server = await startServer(['--rate-limit', 'off'], { config: CONFIG });
  browser = new Browser();
});
after(async () => {
  // One that fails keeps no other from its end.
  await Promise.all([browser?.stop(), server?.stop()]);
  fs.rmSync(folder, { recursive: true });
});

/// A tab with the page. What it asks for is in `asked`, what is wrong in `wrong`.
async function tab(room, name, port = server.port) {
  const seen = { asked: [], wrong: [] };
  const prepare = async (it) => {
    it.on('Network.requestWillBeSent', ({ request }) => seen.asked.push(request.url));
    it.on('Network.webSocketCreated', ({ url }) => seen.asked.push(url));
    it.on('Runtime.exceptionThrown', ({ exceptionDetails }) => seen.wrong.push(exceptionDetails));
    it.on('Runtime.consoleAPICalled', ({ type, args }) => type === 'error' && seen.wrong.push(args));
    it.on('Log.entryAdded', ({ entry }) => seen.wrong.push(entry));
    await Promise.all(['Network', 'Runtime', 'Log', 'Page', 'DOM'].map((domain) => it.send(`${domain}.enable`)));
  };
  const page = await browser.open('about:blank', prepare, true);
  await page.send('Page.navigate', { url: `http://127.0.0.1:${port}/#room=${room}` });
  await page.until("() => document.getElementById('state')?.textContent === 'Connected'");
  await page.until('(room) => document.querySelector(".members small") && document.getElementById("title").textContent === room', room);
  await page.run((own) => {
    const field = document.getElementById('name');
    field.value = own;
    field.dispatchEvent(new Event('change'));
  }, name);
  return Object.assign(page, seen);
}

const write = (page, text) =>
  page.run((it) => {
    document.getElementById('text').value = it;
    document.getElementById('say').requestSubmit();
  }, text);

/// What is shown as said in the room that is shown: by whom, what, and what became of it.
const said = (page) =>
  page.run(() =>
    [...document.querySelectorAll('.log:not([hidden]) .said')].map((one) => [
      one.querySelector('.by bdi').textContent,
      one.querySelector('.text')?.textContent,
      one.querySelector('.status').textContent,
    ]),
  );
const notices = (page) =>
  page.run(() => [...document.querySelectorAll('.log:not([hidden]) .notice')].map(({ textContent }) => textContent));

const hears = (page, text) =>
  page.until((it) => [...document.querySelectorAll('.log:not([hidden]) .text')].some(({ textContent }) => textContent === it), text);
const notes = (page, text) =>
  page.until((it) => [...document.querySelectorAll('.notice')].some(({ textContent }) => textContent === it), text);
const isMember = (page, name) =>
  page.until((it) => [...document.querySelectorAll('#members bdi')].some(({ textContent }) => textContent === it), name);

const press = (page, label) =>
  page.until((it) => {
    const [found] = [...document.querySelectorAll('button, a')].filter((one) => (one.getAttribute('aria-label') ?? one.textContent.trim()) === it);
    found?.click();
    return found !== undefined;
  }, label);

async function attach(page, ...files) {
  const { root } = await page.send('DOM.getDocument');
  const { nodeId } = await page.send('DOM.querySelector', { nodeId: root.nodeId, selector: '#files' });
  await page.send('DOM.setFileInputFiles', { nodeId, files });
}

const state = (page, text) => page.until((it) => document.getElementById('state').textContent === it, text);

/// Resolves once something holds.
const until = (holds) =>
  within(
    10_000,
    (async () => {
      while (!holds()) {
        await sleep(20);
      }
    })(),
    () => `expected ${holds}`,
  );

/// What axe finds wrong with the page as it is shown.
async function violations(page) {
  await page.run(`() => { ${AXE} }`);
  return page.run(async () => {
    const { violations } = await globalThis.axe.run();
    return violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
  });
}

/// A picture of one colour, as a file in PNG.
function png(name, width, height) {
  const chunk = (type, data) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    const body = Buffer.concat([Buffer.from(type), data]);
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const line = Buffer.concat([Buffer.from([0]), Buffer.alloc(width * 3, Buffer.from([49, 116, 143]))]);
  const pixels = zlib.deflateSync(Buffer.concat(Array(height).fill(line)));
  const file = path.join(folder, name);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  fs.writeFileSync(file, Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]));
  return file;
}

function crc32(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) {
      sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
    }
  }
  return (sum ^ 0xffffffff) >>> 0;
}

/// Ada and bob in a room, who know each other.
async function two(room, port) {
  const ada = await tab(room, 'Ada');
  const bob = await tab(room, 'Bob', port);
  await Promise.all([isMember(ada, 'Bob'), isMember(bob, 'Ada')]);
  return [ada, bob];
}

describe('the page', () => {
  test('lets two tabs chat, and shows what others say as text', TEST_MS, async () => {
    const [ada, bob] = await two('tea');
    await write(ada, 'hello');
    await hears(bob, 'hello');
    await write(bob, HTML);
    await hears(ada, HTML);
    await bob.run((name) => {
      document.getElementById('name').value = name;
      document.getElementById('name').dispatchEvent(new Event('change'));
    }, HTML);
    await isMember(ada, HTML.slice(0, 40).trim());
    await ada.run(() => document.getElementById('text').focus());
    await ada.send('Input.insertText', { text: 'I am wri' });
    await bob.until(() => document.getElementById('typing').textContent === 'Ada is typing…');
    await ada.press('Enter', 13);
    await hears(bob, 'I am wri');
    await bob.until(() => document.getElementById('typing').textContent === '');
    assert.deepEqual(await said(ada), [['Ada', 'hello', ''], ['Bob', HTML, ''], ['Ada', 'I am wri', '']]);
    assert.deepEqual(await ada.run(() => [...document.querySelectorAll('main img, main b')].length), 0);
    assert.match(await ada.until(() => document.getElementById('ms').textContent), /^\d+ ms$/);
    // Rooms are joined, switched and left; what is said elsewhere is counted.
    await bob.run(() => {
      document.getElementById('room').value = 'milk';
      document.getElementById('join').requestSubmit();
    });
    await bob.until(() => document.getElementById('title').textContent === 'milk');
    await write(ada, 'are you there?');
    await bob.until(() => document.title.startsWith('(1) milk'));
    await press(bob, 'Leave milk');
    await bob.until(() => document.title.startsWith('tea'));
    assert.equal((await said(bob)).at(-1)[1], 'are you there?');
    await press(bob, 'Leave tea');
    await notes(ada, `${HTML.slice(0, 40).trim()} left`);
    // What was said before is there for who comes later, as far as the room keeps it.
    const eve = await tab('tea', 'Eve');
    await hears(eve, 'are you there?');
    assert.deepEqual((await said(eve)).map(([name, text]) => [name, text]).slice(0, 2), [['Ada', 'hello'], ['Bob', HTML]]);
    const dan = await tab('bare', 'Dan');
    assert.equal(await dan.until(() => document.getElementById('note').textContent), 'Messages are not kept here');
    for (const page of [ada, bob, eve, dan]) {
      assert.deepEqual(page.wrong, []);
    }
  });

  test('comes back when the network does, and nothing is missed', TEST_MS, async (t) => {
    const wire = await wireTo(t, server.port);
    const [ada, bob] = await two('back', new URL(wire.url).port);
    await write(ada, 'one');
    await hears(bob, 'one');
    wire.block();
    await state(bob, 'Offline, trying again');
    for (const text of ['two', 'three', 'four']) {
      await write(ada, text);
    }
    await write(bob, 'late');
    await bob.until(() => [...document.querySelectorAll('.status')].some(({ textContent }) => textContent === 'Waits for the connection'));
    wire.open();
    await state(bob, 'Connected');
    await notes(bob, 'Back again, nothing was missed');
    await hears(ada, 'late');
    await bob.until(() => [...document.querySelectorAll('.status')].every(({ textContent }) => textContent === ''));
    // Its own stands where it was written, and what was said meanwhile behind it, each once and in order.
    assert.deepEqual((await said(bob)).map(([, text]) => text), ['one', 'late', 'two', 'three', 'four']);
    assert.deepEqual((await said(ada)).map(([, text]) => text), ['one', 'two', 'three', 'four', 'late']);
    await isMember(bob, 'Ada');
    await isMember(ada, 'Bob');
  });

  test('sends a file, and shows the picture in it, also when the network drops meanwhile', TEST_MS, async (t) => {
    const wire = await wireTo(t, server.port);
    const [ada, bob] = await two('files', new URL(wire.url).port);
    await attach(ada, png('kettle.png', 320, 200));
    await press(bob, 'Accept kettle.png');
    const width = await bob.until(() => document.querySelector('.file img')?.naturalWidth);
    assert.equal(width, 320);
    const save = await bob.until(() => {
      const link = document.querySelector('.file .save');
      return link && [link.download, link.protocol];
    });
    assert.deepEqual(save, ['kettle.png', 'blob:']);
    await ada.until(() => document.querySelector('.file .how').textContent === 'Received by 1');
    assert.equal(await ada.run(() => document.querySelector('.file img').alt), 'kettle.png');
    // What is saved is what was sent.
    const into = path.join(folder, 'saved');
    await bob.send('Page.setDownloadBehavior', { behavior: 'allow', downloadPath: into });
    await press(bob, 'Save kettle.png');
    const saved = path.join(into, 'kettle.png');
    await until(() => fs.existsSync(saved) && fs.statSync(saved).size > 0);
    assert.deepEqual(fs.readFileSync(saved), fs.readFileSync(path.join(folder, 'kettle.png')));

    const large = path.join(folder, 'large.bin');
    fs.writeFileSync(large, Buffer.alloc(8_000_000, 7));
    await attach(ada, large);
    await press(bob, 'Accept large.bin');
    await bob.until(() => [...document.querySelectorAll('progress')].at(-1).value > 500_000);
    wire.cut();
    await bob.until(() => [...document.querySelectorAll('.how')].at(-1).textContent === 'Received');
    await ada.until(() => /^Received by 1/.test([...document.querySelectorAll('.how')].at(-1).textContent));

    await attach(ada, large);
    await press(bob, 'Accept large.bin');
    await press(bob, 'Cancel large.bin');
    await bob.until(() => [...document.querySelectorAll('.how')].at(-1).textContent === 'Cancelled');
    await press(ada, 'Cancel large.bin');
    await ada.until(() => [...document.querySelectorAll('.how')].at(-1).textContent === 'Cancelled');
    assert.deepEqual(ada.wrong, []);
  });

  test('asks for nothing anywhere else, and may not', TEST_MS, async () => {
    const page = await tab('policy', 'Ada');
    const own = `//127.0.0.1:${server.port}/`;
    const asked = page.asked.filter((url) => !url.startsWith('about:')).map((url) => url.replace(/^\w+:/, '').replace(/#.*/, ''));
    assert.ok(asked.length >= 9, `${asked}`);
    assert.deepEqual(asked.filter((url) => !url.startsWith(own)), []);
    assert.deepEqual(asked.filter((url) => url === `${own}ws`).length, 1);
    const answer = await fetch(`http://127.0.0.1:${server.port}/`);
    assert.match(answer.headers.get('content-security-policy'), /^default-src 'none'; /);
    assert.doesNotMatch(answer.headers.get('content-security-policy'), /unsafe|\*|https?:|data:/);
    // The policy holds: what is put into the page neither runs nor loads.
    const blocked = page.run(
      () =>
        new Promise((resolve) => {
          const told = [];
          document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => {
            told.push(effectiveDirective);
            if (told.length === 4) {
              resolve(told.sort());
            }
          });
          const script = document.createElement('script');
          script.textContent = 'document.title = "run"';
          const style = document.createElement('style');
          style.textContent = 'body { display: none }';
          const image = document.createElement('img');
          image.src = 'http://127.0.0.1:9/x.png';
          document.body.append(script, style, image);
          new WebSocket('ws://elsewhere.example/').onerror = () => {};
        }),
    );
    assert.deepEqual(await blocked, ['connect-src', 'img-src', 'script-src-elem', 'style-src-elem']);
    assert.notEqual(await page.run(() => document.title), 'run');
  });

  test('can be used with keys alone', TEST_MS, async () => {
    const [ada, bob] = await two('keys');
    const focused = () => ada.run(() => document.activeElement.id || document.activeElement.textContent.trim());
    const isFirst = () => document.querySelector('a, button, input, textarea, [tabindex="0"]').matches('.skip');
    assert.ok(await ada.run(isFirst));
    await ada.run(() => document.querySelector('.skip').focus());
    await ada.press('Enter', 13);
    assert.equal(await focused(), 'text');
    await ada.send('Input.insertText', { text: 'with keys' });
    await ada.press('Enter', 13);
    await hears(bob, 'with keys');
    await attach(bob, png('key.png', 40, 30));
    await ada.until(() => document.querySelector('.file .strong'));
    // From the log to what there is to press in it.
    await ada.run(() => document.querySelector('.log:not([hidden])').focus());
    await ada.press('Tab', 9);
    assert.equal(await focused(), 'Accept');
    await ada.press('Enter', 13);
    await ada.until(() => document.querySelector('.file img')?.naturalWidth === 40);
    assert.equal(await focused(), 'Save');
    // Every stop shows that it is one.
    await ada.run(() => document.activeElement.blur());
    const stops = await ada.run(() => document.querySelectorAll('button:not([hidden], [tabindex="-1"]), input:not([tabindex="-1"]), a, [tabindex="0"]').length);
    for (let n = 0; n < stops; n += 1) {
      await ada.press('Tab', 9);
      const [what, outline] = await ada.run(() => [document.activeElement.outerHTML.slice(0, 80), getComputedStyle(document.activeElement).outlineStyle]);
      assert.ok(outline === 'solid' || what.startsWith('<body'), what);
    }
  });

  test('looks as it should on a phone and on a desk, by day and by night, and axe finds nothing', TEST_MS, async () => {
    const [ada, bob] = await two('kitchen');
    const talk = [
      [ada, 'Good morning! Is the kettle on?'],
      [bob, 'It is. Earl Grey or Assam?'],
      [bob, 'There is also some oolong left from last week, and a long story about how it came to be in the kitchen.'],
      [ada, 'Oolong, please.\nTwo cups.'],
      [ada, `https://example.com/${'a-word-that-does-not-end'.repeat(6)}`],
    ];
    for (const [page, text] of talk) {
      await write(page, text);
      await hears(page === ada ? bob : ada, text);
    }
    fs.writeFileSync(path.join(folder, 'minutes of the meeting.pdf'), Buffer.alloc(300_000));
    await attach(bob, path.join(folder, 'minutes of the meeting.pdf'));
    await attach(bob, png('kettle.png', 480, 300));
    await press(ada, 'Accept kettle.png');
    await ada.until(() => document.querySelector('.file img')?.naturalWidth);
    await bob.run(() => document.getElementById('text').focus());
    await bob.send('Input.insertText', { text: 'I a' });
    await ada.until(() => document.getElementById('typing').textContent !== '');
    const wide = () => [document.documentElement.scrollWidth - innerWidth, document.querySelector('.log:not([hidden])').scrollWidth - document.querySelector('.log:not([hidden])').clientWidth];
    const pictures = process.env.ROOMWIRE_TEST_PICTURES ?? folder;
    fs.mkdirSync(pictures, { recursive: true });
    const shoot = async (name) => {
      await ada.until(() => document.getAnimations().length === 0);
      const picture = await ada.picture();
      assert.deepEqual([picture.readUInt32BE(16), picture.readUInt32BE(20)], await ada.run(() => [innerWidth, innerHeight]));
      fs.writeFileSync(path.join(pictures, `${name}.png`), picture);
    };
    for (const [size, device] of [[PHONE, 'phone'], [DESKTOP, 'desktop']]) {
      for (const scheme of ['light', 'dark']) {
        await ada.look(size, scheme);
        await ada.until((width) => innerWidth === width, size.width);
        // The end stays in sight.
        await ada.until(() => {
          const { scrollHeight, scrollTop, clientHeight } = document.querySelector('.log:not([hidden])');
          return scrollHeight - scrollTop - clientHeight < 2;
        });
        assert.deepEqual(await ada.run(wide), [0, 0], `${device} ${scheme}`);
        await shoot(`${device}-${scheme}`);
        assert.deepEqual(await violations(ada), [], `${device} ${scheme}`);
        if (size.mobile) {
          await press(ada, 'Rooms and members');
          await shoot(`${device}-${scheme}-side`);
          assert.deepEqual(await violations(ada), [], `${device} ${scheme}, side`);
          assert.equal(await ada.run(() => document.activeElement.id), 'close');
          await ada.press('Escape', 27);
          await ada.until(() => document.activeElement.id === 'menu' && document.getAnimations().length === 0);
        }
      }
    }
    assert.match((await notices(ada)).join(), /^[^,]+ joined$/);
    assert.deepEqual(ada.wrong, []);
  });

  test('shows what was said long ago when one scrolls there', TEST_MS, async () => {
    const ada = await tab('long', 'Ada');
    for (let n = 1; n <= 170; n += 1) {
      await write(ada, `message ${n}`);
    }
    await ada.until(() => [...document.querySelectorAll('.status')].every(({ textContent }) => textContent === ''));
    const bob = await tab('long', 'Bob');
    await hears(bob, 'message 170');
    const texts = async () => (await said(bob)).map(([, text]) => text);
    assert.equal((await texts()).length, 50);
    await press(bob, 'Earlier messages');
    await hears(bob, 'message 71');
    // Who is at the top in the very moment that more comes wants more still.
    await bob.run(() => {
      const log = document.querySelector('.log:not([hidden])');
      const moved = new MutationObserver(() => {
        moved.disconnect();
        log.scrollTo(0, 0);
      });
      moved.observe(log.querySelector('ol'), { childList: true });
      log.scrollTo(0, 1);
      requestAnimationFrame(() => log.scrollTo(0, 0));
    });
    await hears(bob, 'message 1');
    assert.deepEqual(await texts(), Array.from({ length: 170 }, (_, n) => `message ${n + 1}`));
    assert.equal(await bob.run(() => document.querySelector('.log:not([hidden]) .earlier').hidden), true);
    // Who reads there stays there.
    await write(ada, 'news');
    await hears(bob, 'news');
    assert.ok(await bob.run(() => document.querySelector('.log:not([hidden])').scrollTop < 5000 && !document.getElementById('latest').hidden));
    await press(bob, 'Newest messages');
    await bob.until(() => document.getElementById('latest').hidden);
  });
});
