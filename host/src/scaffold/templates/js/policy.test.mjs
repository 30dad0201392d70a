// Runs the policy in Node.js: npm test
import assert from 'node:assert/strict';
import test from 'node:test';
import { balancer, setup } from './policy.js';

const pick = (sequence) => balancer.pick({ sequence: sequence, timeMs: 0 });

test('takes the candidates in turn', () => {
  setup.configure([['first', { tag: 'integer', val: 1 }]], []);
  balancer.update([0, 1, 2].map((server) => ({ server, weight: 1 })));
  assert.deepEqual([0, 1, 2, 3].map(pick), [1, 2, 0, 1]);
  // 2^64 - 1, as one engine and as others hand it over.
  assert.deepEqual([-1, 2n ** 64n - 1n].map(pick), [1, 1]);
});

test('refuses a negative first', () => {
  const configure = () => setup.configure([['first', { tag: 'integer', val: -1 }]], []);
  assert.throws(configure, ({ payload }) => payload.setting === 'first');
});
