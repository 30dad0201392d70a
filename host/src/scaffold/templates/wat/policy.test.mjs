// Calls the module as the host does: node --test
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

const { instance } = await WebAssembly.instantiate(readFileSync(new URL('{{name}}.wasm', import.meta.url)));
const exported = (name) => instance.exports[`lb:policy/${name}`];
const memory = () => new DataView(instance.exports.memory.buffer);
const text = (at) => {
  const bytes = new Uint8Array(instance.exports.memory.buffer, memory().getUint32(at, true), memory().getUint32(at + 4, true));
  return new TextDecoder().decode(bytes);
};

function update(candidates) {
  const at = instance.exports.cabi_realloc(0, 0, 4, candidates.length * 8);
  candidates.forEach(({ server, weight }, index) => {
    memory().setUint32(at + index * 8, server, true);
    memory().setUint32(at + index * 8 + 4, weight, true);
  });
  exported('balancer@0.1.0#update')(at, candidates.length);
}

function pick(sequence, failed) {
  const client = [0, 192, 0, 2, 7, 0, 0, 0, 0];
  const retry = failed === undefined ? [0, 0] : [1, failed];
  const at = exported('balancer@0.1.0#pick')(BigInt(sequence), 0n, ...client, ...retry);
  return memory().getUint8(at) === 1 ? memory().getUint32(at + 4, true) : undefined;
}

test('says what it is', () => {
  const at = exported('setup@0.1.0#describe')();
  assert.equal(text(at), '{{name}}');
  assert.equal(text(at + 8), '0.1.0');
  assert.equal(text(at + 16), 'each server in its turn');
});

test('takes the candidates in turn', () => {
  update([0, 1, 2].map((server) => ({ server, weight: 1 })));
  assert.deepEqual([0, 1, 2, 3].map((sequence) => pick(sequence)), [0, 1, 2, 0]);
});

test('takes a list that does not fit into its first memory', () => {
  update(Array.from({ length: 50000 }, (_, server) => ({ server, weight: 1 })));
  assert.equal(pick(49999), 49999);
});
