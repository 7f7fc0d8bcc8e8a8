'use strict';
// The guide's own tests, once each. `guide-loop.js` repeats them.

const { after, before, test } = require('node:test');
const { guideTests } = require('./guide-shim');
const { startServer } = require('./server');

let server;
before(async () => {
  // covers A12-04: an ephemeral port, readiness awaited, closed for sure
  server = await startServer();
});
after(() => server.stop());

// covers A12-01, A12-02, A12-03
for (const [at, { name }] of guideTests('').entries()) {
  test(name, { timeout: 10_000 }, () => guideTests(server.url)[at].run());
}
