// Tables whose rows stay the same nodes from look to look: sorted, filtered, a page at a time.

/** Rows at a time: fewer where each is a card. */
const PAGE = matchMedia("(max-width: 600px)").matches ? 20 : 50;

/** How a server's state looks: its words, its shape, and which of four kinds it is. */
function looks(server) {
  const progress = server.check && server.check.progress;
  switch (server.state) {
    case "DOWN":
      return progress > 0
        ? { kind: "down", shape: "rising", words: `DOWN ${progress}/${server.check.needed}` }
        : { kind: "down", shape: "down", words: "DOWN" };
    case "UNRESOLVED": return { kind: "down", shape: "down", words: "UNRESOLVED" };
    case "MAINT": return { kind: "off", shape: "out", words: "MAINT" };
    case "DRAIN": return { kind: "off", shape: "drain", words: "DRAIN" };
    case "NO CHECK": return { kind: "up", shape: "unchecked", words: "no check" };
    default:
      // Before its first check a server counts as one failure away from DOWN, and nothing is known against it.
      return server.check && server.check.total > 0 && progress < server.check.needed
        ? { kind: "warn", shape: "falling", words: `UP ${progress}/${server.check.needed}` }
        : { kind: "up", shape: "up", words: "UP" };
  }
}

/** How a backend's state looks. One whose circuit breaker is open refuses its requests, whatever its servers do. */
function backendLooks({ state, circuit }) {
  if (state === "DOWN") return { kind: "down", shape: "down", words: "DOWN" };
  if (circuit === "open") return { kind: "down", shape: "down", words: "circuit open" };
  if (circuit === "half-open") return { kind: "warn", shape: "rising", words: "circuit half-open" };
  return { kind: "up", shape: "up", words: "UP" };
}

/** A label with its shape, as the cells of states have it. */
function showState(node, look, label = look.words) {
  const key = `${look.shape} ${look.kind} ${label}`;
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  node.className = look.kind;
  node.replaceChildren(shape(look.shape), label);
}

/**
 * A table. A column has `label` and `under` for its heading, `sort` of a row, and either `cells` (two texts of a row)
 * or `fill` (which writes into a cell itself); `mark` names classes for a cell.
 */
class Table {
  constructor(caption, columns, key, options = {}) {
    this.columns = columns;
    this.key = key;
    this.options = options;
    this.sort = null;
    this.page = 0;
    this.open = new Set();
    this.rows = new Map();
    this.items = [];
    this.body = make("tbody", { role: "rowgroup" });
    this.heads = columns.map((column, index) => this.heading(column, index));
    const head = make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...this.heads));
    this.table = make("table", { role: "table", "aria-label": caption }, head, this.body);
    this.where = make("span");
    this.back = make("button", { type: "button" }, "Previous");
    this.next = make("button", { type: "button" }, "Next");
    this.back.addEventListener("click", () => this.turn(-1));
    this.next.addEventListener("click", () => this.turn(1));
    this.pages = make("nav", { class: "pages", "aria-label": `Pages of ${caption}` }, this.where, this.back, this.next);
    this.node = make("div", {}, this.table, this.pages);
  }

  heading(column, index) {
    const button = make("button", { type: "button" }, make("span", {}, column.label));
    if (column.under) button.append(make("small", {}, column.under));
    button.addEventListener("click", () => this.sortBy(index));
    const cell = { role: "columnheader", scope: "col", class: column.text ? "text" : null, "aria-sort": "none" };
    return make("th", cell, button);
  }

  /** Figures sort from the greatest, words from the first; a third press brings the file's order back. */
  sortBy(index) {
    const first = this.columns[index].text ? "ascending" : "descending";
    const other = first === "ascending" ? "descending" : "ascending";
    const now = this.sort?.index === index ? this.sort.order : null;
    this.sort = now === null ? { index, order: first } : now === first ? { index, order: other } : null;
    this.heads.forEach((head, at) => attribute(head, "aria-sort", this.sort?.index === at ? this.sort.order : "none"));
    this.page = 0;
    this.order = null;
    this.show();
  }

  turn(by) {
    this.page += by;
    this.show();
    // A button that has just become useless takes the focus away with it.
    if (document.activeElement === document.body) (by > 0 ? this.back : this.next).focus();
  }

  /** Puts in what is to be shown now, in the file's order. */
  set(items) {
    this.items = items;
    this.show();
  }

  sorted() {
    if (!this.sort) return this.items;
    const { index, order } = this.sort;
    // While somebody points at a row, rows do not move under the pointer.
    const held = this.order && (this.body.matches(":hover") || this.body.contains(document.activeElement));
    if (!held) {
      const value = this.columns[index].sort, sign = order === "ascending" ? 1 : -1;
      const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : (a ?? -1) - (b ?? -1));
      const sorted = this.items.map((item) => [value(item), item]).sort((a, b) => sign * compare(a[0], b[0]));
      this.order = new Map(sorted.map(([, item], place) => [this.key(item), place]));
    }
    const place = (item) => this.order.get(this.key(item)) ?? Infinity;
    return [...this.items].sort((a, b) => place(a) - place(b));
  }

  show() {
    const all = this.sorted();
    const last = Math.max(0, Math.ceil(all.length / PAGE) - 1);
    this.page = Math.min(Math.max(this.page, 0), last);
    const shown = all.slice(this.page * PAGE, (this.page + 1) * PAGE);
    this.pages.hidden = last === 0;
    text(this.where, `${this.page * PAGE + 1} to ${this.page * PAGE + shown.length} of ${whole.format(all.length)}`);
    this.back.disabled = this.page === 0;
    this.next.disabled = this.page === last;
    const nodes = [];
    const used = new Set();
    for (const item of shown) {
      const key = this.key(item);
      used.add(key);
      const row = this.rows.get(key) ?? this.row(key);
      this.fill(row, item);
      nodes.push(row.node);
      if (row.more) nodes.push(row.more);
    }
    for (const key of this.rows.keys()) if (!used.has(key)) this.rows.delete(key);
    this.place(nodes);
    this.table.hidden = all.length === 0;
  }

  /** Brings the rows into order and moves only those that are out of place, so that the focus stays. */
  place(nodes) {
    const wanted = new Set(nodes);
    for (const node of [...this.body.children]) if (!wanted.has(node)) node.remove();
    nodes.forEach((node, index) => {
      if (this.body.children[index] !== node) this.body.insertBefore(node, this.body.children[index] ?? null);
    });
  }

  row(key) {
    const cells = this.columns.map((column, index) => this.cell(column, index));
    const row = { node: make("tr", { role: "row", class: this.options.details ? null : "plain" }, ...cells.map((cell) => cell.node)), cells, more: null };
    if (this.options.details) {
      row.name = cells[0].main;
      row.name.setAttribute("aria-expanded", "false");
      row.name.addEventListener("click", () => {
        if (!this.open.delete(key)) this.open.add(key);
        this.show();
      });
    }
    this.rows.set(key, row);
    return row;
  }

  cell(column, index) {
    const name = index === 0;
    const main = name && this.options.details ? make("button", { type: "button", class: "name" }) : make("span", { class: name ? "name" : null });
    const under = make("small");
    const kind = [column.text ? "text" : "", column.kind ?? ""].join(" ").trim();
    const attributes = name ? { role: "rowheader", scope: "row", class: kind } : { role: "cell", class: kind || null, "data-label": column.label };
    const node = make(name ? "th" : "td", attributes);
    const cell = { node, main, under, kind };
    if (column.make) column.make(cell);
    else node.append(main, under);
    return cell;
  }

  fill(row, item) {
    this.columns.forEach((column, index) => {
      const cell = row.cells[index];
      if (column.fill) column.fill(cell, item);
      if (column.cells) {
        const [main, under] = column.cells(item);
        text(cell.main, main);
        text(cell.under, under ?? "");
      }
      if (column.mark) cell.node.className = `${cell.kind} ${column.mark(item)}`.trim();
    });
    attribute(row.node, "class", `${this.options.details ? "" : "plain"} ${this.options.bad?.(item) ? "bad" : ""}`.trim());
    this.detail(row, item);
  }

  detail(row, item) {
    if (!this.options.details) return;
    const open = this.open.has(this.key(item));
    attribute(row.name, "aria-expanded", String(open));
    if (!open) row.more = null;
    else {
      if (!row.more) {
        row.inside = make("td", { role: "cell", colspan: String(this.columns.length) });
        row.more = make("tr", { role: "row", class: "details" }, row.inside);
      }
      this.options.details(row.inside, item);
    }
  }
}
