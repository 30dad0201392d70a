// What is drawn, as SVG made node by node: charts, health strips, the map of a large backend's servers.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; text always becomes text, never markup. */
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  return dress(node, attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  return dress(node, attributes, children);
}

function dress(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Sets an attribute, or a text, only where it changed: what stays costs no layout. */
function attribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

function shape(name) {
  return draw("svg", { class: "shape", "aria-hidden": "true" }, draw("use", { href: `#shape-${name}` }));
}

/** The line and the area under it; where figures are missing, the line is broken. */
function trace(trail, now, low, high, width, height) {
  const span = high > low ? high - low : 1;
  let line = "", area = "", open = false, last = 0;
  const close = () => {
    if (open) area += `L${last.toFixed(1)} ${height}Z`;
    open = false;
  };
  for (const [at, value] of trail.points) {
    const x = width - ((now - at) / LIVE_FOR) * width;
    if (value === null || x < -width * 0.1) {
      close();
      continue;
    }
    const y = height - 1 - ((value - low) / span) * (height - 2);
    const point = `${x.toFixed(1)} ${y.toFixed(1)}`;
    line += `${open ? "L" : "M"}${point}`;
    area += open ? `L${point}` : `M${x.toFixed(1)} ${height}L${point}`;
    open = true;
    last = x;
  }
  close();
  return { line, area };
}

/** A chart of the last two minutes with its least and greatest value. */
class Chart {
  constructor(title, format, kind = "") {
    this.format = format;
    this.value = make("b");
    this.line = draw("path", { class: "trace" });
    this.area = draw("path", { class: "area" });
    this.high = make("span");
    this.low = make("span");
    this.svg = draw("svg", { viewBox: "0 0 240 48", preserveAspectRatio: "none", "aria-hidden": "true" }, this.area, this.line);
    const bounds = make("div", { class: "bounds" }, this.high, this.low);
    const plot = make("div", { class: "plot" }, this.svg, bounds);
    this.node = make("figure", { class: `chart ${kind}` }, make("figcaption", {}, title, this.value), plot);
  }

  show(trail, now) {
    const [low, high] = trail.bounds();
    const last = trail.points.at(-1)?.[1] ?? null;
    text(this.value, this.format(last));
    text(this.high, high === null ? "" : `max ${this.format(high)}`);
    text(this.low, low === null ? "" : `min ${this.format(low)}`);
    // From zero, so that a small wobble does not look like a storm.
    const { line, area } = trace(trail, now, 0, Math.max(high ?? 0, 0) || 1, 240, 48);
    attribute(this.line, "d", line);
    attribute(this.area, "d", area);
  }
}

/** A chart without words, for a heading. */
class Spark {
  constructor() {
    this.line = draw("path", { class: "trace" });
    this.area = draw("path", { class: "area" });
    const box = { class: "spark", viewBox: "0 0 120 24", preserveAspectRatio: "none", "aria-hidden": "true" };
    this.node = draw("svg", box, this.area, this.line);
  }

  show(trail, now) {
    const { line, area } = trace(trail, now, 0, trail.bounds()[1] || 1, 120, 24);
    attribute(this.line, "d", line);
    attribute(this.area, "d", area);
  }
}

const HOUR = 3_600_000;

/** When a server was UP and DOWN since the start, an hour at most, as spans of `[from, to, up]` in parts of the strip. */
function spans(server, started, now) {
  const history = server.history;
  const length = Math.min(HOUR, Math.max(now - started, 1));
  const since = now - length;
  const up = history.length > 0 ? !history[0].up : server.usable;
  // Of what came before the oldest transition that is remembered, the state is known but not its beginning.
  const marks = [{ at: Math.max(started, since), up }, ...history.map((mark) => ({ at: mark.at_ms, up: mark.up }))];
  const found = [];
  marks.forEach((mark, index) => {
    const to = marks[index + 1]?.at ?? now;
    if (to > since) found.push([(Math.max(mark.at, since) - since) / length, (to - since) / length, mark.up]);
  });
  return found;
}

/** The strip beside a server: a line on top while it was UP, a full block while it was DOWN. */
function strip(node, server, started, now) {
  const parts = { up: "", down: "" };
  for (const [from, to, up] of spans(server, started, now)) {
    const x = from * 120, width = Math.max((to - from) * 120, up ? 0 : 1.5);
    if (up) parts.up += `M${x.toFixed(1)} 2h${width.toFixed(1)}v4h${(-width).toFixed(1)}z`;
    else parts.down += `M${Math.min(x, 118.5).toFixed(1)} 2h${width.toFixed(1)}v12h${(-width).toFixed(1)}z`;
  }
  attribute(node.up, "d", parts.up);
  attribute(node.down, "d", parts.down);
}

function makeStrip() {
  const up = draw("path", { class: "was-up" }), down = draw("path", { class: "was-down" });
  const box = { class: "strip", viewBox: "0 0 120 16", preserveAspectRatio: "none", "aria-hidden": "true" };
  return { up, down, node: draw("svg", box, draw("path", { class: "axis", d: "M0 13h120v1H0z" }), up, down) };
}

/** All servers of a large backend at a glance, a cell each; those in trouble are larger and of another shape. */
function map(node, servers, width) {
  const size = 8;
  const across = Math.max(20, Math.min(servers.length, Math.floor(width / size)));
  const paths = { up: "", down: "", warn: "", off: "" };
  servers.forEach((server, index) => {
    const x = (index % across) * size, y = Math.floor(index / across) * size;
    const kind = looks(server).kind;
    if (kind === "down") paths.down += `M${x} ${y}h7v7h-7z`;
    else if (kind === "warn") paths.warn += `M${x} ${y}h7l-3.5 7z`;
    else if (kind === "off") paths.off += `M${x + 2} ${y + 3}h3v1.5h-3z`;
    else paths.up += `M${x + 1} ${y + 1}h5v5h-5z`;
  });
  const height = Math.ceil(servers.length / across) * size;
  attribute(node, "viewBox", `0 0 ${across * size} ${height}`);
  attribute(node, "width", String(across * size));
  attribute(node, "height", String(height));
  if (node.childElementCount === 0) {
    node.append(...Object.keys(paths).map((kind) => draw("path", { class: `cell-${kind}` })));
  }
  Object.values(paths).forEach((d, index) => attribute(node.children[index], "d", d));
}
