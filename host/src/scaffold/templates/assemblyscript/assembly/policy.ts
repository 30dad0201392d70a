// {{name}}: each candidate in its turn, beginning with the one that the setting `first` says.

import { Candidate, Description, Kind, Refusal, Server, Setting, Value } from "./lb";

let first: u64 = 0;
let count: u64 = 0;

export function describe(): Description {
  const setting = new Setting("first", Kind.integer, "Which server is the first to be picked, counted from 0.");
  setting.default = new Value();
  const description = new Description("{{name}}", "0.1.0", "each server in its turn");
  description.settings = [setting];
  return description;
}

/** Answers what is wrong with the settings, or null. */
export function configure(settings: Map<string, Value>, servers: Server[]): Refusal | null {
  const value = settings.get("first").integer;
  if (value < 0) return new Refusal("first", "must be 0 or more");
  first = value;
  return null;
}

export function update(candidates: Candidate[]): void {
  count = candidates.length;
}

/** An index into the candidates; -1 passes to the next policy. `failed` is the candidate that failed last, or -1. */
export function pick(sequence: u64, timeMs: u64, failed: i32): i32 {
  return count == 0 ? -1 : <i32>((sequence + first) % count);
}
