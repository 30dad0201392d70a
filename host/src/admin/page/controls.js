// Backends with their servers, and what the user does: filter, fold, pause, themes, keys; and the polling itself.

/** A backend's heading, its map where it is large, and the table of its servers. */
function backendBox(name) {
  const pair = (label) => {
    const value = make("b");
    return { value, node: make("span", { class: "pair" }, make("span", {}, label), value) };
  };
  const box = { button: make("button", { type: "button", "aria-expanded": "true" }, name), pairs: {}, spark: new Spark(),
    map: draw("svg", { class: "map", "aria-hidden": "true" }) };
  for (const label of ["State", "Servers", "Sessions", "Queue", "Requests/s", "Time", "Errors/s", "Retries", "Out/s", "Chosen by"]) box.pairs[label] = pair(label);
  box.button.addEventListener("click", () => {
    if (!state.folded.delete(name)) state.folded.add(name);
    show();
  });
  box.table = new Table(`Servers of ${name}`, SERVER_COLUMNS, ({ server }) => server.name,
    { details: serverDetails, bad: ({ server }) => looks(server).kind === "down" });
  const pairs = Object.values(box.pairs).map((one) => one.node);
  const title = make("div", { class: "title" }, make("h3", {}, box.button), ...pairs, box.spark.node);
  box.inside = make("div", {}, box.map, box.table.node);
  box.node = make("section", { class: "backend", "aria-label": `Backend ${name}` }, title, box.inside);
  return box;
}

function showBackends(view) {
  let boxes = 0, shownServers = 0;
  const present = new Set();
  for (const { backend, rates, servers } of view.backends) {
    present.add(backend.name);
    let box = state.backends.get(backend.name);
    if (!box) {
      state.backends.set(backend.name, (box = backendBox(backend.name)));
      byId("backends").append(box.node);
    }
    const whole = matches([backend.name]) && state.filter.length > 0;
    let shown = whole ? servers : servers.filter(({ server }) => matches([`${backend.name}/${server.name}`, server.address, server.state]));
    if (state.only) shown = shown.filter(isProblem);
    const narrowed = state.only || state.filter.length > 0;
    box.node.hidden = narrowed && shown.length === 0 && !(backendLooks(backend).kind !== "up" && state.only && matches([backend.name]));
    if (box.node.hidden) continue;
    boxes += 1;
    shownServers += shown.length;
    showBackend(box, backend, rates, view.now);
    const folded = state.folded.has(backend.name);
    box.inside.hidden = folded;
    attribute(box.button, "aria-expanded", String(!folded));
    if (!folded) {
      box.table.set(shown);
      box.map.toggleAttribute("hidden", backend.servers.length <= PAGE);
      if (backend.servers.length > PAGE) map(box.map, backend.servers, box.node.clientWidth);
    }
  }
  for (const [name, box] of state.backends) {
    if (!present.has(name)) {
      box.node.remove();
      state.backends.delete(name);
    }
  }
  return { boxes, servers: shownServers };
}

function showBackend(box, backend, rates, now) {
  const up = backend.servers.filter((server) => server.usable).length;
  showState(box.pairs.State.value, backendLooks(backend));
  const set = (label, value, kind = "") => {
    text(box.pairs[label].value, value);
    attribute(box.pairs[label].value, "class", kind);
  };
  set("Servers", `${count(up)} of ${count(backend.servers.length)} UP`, up < backend.servers.length ? "warn" : "");
  set("Sessions", `${count(backend.sessions.current)} (max ${count(backend.sessions.max)})`);
  set("Queue", count(backend.queue.current), backend.queue.current > 0 ? "down" : "");
  set("Requests/s", count(rates.now.requests));
  set("Time", time(mean(rates, "response", backend.times)));
  set("Errors/s", count(rates.now.failed), rates.now.failed > 0 ? "down" : "");
  set("Retries", `${count(backend.retries)} (${count(backend.redispatches)} elsewhere)`);
  set("Out/s", bytes(rates.now.bytes_out));
  set("Chosen by", [...backend.balance, ...(backend.persistence ? [backend.persistence] : [])].join(", "));
  box.spark.show(rates.trail("requests"), now);
}

function setFilter(words) {
  byId("filter").value = words;
  state.filter = words.toLowerCase().split(/\s+/).filter(Boolean);
  show();
}

function setOnly(only) {
  byId("only").checked = only;
  state.only = only;
  show();
}

function foldAll() {
  const all = [...state.backends.keys()];
  const fold = all.some((name) => !state.folded.has(name));
  state.folded = new Set(fold ? all : []);
  text(byId("fold"), fold ? "Open all" : "Collapse all");
  show();
}

/** From one backend's heading to the next, or the one before. */
function step(by) {
  const buttons = [...state.backends.values()].filter((box) => !box.node.hidden).map((box) => box.button);
  const at = buttons.findIndex((button) => button.closest("section").contains(document.activeElement));
  const to = buttons[Math.min(Math.max(at + by, 0), buttons.length - 1)];
  to?.focus();
  to?.closest("section").scrollIntoView();
}

const THEMES = ["system", "light", "dark"];
function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  text(byId("theme"), `Theme: ${theme}`);
  kept?.setItem("lb-theme", theme);
}
const theme = () => document.documentElement.dataset.theme ?? "system";

function setPaused(paused) {
  state.paused = paused;
  attribute(byId("pause"), "aria-pressed", String(paused));
  if (!paused) look();
  showLive();
}

function showLive() {
  const made = state.latest ? clock(state.latest.now) : "";
  if (state.lost !== null) showState(byId("live"), { kind: "down", shape: "down" }, "lost");
  else if (state.paused) showState(byId("live"), { kind: "off", shape: "out" }, `paused, ${made}`);
  else if (state.latest) showState(byId("live"), { kind: "", shape: "up" }, `live, ${made}`);
  document.body.classList.toggle("stale", state.lost !== null);
  const stale = byId("stale");
  stale.hidden = state.lost === null;
  // Said once, with a time of day; a text that changes each second would be read out each second.
  if (state.lost !== null) {
    text(stale, `The connection to lb is lost since ${clock(state.lost)}. ${state.latest ? `The figures are those of ${made}.` : "There are no figures yet."} Trying again.`);
  }
}

let timer = 0, asking = false;

/** Looks once, and arranges for the next look. */
async function look() {
  clearTimeout(timer);
  if (asking || state.paused || document.hidden) return;
  asking = true;
  try {
    const response = await fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const status = await response.json();
    state.lost = null;
    if (status.made_at_ms !== state.latest?.now) {
      state.latest = take(status);
      show();
    }
  } catch {
    state.lost ??= Date.now();
  } finally {
    asking = false;
  }
  showLive();
  timer = setTimeout(look, Number(byId("interval").value));
}

const KEYS = {
  "/": () => byId("filter").focus(),
  p: () => setOnly(!state.only),
  c: foldAll,
  n: () => step(1),
  b: () => step(-1),
  s: () => setPaused(!state.paused),
  t: () => byId("theme").click(),
  "?": () => byId("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && document.activeElement === byId("filter")) setFilter("");
  const typing = event.target.matches("input:not([type=checkbox]), select, dialog *");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !byId("shortcuts").checked || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
document.addEventListener("visibilitychange", () => document.hidden || look());
addEventListener("resize", show);
byId("filter").addEventListener("input", () => setFilter(byId("filter").value));
byId("only").addEventListener("change", () => setOnly(byId("only").checked));
byId("fold").addEventListener("click", foldAll);
byId("show-all").addEventListener("click", () => { setOnly(false); setFilter(""); });
byId("pause").addEventListener("click", () => setPaused(!state.paused));
byId("interval").addEventListener("change", () => { kept?.setItem("lb-interval", byId("interval").value); look(); });
byId("theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]));
byId("help-open").addEventListener("click", () => byId("help").showModal());
byId("help-close").addEventListener("click", () => byId("help").close());
byId("shortcuts").addEventListener("change", () => kept?.setItem("lb-shortcuts", String(byId("shortcuts").checked)));

for (const look of [
  { kind: "up", shape: "up", words: "UP" }, { kind: "warn", shape: "falling", words: "UP, and failing its checks" },
  { kind: "down", shape: "down", words: "DOWN, or its name does not resolve" }, { kind: "down", shape: "rising", words: "DOWN, and passing its checks" },
  { kind: "off", shape: "drain", words: "DRAIN: weight 0, it keeps the clients that are bound to it" },
  { kind: "off", shape: "out", words: "MAINT: disabled" }, { kind: "up", shape: "unchecked", words: "taken for UP without a check" },
]) {
  byId("legend").append(make("dt", { class: look.kind }, shape(look.shape)), make("dd", {}, look.words));
}
if (THEMES.includes(kept?.getItem("lb-theme"))) setTheme(kept.getItem("lb-theme"));
if ([...byId("interval").options].some((option) => option.value === kept?.getItem("lb-interval"))) byId("interval").value = kept.getItem("lb-interval");
byId("shortcuts").checked = kept?.getItem("lb-shortcuts") !== "false";
look();
