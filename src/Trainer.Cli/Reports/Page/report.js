const COLOURS = ["#3056d3", "#d9480f", "#0a8f5b", "#9c36b5", "#b08900", "#0b7285", "#c2255c", "#5c7c0f"];
const $ = id => document.getElementById(id);
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const draw = (tag, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};
const trim = n => Math.abs(n) >= 1e5 || (n !== 0 && Math.abs(n) < 1e-3) ? n.toExponential(1).replace("e+", "e") : String(+n.toPrecision(4));
const bytes = n => n >= 2 ** 30 ? +(n / 2 ** 30).toFixed(2) + " GiB" : +(n / 2 ** 20).toFixed(0) + " MiB";
const duration = s => s < 60 ? +s.toFixed(1) + "s" : s < 3600 ? (s / 60).toFixed(1) + "m" : (s / 3600).toFixed(2) + "h";

function smooth(points, weight) {
  let sum = 0, norm = 0;
  return points.map(([x, y]) => { sum = weight * sum + (1 - weight) * y; norm = weight * norm + (1 - weight); return [x, sum / norm]; });
}

function ticks(low, high, count) {
  const raw = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map(k => k * power).find(k => k >= raw);
  const list = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-9; t += step) list.push(Math.abs(t) < step * 1e-6 ? 0 : t);
  return list;
}

function chart(title, unit, series, options = {}) {
  const box = make("div", { class: "chart" + (options.wide ? " wide" : "") });
  box.append(make("h3", {}, title, " ", make("small", {}, unit)));
  const shown = series.filter(s => s.points.length > 0);
  if (shown.length === 0) return null;
  const W = options.wide ? 1220 : 560, H = options.wide ? 330 : 220, L = 62, R = 12, T = 8, B = 24;
  const all = shown.flatMap(s => s.points);
  const scale = options.log ? v => Math.log10(Math.max(v, 1e-12)) : v => v;
  const xs = all.map(p => p[0]), ys = all.map(p => scale(p[1])).filter(Number.isFinite);
  let [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  if (x0 === x1) x1 = x0 + 1;
  if (options.zero) y0 = Math.min(0, y0);
  if (y1 - y0 < Math.abs(y1) * 1e-6 + 1e-12) { const m = Math.abs(y1) * 0.05 || 1; y0 -= m; y1 += m; }
  const pad = (y1 - y0) * 0.04; y1 += pad; if (!options.zero || y0 < 0) y0 -= pad;
  const X = x => L + (x - x0) / (x1 - x0) * (W - L - R), Y = y => H - B - (scale(y) - y0) / (y1 - y0) * (H - T - B);
  const svg = draw("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title });
  const format = options.format || trim;
  for (const t of ticks(y0, y1, 5)) {
    const y = H - B - (t - y0) / (y1 - y0) * (H - T - B);
    svg.append(draw("line", { class: "grid", x1: L, x2: W - R, y1: y, y2: y }));
    const label = draw("text", { x: L - 7, y: y + 4, "text-anchor": "end" });
    label.textContent = format(options.log ? 10 ** t : t);
    svg.append(label);
  }
  for (const t of ticks(x0, x1, options.wide ? 10 : 6)) {
    const label = draw("text", { x: X(t), y: H - 6, "text-anchor": "middle" });
    label.textContent = options.axisFormat ? options.axisFormat(t) : trim(t);
    svg.append(label);
  }
  for (const s of shown) {
    const path = s.points.filter(p => Number.isFinite(p[1])).map((p, i) => (i ? "L" : "M") + X(p[0]).toFixed(1) + " " + Y(p[1]).toFixed(1)).join("");
    svg.append(draw("path", { class: s.kind, d: path, stroke: s.colour }));
    if (s.kind === "eval" || s.points.length === 1) for (const p of s.points) svg.append(draw("circle", { cx: X(p[0]), cy: Y(p[1]), r: 3.5, fill: s.colour }));
  }
  const cursor = draw("line", { class: "cursor", y1: T, y2: H - B, visibility: "hidden" });
  svg.append(cursor);
  const tip = make("div", { class: "tip" });
  svg.addEventListener("mousemove", event => {
    const rect = svg.getBoundingClientRect(), x = x0 + ((event.clientX - rect.left) * W / rect.width - L) / (W - L - R) * (x1 - x0);
    const lines = shown.filter(s => s.kind !== "raw").map(s => {
      const p = s.points.reduce((a, b) => Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a);
      return [s.name + " " + format(p[1]) + " at " + (options.axisFormat ? options.axisFormat(p[0]) : trim(p[0])), p[0]];
    });
    cursor.setAttribute("x1", X(lines[0][1])); cursor.setAttribute("x2", X(lines[0][1])); cursor.setAttribute("visibility", "visible");
    tip.replaceChildren(...lines.map(l => make("div", {}, l[0])));
    tip.style.display = "block";
    const left = event.clientX - box.getBoundingClientRect().left;
    tip.style.left = (left > rect.width / 2 ? left - tip.offsetWidth - 12 : left + 14) + "px";
    tip.style.top = "44px";
  });
  svg.addEventListener("mouseleave", () => { tip.style.display = "none"; cursor.setAttribute("visibility", "hidden"); });
  box.append(svg, tip);
  return box;
}

function bars(title, unit, rows) {
  if (!rows || rows.length === 0) return null;
  const box = make("div", { class: "chart" }, make("h3", {}, title, " ", make("small", {}, unit)));
  const W = 560, H = 220, L = 62, R = 12, T = 8, B = 24, top = Math.max(...rows.map(r => r[1])) || 1;
  const svg = draw("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title });
  for (const t of ticks(0, top, 4)) {
    const y = H - B - t / top * (H - T - B);
    svg.append(draw("line", { class: "grid", x1: L, x2: W - R, y1: y, y2: y }));
    const label = draw("text", { x: L - 7, y: y + 4, "text-anchor": "end" });
    label.textContent = trim(t);
    svg.append(label);
  }
  const w = (W - L - R) / rows.length;
  rows.forEach(([bound, count], i) => {
    const h = count / top * (H - T - B), bar = draw("rect", { x: L + i * w + 1, y: H - B - h, width: Math.max(1, w - 2), height: h, fill: COLOURS[0], rx: 2 });
    const hint = draw("title", {}); hint.textContent = `up to ${bound} tokens: ${count} rows`; bar.append(hint); svg.append(bar);
    if (i % Math.ceil(rows.length / 8) === 0) {
      const label = draw("text", { x: L + i * w + w / 2, y: H - 6, "text-anchor": "middle" });
      label.textContent = trim(bound);
      svg.append(label);
    }
  });
  box.append(svg);
  return box;
}

function render() {
  const weight = +$("smoothing").value, axis = +$("axis").value, many = RUNS.length > 1;
  $("smoothing-value").textContent = weight.toFixed(2);
  const axisFormat = axis === 6 ? duration : undefined;
  const column = (run, i) => run.steps.map(row => [row[axis], row[i]]);
  const place = (run, step) => { const row = run.steps.find(r => r[0] >= step) || run.steps[run.steps.length - 1]; return axis === 0 || !row ? step : step === 0 ? 0 : row[axis]; };
  const loss = RUNS.flatMap((run, i) => {
    const raw = column(run, 1), colour = COLOURS[i % COLOURS.length], name = many ? run.name + " " : "";
    return [
      { name: name + "loss", kind: "raw", points: weight > 0 ? raw : [], colour },
      { name: name + "loss", kind: "line", points: smooth(raw, weight), colour },
      { name: name + "held-out", kind: "eval", points: run.evals.map(r => [place(run, r[0]), r[1]]), colour: many ? colour : COLOURS[1] },
    ];
  });
  const one = (i, light) => RUNS.map((run, k) => ({ name: many ? run.name : "value", kind: "line", points: light ? smooth(column(run, i), weight) : column(run, i), colour: COLOURS[k % COLOURS.length] }));
  $("charts").replaceChildren(...[
    chart("Loss", "nats a token; dashed: held-out", loss, { wide: true, log: $("log").checked, axisFormat }),
    chart("Learning rate", "", one(2), { zero: true, axisFormat }),
    chart("Gradient norm", "before clipping, smoothed", one(3, true), { zero: true, axisFormat }),
    chart("Speed", "tokens a second, smoothed", one(4, true), { zero: true, axisFormat }),
    chart("Memory", "resident", one(5), { zero: true, format: bytes, axisFormat }),
    ...(many ? [] : [bars("Row lengths", "rows by tokens", RUNS[0].lengths)]),
  ].filter(Boolean));
}

function fill() {
  const first = RUNS[0], many = RUNS.length > 1;
  $("title").textContent = many ? RUNS.length + " runs compared" : first.name;
  document.title = $("title").textContent + " · trainer";
  $("state").textContent = many ? RUNS.map(r => r.name).join(", ") : first.ended ? first.ended : first.max_steps ? "running, " + (first.steps.length ? first.steps[first.steps.length - 1][0] : 0) + " of " + first.max_steps + " steps" : "";
  if (!many) $("facts").append(...first.facts.map(([name, value]) => make("div", { class: "fact" }, make("b", {}, value), make("span", {}, name))));
  else $("legend").append(...RUNS.map((run, i) => make("span", {}, make("i", { style: "background:" + COLOURS[i % COLOURS.length] }), run.name)));
  const warnings = RUNS.flatMap(run => run.warnings);
  if (warnings.length) $("warnings").append(make("h2", {}, "Warnings"), ...warnings.map(w => make("div", { class: "sample warning" }, w)));
  const samples = RUNS.flatMap(run => run.samples.map(s => [many ? run.name + ", " : "", s]));
  if (samples.length) {
    $("samples").append(make("h2", {}, "Samples"));
    for (const [name, s] of samples.reverse()) $("samples").append(make("div", { class: "sample" }, make("small", {}, name + "step " + s.step + " · " + s.prompt), s.text));
  }
  const keys = [...new Set(RUNS.flatMap(run => run.settings.map(s => s[0])))];
  if (many) {
    const facts = [...new Set(RUNS.flatMap(run => run.facts.map(f => f[0])))];
    $("facts").append(table(facts, run => run.facts, false));
  }
  if (keys.length) $("settings").append(make("details", many ? { open: "" } : {}, make("summary", {}, make("b", {}, "Settings")), table(keys, run => run.settings, many)));
}

function table(keys, rows, mark) {
  const node = make("table");
  if (RUNS.length > 1) node.append(make("tr", {}, make("th"), ...RUNS.map(run => make("th", {}, run.name))));
  for (const key of keys) {
    const values = RUNS.map(run => (rows(run).find(s => s[0] === key) || ["", ""])[1]);
    node.append(make("tr", mark && new Set(values).size > 1 ? { class: "differs" } : {}, make("td", {}, key), ...values.map(v => make("td", {}, v))));
  }
  return node;
}

fill();
render();
for (const id of ["smoothing", "log", "axis"]) $(id).addEventListener("input", render);
