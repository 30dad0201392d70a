// What lies between the policy and its host: the types of wit/, how they are read from memory and written to it, and the
// functions to ask the host.

@external("lb:policy/request@0.1.0", "method") declare function requestMethod(answer: usize): void;
@external("lb:policy/request@0.1.0", "path") declare function requestPath(answer: usize): void;
@external("lb:policy/request@0.1.0", "query") declare function requestQuery(answer: usize): void;
@external("lb:policy/request@0.1.0", "authority") declare function requestAuthority(answer: usize): void;
@external("lb:policy/request@0.1.0", "header") declare function requestHeader(name: usize, length: usize, answer: usize): void;
@external("lb:policy/request@0.1.0", "cookie") declare function requestCookie(name: usize, length: usize, answer: usize): void;
@external("lb:policy/candidates@0.1.0", "load") declare function candidatesLoad(candidate: u32): u32;
@external("lb:policy/candidates@0.1.0", "loads") declare function candidatesLoads(answer: usize): void;
@external("lb:policy/log@0.1.0", "write") declare function logWrite(level: u32, message: usize, length: usize): void;

// Where the host puts an answer of more than one number.
const answer = memory.data(16, 8);

/** The request being decided on: during `pick`. */
export namespace request {
  export function method(): string {
    requestMethod(answer);
    return text(answer);
  }
  export function path(): string {
    requestPath(answer);
    return text(answer);
  }
  export function authority(): string {
    requestAuthority(answer);
    return text(answer);
  }
  export function query(): string | null {
    requestQuery(answer);
    return optionalText(answer);
  }
  export function header(name: string): string | null {
    const bytes = String.UTF8.encode(name);
    requestHeader(changetype<usize>(bytes), bytes.byteLength, answer);
    return optionalText(answer);
  }
  export function cookie(name: string): string | null {
    const bytes = String.UTF8.encode(name);
    requestCookie(changetype<usize>(bytes), bytes.byteLength, answer);
    return optionalText(answer);
  }
}

/** The candidates' loads: during `pick`. */
export namespace candidates {
  export function load(candidate: u32): u32 {
    return candidatesLoad(candidate);
  }
  export function loads(): StaticArray<u32> {
    candidatesLoads(answer);
    const list = load_list(answer);
    const loads = new StaticArray<u32>(list.length);
    memory.copy(changetype<usize>(loads), list.at, <usize>list.length * 4);
    return loads;
  }
}

export enum Level { debug, info, warn, error }

/** Writes a line to the host's log. */
export function log(level: Level, message: string): void {
  const bytes = String.UTF8.encode(message);
  logWrite(level, changetype<usize>(bytes), bytes.byteLength);
}

export enum Kind { text, integer, number, boolean, duration, texts }

/** A setting's value: the field of its kind. */
export class Value {
  text: string = "";
  integer: i64 = 0;
  number: f64 = 0;
  boolean: bool = false;
  texts: string[] = [];
}

export class Setting {
  default: Value | null = null;
  required: bool = false;
  choices: string[] = [];
  constructor(public name: string, public kind: Kind, public doc: string) {}
}

export class Description {
  settings: Setting[] = [];
  constructor(public name: string, public version: string, public summary: string) {}
}

export class Server {
  name: string = "";
  address: string = "";
  weight: u32 = 0;
  cookie: string | null = null;
  labels: Map<string, string> = new Map();
}

export class Candidate {
  constructor(public server: u32, public weight: u32) {}
}

export class Refusal {
  constructor(public setting: string | null, public message: string) {}
}

// What a string, list or flag is in memory.

class List {
  constructor(public at: usize, public length: i32) {}
}

function load_list(at: usize): List {
  return new List(load<u32>(at), load<u32>(at, 4));
}

function text(at: usize): string {
  return String.UTF8.decodeUnsafe(load<u32>(at), load<u32>(at, 4));
}

function optionalText(at: usize): string | null {
  return load<u8>(at) ? text(at + 4) : null;
}

function texts(at: usize): string[] {
  const list = load_list(at);
  const all: string[] = [];
  for (let i = 0; i < list.length; i++) all.push(text(list.at + <usize>i * 8));
  return all;
}

/** The settings handed to `configure`, by name. */
export function readSettings(at: usize, length: i32): Map<string, Value> {
  const settings = new Map<string, Value>();
  for (let i = 0; i < length; i++, at += 24) {
    const value = new Value();
    const field = at + 16;
    switch (load<u8>(at, 8)) {
      case 0: value.text = text(field); break;
      case 1: value.integer = load<i64>(field); break;
      case 2: value.number = load<f64>(field); break;
      case 3: value.boolean = load<u8>(field) != 0; break;
      default: value.texts = texts(field);
    }
    settings.set(text(at), value);
  }
  return settings;
}

/** The servers handed to `configure`. */
export function readServers(at: usize, length: i32): Server[] {
  const servers: Server[] = [];
  for (let i = 0; i < length; i++, at += 40) {
    const server = new Server();
    server.name = text(at);
    server.address = text(at + 8);
    server.weight = load<u32>(at, 16);
    server.cookie = optionalText(at + 20);
    const labels = load_list(at + 32);
    for (let j = 0; j < labels.length; j++) {
      const label = labels.at + <usize>j * 16;
      server.labels.set(text(label), text(label + 8));
    }
    servers.push(server);
  }
  return servers;
}

/** The candidates handed to `update`. */
export function readCandidates(at: usize, length: i32): Candidate[] {
  const candidates: Candidate[] = [];
  for (let i = 0; i < length; i++, at += 8) candidates.push(new Candidate(load<u32>(at), load<u32>(at, 4)));
  return candidates;
}

// What is written stays for as long as the instance lives: descriptions and refusals are few.

function writeText(at: usize, text: string): void {
  const length = String.UTF8.byteLength(text);
  const bytes = heap.alloc(length);
  String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, bytes);
  store<u32>(at, bytes);
  store<u32>(at, length, 4);
}

function writeTexts(at: usize, all: string[]): void {
  const items = heap.alloc(<usize>all.length * 8);
  for (let i = 0; i < all.length; i++) writeText(items + <usize>i * 8, all[i]);
  store<u32>(at, items);
  store<u32>(at, all.length, 4);
}

function writeValue(at: usize, kind: Kind, value: Value): void {
  switch (kind) {
    case Kind.text: store<u8>(at, 0); writeText(at + 8, value.text); break;
    case Kind.number: store<u8>(at, 2); store<f64>(at, value.number, 8); break;
    case Kind.boolean: store<u8>(at, 3); store<u8>(at, value.boolean, 8); break;
    case Kind.texts: store<u8>(at, 4); writeTexts(at + 8, value.texts); break;
    default: store<u8>(at, 1); store<i64>(at, value.integer, 8);
  }
}

function room(size: usize): usize {
  const at = heap.alloc(size);
  memory.fill(at, 0, size);
  return at;
}

/** The answer of `describe`. */
export function writeDescription(description: Description): usize {
  const at = room(32);
  writeText(at, description.name);
  writeText(at + 8, description.version);
  writeText(at + 16, description.summary);
  let setting = room(<usize>description.settings.length * 64);
  store<u32>(at, setting, 24);
  store<u32>(at, description.settings.length, 28);
  for (let i = 0; i < description.settings.length; i++, setting += 64) {
    const said = description.settings[i];
    const value = said.default;
    writeText(setting, said.name);
    store<u8>(setting, said.kind, 8);
    store<u8>(setting, value !== null, 16);
    if (value) writeValue(setting + 24, said.kind, value);
    store<u8>(setting, said.required, 40);
    writeTexts(setting + 44, said.choices);
    writeText(setting + 52, said.doc);
  }
  return at;
}

/** The answer of `configure`: a refusal, or none. */
export function writeRefusal(refusal: Refusal | null): usize {
  const at = room(24);
  if (!refusal) return at;
  store<u8>(at, 1);
  const setting = refusal.setting;
  store<u8>(at, setting !== null, 4);
  if (setting) writeText(at + 8, setting);
  writeText(at + 16, refusal.message);
  return at;
}

const picked = memory.data(8, 4);

/** The answer of `pick`: an index, or below 0 for none. */
export function writePick(candidate: i32): usize {
  store<u8>(picked, candidate >= 0);
  store<u32>(picked, candidate, 4);
  return picked;
}

// What the host hands over in a call is freed when the call ends.

const handed: usize[] = [];

/** Gives the host memory for what it hands over. */
export function hand(size: usize): usize {
  const at = heap.alloc(size);
  handed.push(at);
  return at;
}

/** Frees what was handed over in this call. */
export function release(): void {
  for (let i = 0; i < handed.length; i++) heap.free(handed[i]);
  handed.length = 0;
}
