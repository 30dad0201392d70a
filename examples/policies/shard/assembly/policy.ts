// shard: what is below the same path prefix goes to the same server, whose cache then holds it.
//
// The first `depth` segments of the path are hashed with each server's name, and the highest hash wins (rendezvous
// hashing, Thaler and Ravishankar 1998): where a server comes or goes, only its own share of the paths moves.

import { Candidate, Description, Kind, Refusal, request, Server, Setting, Value } from "./lb";

let depth: i32 = 1;
// The hashes of all servers' names, and of the candidates'.
let names: StaticArray<u64> = [];
let candidates: StaticArray<u64> = [];

export function describe(): Description {
  const setting = new Setting("depth", Kind.integer, "How many segments of the path count, 1 to 16.");
  const value = new Value();
  value.integer = 1;
  setting.default = value;
  const description = new Description("shard", "1.0.0", "the same path prefix, the same server");
  description.settings = [setting];
  return description;
}

export function configure(settings: Map<string, Value>, servers: Server[]): Refusal | null {
  const value = settings.get("depth").integer;
  if (value < 1 || value > 16) return new Refusal("depth", "must be from 1 to 16");
  depth = <i32>value;
  names = new StaticArray<u64>(servers.length);
  for (let i = 0; i < servers.length; i++) names[i] = hash(servers[i].name);
  return null;
}

export function update(all: Candidate[]): void {
  candidates = new StaticArray<u64>(all.length);
  for (let i = 0; i < all.length; i++) candidates[i] = names[all[i].server];
}

export function pick(sequence: u64, timeMs: u64, failed: i32): i32 {
  const shard = hash(prefix(request.path()));
  let picked = -1;
  let best: u64 = 0;
  for (let i = 0; i < candidates.length; i++) {
    if (i == failed && candidates.length > 1) continue;
    const score = stirred(shard ^ candidates[i]);
    if (picked < 0 || score > best) {
      picked = i;
      best = score;
    }
  }
  return picked;
}

// "/a/b/c" of depth 2 is "/a/b", and so is "/a/b".
function prefix(path: string): string {
  let end = 0;
  for (let segments = 0; segments < depth; segments++) {
    end = path.indexOf("/", end + 1);
    if (end < 0) return path;
  }
  return path.substring(0, end);
}

// FNV-1a.
function hash(text: string): u64 {
  let hash: u64 = 0xcbf29ce484222325;
  for (let i = 0; i < text.length; i++) hash = (hash ^ <u64>text.charCodeAt(i)) * 0x100000001b3;
  return stirred(hash);
}

function stirred(hash: u64): u64 {
  hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93;
  hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93;
  return hash ^ (hash >> 32);
}
