'use strict';
// The types of `roomwire.js`, as the server serves them: the compiler takes what is right, and refuses what is not.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { startServer } = require('./server');

const TEST_MS = { timeout: 120_000 };
const TSC = require.resolve('typescript/bin/tsc');
const STRICT = ['--strict', '--noEmit', '--noUncheckedIndexedAccess', '--exactOptionalPropertyTypes'];
const TARGET = ['--target', 'es2022', '--module', 'nodenext', '--lib', 'es2022,dom'];

let folder;
before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'roomwire-types-'));
  const server = await startServer();
  try {
    const answer = await fetch(`http://127.0.0.1:${server.port}/roomwire.d.ts`);
    fs.writeFileSync(path.join(folder, 'roomwire.d.ts'), await answer.text());
  } finally {
    await server.stop();
  }
  fs.writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}');
});
after(() => fs.rmSync(folder, { recursive: true }));

/// What the compiler says about a text, beside the types; nothing if all is well.
function compiled(text) {
  const file = path.join(folder, 'example.ts');
  fs.writeFileSync(file, text);
  return new Promise((resolve) => {
    execFile(process.execPath, [TSC, ...STRICT, ...TARGET, file], (_, said) => resolve(said.trim()));
  });
}

const example = (name) => fs.readFileSync(path.join(__dirname, 'types', name), 'utf8');

// covers A13-06
test('what is right type-checks, and what is not does not', TEST_MS, async () => {
  assert.equal(await compiled(example('good.ts')), '');
  // Each mistake is under a line that expects one.
  assert.equal(await compiled(example('bad.ts')), '');
});

test('a mistake is found without anybody expecting it', TEST_MS, async () => {
  const bad = example('bad.ts');
  const expected = bad.split('@ts-expect-error').length - 1;
  const said = await compiled(bad.replaceAll('@ts-expect-error', ''));
  assert.ok(expected > 20 && said.split('error TS').length - 1 >= expected, said);
});
