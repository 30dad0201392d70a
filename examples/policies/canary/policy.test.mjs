// Runs the policy in Node.js, with a request of the test's own in place of the host's: npm test
import assert from 'node:assert/strict';
import { register } from 'node:module';
import test from 'node:test';

const host = 'data:text/javascript,export const header = (name) => globalThis.headers[name];';
register(`data:text/javascript,${encodeURIComponent(`export const resolve = (name, context, next) =>
  name.startsWith('lb:policy/') ? { url: ${JSON.stringify(host)}, shortCircuit: true } : next(name, context);`)}`);
const { balancer, setup } = await import('./policy.js');

const servers = ['canary', 'stable', 'stable'].map((track) => ({ labels: [['track', track]] }));
const all = servers.map((_, server) => ({ server, weight: 1 }));
const configure = (percent) =>
  setup.configure([['header', { tag: 'text', val: 'x-user' }], ['percent', { tag: 'number', val: percent }]], servers);
const pick = (user, sequence = 0) => {
  globalThis.headers = user === undefined ? {} : { 'x-user': user };
  return balancer.pick({ sequence });
};

test('the share of users is about right, and of requests without a user', () => {
  configure(20);
  balancer.update(all);
  const users = Array.from({ length: 10000 }, (_, i) => pick(`user-${i}`));
  const turns = Array.from({ length: 10000 }, (_, i) => pick(undefined, i));
  for (const picks of [users, turns]) {
    const canaries = picks.filter((server) => server === 0).length;
    assert.ok(canaries > 1800 && canaries < 2200, `${canaries} of 10000`);
    const [b, c] = [1, 2].map((server) => picks.filter((other) => other === server).length);
    assert.ok(Math.abs(b - c) < 600, `${b} and ${c}`);
  }
});

test('a user stays, whatever the turn', () => {
  configure(20);
  balancer.update(all);
  for (let i = 0; i < 100; i++) assert.equal(pick(`user-${i}`, i), pick(`user-${i}`, i + 1));
});

test('one track takes over where the other has no candidate', () => {
  configure(20);
  balancer.update([{ server: 0, weight: 1 }]);
  assert.ok(Array.from({ length: 100 }, (_, i) => pick(`user-${i}`)).every((index) => index === 0));
});

test('refuses a share beyond 100', () => {
  assert.throws(() => configure(101), ({ payload }) => payload.setting === 'percent');
});
