// Calls the built module as the host does: npm test
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

// The host's side: the path of the request, handed over as a string in memory of the module's.
let path = '/';
const none = new Proxy({}, { get: () => () => 0 });
const request = {
  path: (answer) => {
    const text = new TextEncoder().encode(path);
    const at = room(text.length);
    new Uint8Array(instance.exports.memory.buffer).set(text, at);
    memory().setUint32(answer, at, true);
    memory().setUint32(answer + 4, text.length, true);
  },
};
const imports = new Proxy({}, { get: (_, name) => (name === 'lb:policy/request@0.1.0' ? request : none) });
const bytes = readFileSync(new URL('shard.wasm', import.meta.url));
const { instance } = await WebAssembly.instantiate(bytes, imports);
const exported = (name) => instance.exports[`lb:policy/${name}`];
const memory = () => new DataView(instance.exports.memory.buffer);
const room = (size) => instance.exports.cabi_realloc(0, 0, 8, size);

function text(at, string) {
  const bytes = new TextEncoder().encode(string);
  const data = room(bytes.length);
  new Uint8Array(instance.exports.memory.buffer).set(bytes, data);
  memory().setUint32(at, data, true);
  memory().setUint32(at + 4, bytes.length, true);
}

// Answers whether the settings are fine.
function configure(depth, servers) {
  const setting = room(24);
  text(setting, 'depth');
  memory().setUint8(setting + 8, 1);
  memory().setBigInt64(setting + 16, BigInt(depth), true);
  const list = room(servers * 40);
  new Uint8Array(instance.exports.memory.buffer).fill(0, list, list + servers * 40);
  for (let server = 0; server < servers; server++) text(list + server * 40, `s${server}`);
  return memory().getUint8(exported('setup@0.1.0#configure')(setting, 1, list, servers)) === 0;
}

function update(count) {
  const at = room(count * 8);
  for (let server = 0; server < count; server++) {
    memory().setUint32(at + server * 8, server, true);
    memory().setUint32(at + server * 8 + 4, 1, true);
  }
  exported('balancer@0.1.0#update')(at, count);
}

function pick(of, failed) {
  path = of;
  const retry = failed === undefined ? [0, 0] : [1, failed];
  const at = exported('balancer@0.1.0#pick')(0n, 0n, 0, 192, 0, 2, 7, 0, 0, 0, 0, ...retry);
  return memory().getUint8(at) === 1 ? memory().getUint32(at + 4, true) : undefined;
}

const paths = Array.from({ length: 3000 }, (_, i) => `/album-${i}/photo`);

test('what is below the same prefix goes to the same server', () => {
  configure(2, 3);
  update(3);
  assert.equal(pick('/a/b/c'), pick('/a/b'));
  assert.equal(pick('/a/b/d/e'), pick('/a/b'));
  assert.ok(paths.some((path) => pick(path) !== pick('/a/b')));
});

test('servers get about equal shares', () => {
  configure(1, 3);
  update(3);
  const picks = paths.map((path) => pick(path));
  for (const server of [0, 1, 2]) {
    const share = picks.filter((other) => other === server).length;
    assert.ok(share > 850 && share < 1150, `${share} of 3000`);
  }
});

test('only the paths of a server that leaves move', () => {
  configure(1, 3);
  update(3);
  const before = paths.map((path) => pick(path));
  update(2);
  paths.forEach((path, i) => before[i] < 2 && assert.equal(pick(path), before[i]));
});

test('a retry goes elsewhere', () => {
  configure(1, 3);
  update(3);
  const first = pick('/a');
  assert.notEqual(pick('/a', first), first);
});

test('memory does not grow with the number of picks', () => {
  configure(1, 3);
  update(3);
  for (let i = 0; i < 100000; i++) pick(paths[i % paths.length]);
  assert.ok(instance.exports.memory.buffer.byteLength < 4 << 20, `${instance.exports.memory.buffer.byteLength} bytes`);
});

test('refuses a depth beyond 16', () => {
  assert.equal(configure(17, 3), false);
});
