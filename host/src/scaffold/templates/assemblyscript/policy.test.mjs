// Calls the built module as the host does: npm test
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

const imports = new Proxy({}, { get: () => new Proxy({}, { get: () => () => 0 }) });
const bytes = readFileSync(new URL('{{name}}.wasm', import.meta.url));
const { instance } = await WebAssembly.instantiate(bytes, imports);
const exported = (name) => instance.exports[`lb:policy/${name}`];
const memory = () => new DataView(instance.exports.memory.buffer);
const room = (size) => instance.exports.cabi_realloc(0, 0, 8, size);

// Answers whether the settings are fine.
function configure(first) {
  const [setting, name] = [room(24), room(5)];
  new Uint8Array(instance.exports.memory.buffer).set(new TextEncoder().encode('first'), name);
  memory().setUint32(setting, name, true);
  memory().setUint32(setting + 4, 5, true);
  memory().setUint8(setting + 8, 1);
  memory().setBigInt64(setting + 16, BigInt(first), true);
  return memory().getUint8(exported('setup@0.1.0#configure')(setting, 1, 0, 0)) === 0;
}

function update(count) {
  const at = room(count * 8);
  for (let server = 0; server < count; server++) {
    memory().setUint32(at + server * 8, server, true);
    memory().setUint32(at + server * 8 + 4, 1, true);
  }
  exported('balancer@0.1.0#update')(at, count);
}

function pick(sequence) {
  const at = exported('balancer@0.1.0#pick')(BigInt(sequence), 0n, 0, 192, 0, 2, 7, 0, 0, 0, 0, 0, 0);
  return memory().getUint8(at) === 1 ? memory().getUint32(at + 4, true) : undefined;
}

test('takes the candidates in turn', () => {
  assert.equal(configure(1), true);
  update(3);
  assert.deepEqual([0, 1, 2, 3].map(pick), [1, 2, 0, 1]);
});

test('refuses a negative first', () => {
  assert.equal(configure(-1), false);
});
