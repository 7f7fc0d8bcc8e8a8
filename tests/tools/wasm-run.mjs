// Runs a program built for wasm32-wasip1 under node's WASI, with the arguments, standard streams and environment it
// was given itself: cargo's runner for that target. Its exit status is the program's, or 101 after a trap, which is
// what a panic becomes where panics abort. The program sees no files.
import { readFile } from 'node:fs/promises';
import { WASI } from 'node:wasi';

const [program, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: 'preview1', args: [program, ...args], env: process.env });

// Rust's std names them, the libc of wasm32-wasip1 has no threads: only a thread's handle could call them.
const absent = (name) => () => {
  throw new Error(`${name} was called, and there are no threads`);
};
const env = { pthread_join: absent('pthread_join'), pthread_detach: absent('pthread_detach') };

const { instance } = await WebAssembly.instantiate(await readFile(program), { ...wasi.getImportObject(), env });
try {
  process.exitCode = wasi.start(instance);
} catch (trap) {
  console.error(`${program} ended by a trap: ${trap.stack}`);
  process.exitCode = 101;
}
