"use strict";
// What the page does with its plots: filter, zoom, links to a moment, labels that fit, light and dark.
// What is chosen is kept in the address, after the #: t (a moment), from, to, node, client, call, result.

const AROUND_S = 5; // a link to a moment shows so much before and after it

/** Seconds as minutes and seconds: 62.5 is 1:02.5. */
function pmxcfsTime(seconds, digits) {
  const sign = seconds < 0 ? "-" : "";
  const whole = Number(Math.abs(seconds).toFixed(digits));
  const minutes = Math.floor(whole / 60);
  const rest = (whole - 60 * minutes).toFixed(digits);
  return `${sign}${minutes}:${rest.padStart(digits ? digits + 3 : 2, "0")}`;
}

class Page {
  constructor(plots) {
    this.plots = plots;
    this.form = document.getElementById("filters");
    this.x = this.find("x");
    this.whole = [this.x.start, this.x.end];
    this.columns = this.find("calls").data;
    this.moment = null;
    this.theme = null; // chosen by the button
    this.listen();
    this.readAddress();
    this.paint();
    this.fit();
  }

  /** The model with this name, wherever it hangs in the document. */
  find(name) {
    return this.plots[0].document.get_model_by_name(name);
  }

  listen() {
    this.form.addEventListener("change", () => this.choose());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    document.getElementById("whole").onclick = () => this.reset();
    document.getElementById("in").onclick = () => this.zoom(0.5);
    document.getElementById("out").onclick = () => this.zoom(2);
    document.getElementById("theme").onclick = () => this.switchTheme();
    window.addEventListener("hashchange", () => this.readAddress());
    window.addEventListener("keydown", (event) => this.key(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
    for (const place of document.querySelectorAll(".plots [data-root-id]")) {
      place.addEventListener("dblclick", () => this.show(...this.whole));
    }
    for (const link of document.querySelectorAll("a[data-t]")) {
      link.addEventListener("click", (event) => {
        event.preventDefault();
        this.goTo(Number(link.dataset.t));
        document.querySelector(".plots").scrollIntoView({ behavior: "smooth" });
      });
    }
    let due = null;
    const moved = () => {
      clearTimeout(due);
      due = setTimeout(() => { this.fit(); this.writeAddress(); }, 80);
    };
    this.x.properties.start.change.connect(moved);
    this.x.properties.end.change.connect(moved);
    this.plots[0].properties.inner_width.change.connect(moved);
  }

  // --- which times ----------------------------------------------------------------------------------

  show(start, end) {
    const [first, last] = this.whole;
    const width = Math.min(Math.max(end - start, 0.02), last - first);
    const from = Math.min(Math.max(start, first), last - width);
    this.x.setv({ start: from, end: from + width });
  }

  zoom(factor) {
    const middle = (this.x.start + this.x.end) / 2;
    const half = ((this.x.end - this.x.start) * factor) / 2;
    this.show(middle - half, middle + half);
  }

  goTo(t) {
    this.moment = t;
    const line = this.find("moment");
    line.location = t;
    line.visible = true;
    this.show(t - AROUND_S, t + AROUND_S);
    this.writeAddress();
  }

  reset() {
    this.moment = null;
    this.find("moment").visible = false;
    this.form.reset();
    this.show(...this.whole);
    this.choose();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) return;
    const step = (this.x.end - this.x.start) / 4;
    const actions = {
      ArrowLeft: () => this.show(this.x.start - step, this.x.end - step),
      ArrowRight: () => this.show(this.x.start + step, this.x.end + step),
      "+": () => this.zoom(0.5),
      "-": () => this.zoom(2),
      0: () => this.reset(),
    };
    if (actions[event.key]) { actions[event.key](); event.preventDefault(); }
  }

  // --- which calls ----------------------------------------------------------------------------------

  wanted() {
    const form = new FormData(this.form);
    const one = (name) => (form.get(name) === "" ? null : Number(form.get(name)));
    return { node: one("node"), client: one("client"), call: one("call"), results: form.getAll("result").map(Number) };
  }

  choose() {
    const { node, client, call, results } = this.wanted();
    const is = this.columns;
    const chosen = [[], [], [], []];
    for (let i = 0; i < is.result.length; i++) {
      if (node !== null && is.node[i] !== node) continue;
      if (client !== null && is.client[i] !== client) continue;
      if (call !== null && is.call[i] !== call) continue;
      if (results.includes(is.result[i])) chosen[is.result[i]].push(i);
    }
    this.choosePercentiles(call);
    chosen.forEach((indices, result) => { this.find(`view-${result}`).indices = indices; });
    const shown = chosen.reduce((sum, indices) => sum + indices.length, 0);
    const all = is.result.length;
    const words = shown === all ? `all ${number(all)} marks` : `${number(shown)} of ${number(all)} marks`;
    document.getElementById("shown").textContent = words;
    this.writeAddress();
  }

  /** Show the percentiles of the chosen call; of all calls, which are of several kinds, no median means anything. */
  choosePercentiles(call) {
    const source = this.find("percentiles");
    const of = call === null ? "all" : call;
    const none = source.data.t.map(() => NaN);
    source.data = { ...source.data, median: call === null ? none : source.data[`median-${of}`], p99: source.data[`p99-${of}`] };
    document.getElementById("median").hidden = call === null;
  }

  // --- the address ----------------------------------------------------------------------------------

  writeAddress() {
    const kept = new URLSearchParams();
    if (this.moment !== null) kept.set("t", this.moment.toFixed(3));
    if (this.x.start !== this.whole[0] || this.x.end !== this.whole[1]) {
      kept.set("from", this.x.start.toFixed(2));
      kept.set("to", this.x.end.toFixed(2));
    }
    for (const name of ["node", "client", "call"]) {
      const select = this.form.elements[name];
      if (select.value !== "") kept.set(name, select.selectedOptions[0].textContent);
    }
    const { results } = this.wanted();
    if (results.length < 4) kept.set("result", results.join(","));
    this.address = kept.toString();
    const here = location.pathname + location.search;
    history.replaceState(null, "", this.address ? `#${this.address}` : here);
  }

  readAddress() {
    const kept = new URLSearchParams(location.hash.slice(1));
    if (kept.toString() === this.address) return;
    for (const name of ["node", "client", "call"]) {
      const options = [...this.form.elements[name].options];
      const found = options.find((option) => option.textContent === kept.get(name));
      this.form.elements[name].value = found && kept.has(name) ? found.value : "";
    }
    if (kept.has("result")) {
      const results = kept.get("result").split(",");
      for (const box of this.form.elements.result) box.checked = results.includes(box.value);
    }
    if (kept.has("t")) this.goTo(Number(kept.get("t")));
    if (kept.has("from") && kept.has("to")) this.show(Number(kept.get("from")), Number(kept.get("to")));
    this.choose();
  }

  // --- what follows the times shown -------------------------------------------------------------------

  fit() {
    this.fitLabels();
    this.fitVersions();
  }

  /** Let the versions that are seen fill their plot. */
  fitVersions() {
    let [low, high] = [Infinity, -Infinity];
    for (let place = 0; this.find(`versions-${place}`); place++) {
      const { t, version } = this.find(`versions-${place}`).data;
      for (let i = 0; i < t.length; i++) {
        const until = i + 1 < t.length ? t[i + 1] : t[i];
        if (until < this.x.start || t[i] > this.x.end || Number.isNaN(version[i])) continue;
        low = Math.min(low, version[i]);
        high = Math.max(high, version[i]);
      }
    }
    if (low > high) return;
    const room = Math.max((high - low) * 0.08, 1);
    this.find("version-range").setv({ start: low - room, end: high + room });
  }

  /** Write into bars as much as fits into what is seen of each. */
  fitLabels() {
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = "12px system-ui, sans-serif";
    const perSecond = this.plots[0].inner_width / (this.x.end - this.x.start);
    for (const name of ["faults-labels", "conditions-labels"]) {
      const source = this.find(name);
      const { start, end, text } = source.data;
      const labels = [], places = [];
      for (let i = 0; i < text.length; i++) {
        const from = Math.max(start[i], this.x.start);
        const room = (Math.min(end[i], this.x.end) - from) * perSecond - 10;
        places.push(from);
        labels.push(fitting(pen, text[i], room));
      }
      source.data = { ...source.data, label: labels, label_at: places };
    }
  }

  // --- light and dark ---------------------------------------------------------------------------------

  switchTheme() {
    this.theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    this.paint();
  }

  paint() {
    const root = document.documentElement;
    root.dataset.theme = this.theme ?? theme();
    const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
    this.find("cross").line_color = colour("--quiet");
    for (const plot of this.plots) {
      for (const axis of [...plot.below, ...plot.left]) {
        axis.major_label_text_color = axis.axis_label_text_color = colour("--quiet");
        axis.axis_line_color = axis.axis_line_color === null ? null : colour("--line");
        axis.major_tick_line_color = axis.major_tick_line_color === null ? null : colour("--line");
      }
      for (const item of plot.center) {
        if (item.grid_line_color !== undefined && item.grid_line_color !== null) item.grid_line_color = colour("--grid");
      }
    }
  }
}

/** What the reader's machine prefers; ?theme=dark decides otherwise. */
function theme() {
  const asked = new URLSearchParams(location.search).get("theme");
  return asked ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

const number = (count) => count.toLocaleString("en");

/** The text, or its begin with an ellipsis, or nothing, whatever fits into so many pixels. */
function fitting(pen, text, room) {
  if (pen.measureText(text).width <= room) return text;
  const begin = text.split("  ")[0];
  return begin !== text && pen.measureText(begin).width <= room ? begin : "";
}

function whenDrawn() {
  const places = [...document.querySelectorAll(".plots [data-root-id]")];
  const views = typeof Bokeh === "undefined" ? [] : places.map((place) => Bokeh.index[place.dataset.rootId]);
  if (places.length && views.every((view) => view)) {
    window.page = new Page(views.map((view) => view.model));
    document.documentElement.dataset.ready = "yes";
  } else {
    setTimeout(whenDrawn, 20);
  }
}

document.documentElement.dataset.theme = theme();
window.addEventListener("error", (event) => { document.documentElement.dataset.error = event.message; });
window.addEventListener("load", whenDrawn);
