// Figures: how they read, and what two looks at the counters come to. Nothing here knows the page.

"use strict";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const NONE = "–";

/** 7, 0.4, 1,234, 56.7 k, 8.9 M. */
function count(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  if (value < 10) return oneDigit.format(value);
  if (value < 10_000) return whole.format(value);
  for (const unit of ["k", "M", "G", "T"]) {
    value /= 1000;
    if (value < 1000) return `${(value < 100 ? oneDigit : whole).format(value)} ${unit}`;
  }
  return `${whole.format(value)} T`;
}

function bytes(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  if (value < 1000) return `${whole.format(value)} B`;
  for (const unit of ["kB", "MB", "GB", "TB"]) {
    value /= 1000;
    if (value < 1000) return `${(value < 100 ? oneDigit : whole).format(value)} ${unit}`;
  }
  return `${whole.format(value)} PB`;
}

/** Milliseconds as a time that a reader takes in at once. */
function time(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NONE;
  if (ms === 0) return "0 ms";
  if (ms < 0.1) return `${whole.format(ms * 1000)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${whole.format(ms)} ms`;
  return `${oneDigit.format(ms / 1000)} s`;
}

/** How long something has lasted, in its two greatest units. */
function lasting(ms) {
  let seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const units = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];
  const parts = [];
  for (const [unit, size] of units) {
    const many = Math.floor(seconds / size);
    seconds -= many * size;
    if (many > 0) parts.push(`${many} ${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

function clock(ms) {
  return new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}

/** What comes after a figure that has a bound. */
function limit(value) {
  return value === null || value === undefined ? ", no limit" : ` of ${count(value)}`;
}

/** `1 server`, `2 servers`. */
function many(number, one, more = `${one}s`) {
  return `${whole.format(number)} ${number === 1 ? one : more}`;
}

const LIVE_FOR = 120_000;

/** What is kept of the last two minutes: one number a look, `null` where there was none. */
class Trail {
  constructor() {
    this.points = [];
  }

  add(at, value) {
    this.points.push([at, value]);
    while (this.points.length > 0 && this.points[0][0] < at - LIVE_FOR - 15_000) this.points.shift();
  }

  bounds() {
    const values = this.points.map((point) => point[1]).filter((value) => value !== null);
    return values.length === 0 ? [null, null] : [Math.min(...values), Math.max(...values)];
  }
}

/** The rates of one thing's counters: a second's worth of what has come since the look before. */
class Rates {
  constructor() {
    this.before = null;
    this.at = 0;
    this.now = {};
    this.trails = {};
  }

  /** Takes in counters; `made` is the time at which the program read them. */
  take(made, counters) {
    const seconds = (made - this.at) / 1000;
    const now = {};
    for (const [name, value] of Object.entries(counters)) {
      const before = this.before === null ? null : this.before[name];
      // A counter that ran backwards began anew: the program was started again, or the thing is another one.
      const known = seconds > 0 && typeof before === "number" && typeof value === "number" && value >= before;
      now[name] = known ? (value - before) / seconds : null;
    }
    this.before = counters;
    this.at = made;
    this.now = now;
    return now;
  }

  trail(name) {
    this.trails[name] ??= new Trail();
    return this.trails[name];
  }
}

/** The mean of what was timed since the look before; of all of it where nothing was. */
function mean(rates, name, times) {
  const timed = times?.[name];
  if (!timed || timed.count === 0) return null;
  const per = rates.now[`${name}_count`];
  return per ? rates.now[`${name}_ms`] / per : timed.sum_ms / timed.count;
}

/** The counters that times are computed from. */
function timed(times) {
  const counters = {};
  for (const [name, value] of Object.entries(times ?? {})) {
    counters[`${name}_count`] = value.count;
    counters[`${name}_ms`] = value.sum_ms;
  }
  return counters;
}
