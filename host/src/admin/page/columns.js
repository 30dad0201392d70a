// What stands in the tables: one entry a column, and what a server's details say.

/** A cell's class by its figure: nothing to see, alarming, or neither. */
const alarming = (value) => (value > 0 ? "hot" : "zero");

/** Responses with 5xx and attempts that failed: what somebody has to look after. */
function failures(counters) {
  return (counters.responses?.["5xx"] ?? 0) + (counters.errors?.connect ?? 0) + (counters.errors?.response ?? 0);
}

/** The counters that rates are computed from. */
function counters(thing) {
  return {
    requests: thing.requests, failed: failures(thing), bytes_in: thing.bytes_in, bytes_out: thing.bytes_out, ...timed(thing.times),
  };
}

const sessions = (thing) => [count(thing.sessions.current), `max ${count(thing.sessions.max)}${limit(thing.sessions.limit)}`];
const isFull = (gauge) => (gauge.limit && gauge.current >= gauge.limit ? "full" : gauge.current === 0 ? "zero" : "");
const perSecond = (rate, total) => [count(rate), `${count(total)} in all`];

const SERVER_COLUMNS = [
  { label: "Server", under: "address", text: true, sort: ({ server }) => server.name,
    cells: ({ server }) => [server.name, server.address + (server.backup ? " · backup" : "")] },
  { label: "State", under: "since", text: true, kind: "state", sort: ({ server }) => looks(server).words,
    fill: (cell, { server, now }) => {
      showState(cell.main, looks(server));
      text(cell.under, server.since_ms === null ? "" : `for ${lasting(now - server.since_ms)}`);
    } },
  { label: "Health", under: "last hour, last check", text: true, kind: "wide", sort: ({ server }) => server.downs,
    make: (cell) => {
      cell.strip = makeStrip();
      cell.under.className = "check";
      cell.node.append(cell.strip.node, cell.under);
    },
    fill: (cell, { server, now, started }) => {
      strip(cell.strip, server, started, now);
      const check = server.check;
      text(cell.under, !check ? "not checked" : check.result ? `${check.result}, ${time(check.took_ms)}` : "not checked yet");
      attribute(cell.under, "title", check?.result ?? "");
    } },
  { label: "Weight", sort: ({ server }) => server.weight, cells: ({ server }) => [count(server.weight), ""] },
  { label: "Sessions", under: "most, limit", sort: ({ server }) => server.sessions.current,
    cells: ({ server }) => sessions(server), mark: ({ server }) => isFull(server.sessions) },
  { label: "Queue", under: "most", sort: ({ server }) => server.queue.current,
    cells: ({ server }) => [count(server.queue.current), `max ${count(server.queue.max)}`], mark: ({ server }) => alarming(server.queue.current) },
  { label: "Requests/s", under: "in all", sort: ({ rates }) => rates.now.requests ?? 0,
    cells: ({ server, rates }) => perSecond(rates.now.requests, server.requests), mark: ({ rates }) => (rates.now.requests ? "" : "zero") },
  { label: "Time", under: "to connect", sort: ({ server, rates }) => mean(rates, "response", server.times),
    cells: ({ server, rates }) => [time(mean(rates, "response", server.times)), `connect ${time(mean(rates, "connect", server.times))}`] },
  { label: "Errors/s", under: "5xx, connect, response", sort: ({ rates, server }) => (rates.now.failed ?? 0) * 1e9 + failures(server),
    cells: ({ server, rates }) => [count(rates.now.failed), `${count(server.responses["5xx"])} · ${count(server.errors.connect)} · ${count(server.errors.response)}`],
    mark: ({ rates }) => alarming(rates.now.failed) },
  { label: "Retries", under: "sent elsewhere", sort: ({ server }) => server.retries,
    cells: ({ server }) => [count(server.retries), count(server.redispatches)], mark: ({ server }) => (server.retries ? "" : "zero") },
  { label: "Out/s", under: "in/s", sort: ({ rates }) => rates.now.bytes_out ?? 0,
    cells: ({ rates }) => [bytes(rates.now.bytes_out), bytes(rates.now.bytes_in)], mark: ({ rates }) => (rates.now.bytes_out ? "" : "zero") },
];

const FRONTEND_COLUMNS = [
  { label: "Frontend", under: "listens on", text: true, sort: ({ frontend }) => frontend.name,
    cells: ({ frontend }) => [frontend.name, frontend.addresses.join(", ")] },
  { label: "Connections", under: "most, limit", sort: ({ frontend }) => frontend.connections.current,
    cells: ({ frontend }) => sessions({ sessions: frontend.connections }), mark: ({ frontend }) => isFull(frontend.connections) },
  { label: "New/s", under: "in all", sort: ({ rates }) => rates.now.connections ?? 0,
    cells: ({ frontend, rates }) => perSecond(rates.now.connections, frontend.connections.total), mark: ({ rates }) => (rates.now.connections ? "" : "zero") },
  { label: "Requests/s", under: "in all", sort: ({ rates }) => rates.now.requests ?? 0,
    cells: ({ frontend, rates }) => perSecond(rates.now.requests, frontend.requests), mark: ({ rates }) => (rates.now.requests ? "" : "zero") },
  { label: "2xx, 3xx", under: "4xx, 5xx", sort: ({ frontend }) => frontend.responses["5xx"],
    cells: ({ frontend: { responses } }) => [`${count(responses["2xx"])} · ${count(responses["3xx"])}`, `${count(responses["4xx"])} · ${count(responses["5xx"])}`] },
  { label: "5xx/s", under: "refused, bad requests", sort: ({ rates }) => rates.now.failed ?? 0,
    cells: ({ frontend, rates }) => [count(rates.now.failed), `${count(frontend.denied)} · ${count(frontend.errors.request)}`],
    mark: ({ rates }) => alarming(rates.now.failed) },
  { label: "Out/s", under: "in all", sort: ({ rates }) => rates.now.bytes_out ?? 0,
    cells: ({ frontend, rates }) => [bytes(rates.now.bytes_out), bytes(frontend.bytes_out)], mark: ({ rates }) => (rates.now.bytes_out ? "" : "zero") },
  { label: "In/s", under: "in all", sort: ({ rates }) => rates.now.bytes_in ?? 0,
    cells: ({ frontend, rates }) => [bytes(rates.now.bytes_in), bytes(frontend.bytes_in)], mark: ({ rates }) => (rates.now.bytes_in ? "" : "zero") },
];

const LIMIT_COLUMNS = [
  { label: "Limit", under: "of", text: true, sort: ({ limit }) => limit.name,
    cells: ({ limit }) => [limit.name, `${limit.section} ${limit.proxy}`] },
  { label: "Passed/s", under: "in all", sort: ({ rates }) => rates.now.passed ?? 0,
    cells: ({ limit, rates }) => perSecond(rates.now.passed, limit.passed), mark: ({ rates }) => (rates.now.passed ? "" : "zero") },
  { label: "Over it/s", under: "refused, only counted", sort: ({ rates }) => rates.now.over ?? 0,
    cells: ({ limit, rates }) => [count(rates.now.over), `${count(limit.refused)} · ${count(limit.dry_run_refused)}`], mark: ({ rates }) => (rates.now.over ? "" : "zero") },
  { label: "Keys", under: "room for", sort: ({ limit }) => limit.keys,
    cells: ({ limit }) => [count(limit.keys), count(limit.keys_limit)], mark: ({ limit }) => (limit.keys ? "" : "zero") },
];

const POLICY_COLUMNS = [
  { label: "Policy", under: "backend, role", text: true, sort: ({ policy }) => policy.backend,
    cells: ({ policy }) => [policy.name, `${policy.backend}, ${policy.role}`] },
  { label: "State", text: true, kind: "state", sort: ({ policy }) => (policy.benched ? "benched" : "serves"),
    fill: (cell, { policy }) => showState(cell.main, policyLooks(policy)) },
  { label: "Decisions/s", under: "in all", sort: ({ rates }) => rates.now.decisions ?? 0,
    cells: ({ policy, rates }) => perSecond(rates.now.decisions, policy.decisions), mark: ({ rates }) => (rates.now.decisions ? "" : "zero") },
  { label: "Time", under: "of a call", sort: ({ policy }) => callTime(policy) ?? 0, cells: ({ policy }) => [time(callTime(policy)), ""] },
  { label: "Passed on", under: "answers reused", sort: ({ policy }) => policy.passes,
    cells: ({ policy }) => [count(policy.passes), count(policy.reused)], mark: ({ policy }) => (policy.passes ? "" : "zero") },
  { label: "Faults", under: "the host chose", sort: ({ policy }) => policy.faults.total,
    cells: ({ policy }) => [count(policy.faults.total), count(policy.fallbacks)], mark: ({ policy }) => alarming(policy.faults.total) },
  { label: "Benched", under: "instances made", sort: ({ policy }) => policy.benches,
    cells: ({ policy }) => [count(policy.benches), count(policy.instances)], mark: ({ policy }) => alarming(policy.benches) },
];

const callTime = ({ times: { call } }) => (call.count ? call.sum_ms / call.count : null);

function policyLooks(policy) {
  return policy.benched
    ? { kind: "down", shape: "down", words: "benched" }
    : { kind: "up", shape: "up", words: "serves" };
}

/** Everything that is known of a server, under its row. */
function serverDetails(cell, { server }) {
  const check = server.check;
  const facts = [
    ["Requests", `${count(server.requests)} in all`],
    ["Responses", Object.entries(server.responses).map(([name, many]) => `${name}\u00a0${count(many)}`).join(", ")],
    ["Sessions", `${count(server.sessions.current)} now, at most ${count(server.sessions.max)}${limit(server.sessions.limit)}`],
    ["Bytes", `${bytes(server.bytes_in)} in, ${bytes(server.bytes_out)} out`],
    ["Errors", `${count(server.errors.connect)} connecting, ${count(server.errors.response)} in responses`],
    ["Retries", `${count(server.retries)}, ${count(server.redispatches)} to another server`],
    ["Last check", check?.result ? `${check.result}, in ${time(check.took_ms)}` : check ? "none yet" : "it is not checked"],
    ["Checks", check ? `${count(check.total)}, ${count(check.failed)} failed` : NONE],
    ["Went DOWN", `${many(server.downs, "time")}, ${lasting(server.down_ms)} in all`],
    ["Circuit breaker", server.circuit ?? "it has none"],
    ["Clients broke off", count(server.aborts.client)],
    ["Server broke off", count(server.aborts.server)],
    ["Connections", `${count(server.connects)} opened, ${count(server.reuses)} requests over open ones`],
    ["Times", Object.entries(server.times).map(([name, all]) => `${name}\u00a0${time(all.count ? all.sum_ms / all.count : null)}`).join(", ")],
  ];
  const nodes = facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  const history = [...server.history].reverse().map((mark) => make("li", {}, `${new Date(mark.at_ms).toLocaleString()} ${mark.up ? "UP" : "DOWN"}: ${mark.cause}`));
  const parts = [make("dl", {}, ...nodes)];
  if (history.length > 0) parts.push(make("ol", {}, ...history));
  cell.replaceChildren(...parts);
}
