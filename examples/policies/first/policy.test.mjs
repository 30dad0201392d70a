// Calls the module as the host does: node --test
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

const { instance } = await WebAssembly.instantiate(readFileSync(new URL('first.wasm', import.meta.url)));
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
  assert.equal(text(at), 'first');
  assert.equal(text(at + 8), '0.1.0');
  assert.equal(text(at + 16), 'the first server that has not failed');
});

test('takes the first candidate, whatever the turn', () => {
  update([0, 1, 2].map((server) => ({ server, weight: 1 })));
  assert.deepEqual([0, 1, 2].map((sequence) => pick(sequence)), [0, 0, 0]);
});

test('takes the second where the first has failed, and the first where another has', () => {
  update([0, 1, 2].map((server) => ({ server, weight: 1 })));
  assert.deepEqual([pick(0, 0), pick(0, 1), pick(0, 2)], [1, 0, 0]);
});

test('takes the only one, failed or not', () => {
  update([{ server: 0, weight: 1 }]);
  assert.equal(pick(0, 0), 0);
});
