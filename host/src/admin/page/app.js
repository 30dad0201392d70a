// The page: asks for the figures, keeps the rates, shows what is to be shown, and listens to its user.

const byId = (id) => document.getElementById(id);
const kept = (() => {
  // A browser may forbid to keep anything; the page works as well without.
  try { return window.localStorage; } catch { return null; }
})();

const state = { latest: null, lost: null, paused: false, filter: [], only: false, folded: new Set(), rates: new Map(), cpu: new Rates(), backends: new Map() };

/** The rates of a thing by its name; made at its first look. */
function ratesOf(key, made, now) {
  let rates = state.rates.get(key);
  if (!rates) state.rates.set(key, (rates = new Rates()));
  rates.take(made, now);
  rates.seen = made;
  return rates;
}

/** Takes in a document, and returns it with rates beside each thing. */
function take(status) {
  const made = status.made_at_ms, { process } = status;
  const view = { status, now: made, started: process.started_at_ms, frontends: [], backends: [], policies: [], limits: [] };
  view.frontends = status.frontends.map((frontend) => ({
    frontend, rates: ratesOf(`f ${frontend.name}`, made, { ...counters(frontend), connections: frontend.connections.total }) }));
  view.backends = status.backends.map((backend) => {
    const rates = ratesOf(`b ${backend.name}`, made, counters(backend));
    rates.trail("requests").add(made, rates.now.requests);
    const servers = backend.servers.map((server) => ({
      server, backend, now: made, started: view.started, rates: ratesOf(`s ${backend.name} ${server.name}`, made, counters(server)) }));
    return { backend, rates, servers };
  });
  view.limits = status.limits.map((limit) => ({
    limit, rates: ratesOf(`l ${limit.section} ${limit.proxy} ${limit.name}`, made, { passed: limit.passed, over: limit.refused + limit.dry_run_refused }) }));
  view.policies = status.policies.map((policy) => ({
    policy, rates: ratesOf(`p ${policy.backend} ${policy.role} ${policy.name}`, made, { decisions: policy.decisions }) }));
  const sum = (name) => (view.frontends.every(({ rates }) => rates.now[name] === null) ? null
    : view.frontends.reduce((total, { rates }) => total + (rates.now[name] ?? 0), 0));
  state.cpu.take(made, { cpu: process.cpu_seconds });
  view.totals = { requests: sum("requests"), failed: sum("failed"), connections: sum("connections"), bytes_in: sum("bytes_in"), bytes_out: sum("bytes_out") };
  view.response = meanOver(view.backends);
  for (const [key, rates] of state.rates) if (rates.seen !== made) state.rates.delete(key);
  return view;
}

/** The mean time of the responses since the look before, over all backends. */
function meanOver(backends) {
  let per = 0, took = 0;
  for (const { rates } of backends) {
    per += rates.now.response_count ?? 0;
    took += rates.now.response_ms ?? 0;
  }
  return per > 0 ? took / per : null;
}

const charts = {
  requests: new Chart("Requests/s", count),
  failed: new Chart("Errors/s", count, "errors"),
  connections: new Chart("Connections", count),
  response: new Chart("Response time", time),
};
const trails = Object.fromEntries(Object.keys(charts).map((name) => [name, new Trail()]));
byId("process").querySelector(".charts").append(...Object.values(charts).map((chart) => chart.node));

const figures = new Map();
function figure(name, value, under = "") {
  let parts = figures.get(name);
  if (!parts) {
    parts = { value: make("span"), under: make("small") };
    figures.set(name, parts);
    byId("process").querySelector("dl").append(make("div", {}, make("dt", {}, name), make("dd", {}, parts.value, " ", parts.under)));
  }
  text(parts.value, value);
  text(parts.under, under);
}

function showProcess({ status: { process }, totals, response, now }) {
  const { connections } = process;
  figure("Version", process.version, `pid ${process.pid}`);
  figure("Up for", lasting(now - process.started_at_ms));
  figure("Connections", count(connections.current), `max ${count(connections.max)}${limit(connections.limit)}`);
  figure("New connections/s", count(totals.connections));
  figure("Requests/s", count(totals.requests));
  figure("Errors/s", count(totals.failed));
  figure("Out/s", bytes(totals.bytes_out));
  figure("In/s", bytes(totals.bytes_in));
  figure("Processor", state.cpu.now.cpu === null ? NONE : `${whole.format((state.cpu.now.cpu ?? 0) * 100)} %`, many(process.workers, "worker"));
  figure("Memory", bytes(process.resident_bytes));
  figure("Reloads", count(process.reloads), process.failed_reloads > 0 ? `${count(process.failed_reloads)} failed` : "");
  const values = { requests: totals.requests, failed: totals.failed, connections: connections.current, response };
  for (const [name, chart] of Object.entries(charts)) {
    trails[name].add(now, values[name]);
    chart.show(trails[name], now);
  }
}

/** What is wrong, the worst first: each with a shape, words, and the section where it is seen. */
function problemsOf({ status, backends, policies }) {
  const found = [];
  const add = (kind, name, what, where, filter = "") => found.push({ kind, name, what, where, filter });
  for (const { backend } of backends) {
    if (backend.state === "DOWN") add("down", backend.name, "has no server that can serve", backend.name);
    else if (backend.circuit === "open") add("down", backend.name, `refuses requests: its circuit breaker is open (${count(backend.circuit_refused)} refused in all)`, backend.name);
    else if (backend.circuit === "half-open") add("rising", backend.name, "lets a few requests through: its circuit breaker is half-open", backend.name);
  }
  for (const { backend } of backends) {
    for (const server of backend.servers) {
      const look = looks(server);
      if (look.kind === "down") {
        const why = server.history.at(-1);
        add("down", `${backend.name}/${server.name}`, `${look.words} for ${lasting(status.made_at_ms - (server.since_ms ?? status.made_at_ms))}${why && !why.up ? `: ${why.cause}` : ""}`, backend.name, server.name);
      }
    }
  }
  for (const { policy } of policies) {
    if (policy.benched) add("down", `${policy.name}`, `is benched in ${policy.backend}: it keeps failing, and the host chooses`, null);
  }
  for (const source of status.discoveries) {
    if (source.failing_since_ms !== null) {
      add("alarm", source.backend, `cannot ask ${source.source} for servers for ${lasting(status.made_at_ms - source.failing_since_ms)}; the last ones stay: ${source.why}`, source.backend);
    }
    if (source.left_over > 0) add("alarm", source.backend, `has no slot for ${many(source.left_over, "server")} of ${source.source}`, source.backend);
  }
  for (const log of status.logs) {
    if (log.dropped > 0) add("alarm", log.destination, `${many(log.dropped, "log line")} lost: the reader is too slow, or not there`, null);
  }
  if (status.process.draining) add("alarm", "The process", "drains: it takes no new connections", null);
  if (status.process.last_reload_failed) add("alarm", "The last reload", "failed; the configuration of before is in force", null);
  for (const { backend } of backends) {
    for (const server of backend.servers) {
      if (looks(server).kind === "warn") add("falling", `${backend.name}/${server.name}`, "fails its checks, and is still UP", backend.name, server.name);
    }
    if (backend.queue.current > 0) add("alarm", backend.name, `${many(backend.queue.current, "request")} wait in its queues`, backend.name);
  }
  return found;
}

const SHOWN = 12;
function showProblems(found) {
  const list = byId("problems").querySelector("ul"), more = byId("problems").querySelector(".more");
  byId("problems").hidden = found.length === 0;
  found.slice(0, SHOWN).forEach((problem, index) => {
    let item = list.children[index];
    if (!item) {
      item = make("li", {}, make("span"), make("a"), make("span"));
      item.children[1].addEventListener("click", (event) => leadTo(event, item.problem));
      list.append(item);
    }
    item.problem = problem;
    const [mark, link, what] = item.children;
    showState(mark, { kind: problem.kind === "down" ? "down" : "warn", shape: problem.kind }, "");
    text(link, problem.name);
    attribute(link, "href", problem.where === null ? "#policies" : "#backends");
    text(what, ` ${problem.what}`);
  });
  while (list.children.length > Math.min(found.length, SHOWN)) list.lastChild.remove();
  more.hidden = found.length <= SHOWN;
  text(more, `and ${count(found.length - SHOWN)} more: “Only problems” shows them all`);
}

/** Leads from a problem to the place where it is seen. */
function leadTo(event, problem) {
  const box = problem.where === null ? null : state.backends.get(problem.where);
  if (!box) return;
  event.preventDefault();
  state.folded.delete(problem.where);
  setFilter(problem.filter ? `${problem.where}/${problem.filter}` : "");
  const target = problem.filter ? box.table.body.querySelector("button.name") : box.button;
  (target ?? box.button).focus();
  box.node.scrollIntoView();
}

function verdict(view, found) {
  const servers = view.backends.flatMap(({ backend }) => backend.servers);
  const down = servers.filter((server) => looks(server).kind === "down").length;
  const parts = [];
  if (down > 0) parts.push(`${many(down, "server")} of ${count(servers.length)} DOWN`);
  const dead = view.backends.filter(({ backend }) => backend.state === "DOWN").length;
  if (dead > 0) parts.push(`${many(dead, "backend")} without a server`);
  const refusing = view.backends.filter(({ backend }) => backend.state !== "DOWN" && backend.circuit === "open").length;
  if (refusing > 0) parts.push(`${many(refusing, "backend")} with an open circuit`);
  const benched = view.policies.filter(({ policy }) => policy.benched).length;
  if (benched > 0) parts.push(`${many(benched, "policy", "policies")} benched`);
  if (parts.length === 0 && found.length > 0) parts.push(found.length === 1 ? "One thing to look after" : "Some things to look after");
  const words = parts.length > 0 ? parts.join(", ") : `All ${many(servers.length, "server")} in order`;
  const node = byId("verdict");
  const look = parts.length > 0 ? { kind: "bad", shape: "alarm" } : { kind: "", shape: "up" };
  showState(node, look, words);
  document.title = down + dead + refusing + benched > 0 ? `(${down + dead + refusing + benched}) lb` : "lb";
}

const isProblem = ({ server, rates }) => ["down", "warn"].includes(looks(server).kind) || server.queue.current > 0 || rates.now.failed > 0;

/** Whether each word of the filter stands somewhere in these texts. */
function matches(texts) {
  const all = texts.join("\n").toLowerCase();
  return state.filter.every((word) => all.includes(word));
}

const tables = {
  frontends: new Table("Frontends", FRONTEND_COLUMNS, ({ frontend }) => frontend.name),
  limits: new Table("Limits", LIMIT_COLUMNS, ({ limit }) => `${limit.section} ${limit.proxy} ${limit.name}`),
  policies: new Table("Policies", POLICY_COLUMNS, ({ policy }) => `${policy.backend} ${policy.role} ${policy.name}`, { bad: ({ policy }) => policy.benched }),
};
byId("frontends").append(tables.frontends.node);
byId("limits").append(tables.limits.node);
byId("policies").append(tables.policies.node);

function show() {
  const view = state.latest;
  if (!view) return;
  showProcess.once !== view.now && showProcess(view);
  showProcess.once = view.now;
  const found = problemsOf(view);
  showProblems(found);
  verdict(view, found);
  const frontends = view.frontends.filter(({ frontend, rates }) => matches([frontend.name, ...frontend.addresses]) && (!state.only || rates.now.failed > 0));
  const policies = view.policies.filter(({ policy }) => matches([policy.name, policy.backend, policy.role]) && (!state.only || policy.benched || policy.faults.total > 0));
  tables.frontends.set(frontends);
  const limits = view.limits.filter(({ limit, rates }) => matches([limit.name, limit.proxy]) && (!state.only || rates.now.over > 0));
  tables.limits.set(limits);
  tables.policies.set(policies);
  byId("frontends").hidden = frontends.length === 0;
  byId("limits").hidden = limits.length === 0;
  byId("policies").hidden = policies.length === 0;
  const shown = showBackends(view);
  byId("backends").hidden = shown.boxes === 0;
  byId("nothing").hidden = frontends.length + limits.length + policies.length + shown.boxes > 0;
  const all = view.backends.reduce((sum, { backend }) => sum + backend.servers.length, 0);
  text(byId("shown"), state.only || state.filter.length > 0 ? `${whole.format(shown.servers)} of ${many(all, "server")}` : many(all, "server"));
}
