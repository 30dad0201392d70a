// The exports of the component. exports.mjs gives them the names by which the host knows them.

import { hand, readCandidates, readServers, readSettings, release, writeDescription, writePick, writeRefusal } from "./lb";
import * as policy from "./policy";

export function describe(): usize {
  return writeDescription(policy.describe());
}

export function configure(settings: usize, settingsLength: i32, servers: usize, serversLength: i32): usize {
  const refusal = policy.configure(readSettings(settings, settingsLength), readServers(servers, serversLength));
  release();
  return writeRefusal(refusal);
}

export function update(candidates: usize, length: i32): void {
  policy.update(readCandidates(candidates, length));
  release();
}

export function pick(
  sequence: u64, timeMs: u64,
  family: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32, h: u32,
  isRetry: u32, failed: u32,
): usize {
  const candidate = policy.pick(sequence, timeMs, isRetry ? <i32>failed : -1);
  release();
  return writePick(candidate);
}

export function realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  return hand(size);
}

// A failed assertion or an index out of range ends here.
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}
