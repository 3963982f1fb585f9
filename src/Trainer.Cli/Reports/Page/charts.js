// Drawing: a chart is a box that knows how to draw itself at the width it was given on the page.
const colour = i => `var(--s${i % 8})`;
const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const draw = (tag, attributes, text) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
};
const short = n => n.toExponential(2).replace(/\.?0*e\+?/, "e");
const trim = n => n !== 0 && (Math.abs(n) < 1e-3 || Math.abs(n) >= 1e6) ? short(n) : String(Math.abs(n) >= 1000 ? Math.round(n) : +n.toPrecision(4));
const bytes = n => n >= 2 ** 30 ? +(n / 2 ** 30).toFixed(2) + " GiB" : +(n / 2 ** 20).toFixed(0) + " MiB";
const duration = s => s < 60 ? +s.toFixed(1) + "s" : s < 3600 ? +(s / 60).toFixed(1) + "m" : +(s / 3600).toFixed(2) + "h";

/** The running mean of the live panel: a step keeps `weight` of it, so a row that stands for ten steps weighs more. */
function smooth(points, steps, weight) {
  let sum = 0, norm = 0;
  return points.map(([x, y], i) => {
    const kept = i === 0 ? 0 : weight ** Math.max(1, steps[i] - steps[i - 1]), share = i === 0 ? 1 - weight : 1 - kept;
    sum = kept * sum + share * y; norm = kept * norm + share;
    return [x, sum / norm];
  });
}

/** Round numbers between two bounds; `steps` are the permitted multiples of a power of `base`. */
function ticks(low, high, count, base = 10, steps = [1, 2, 2.5, 5, 10]) {
  const raw = (high - low) / count || 1, power = base ** Math.floor(Math.log(raw) / Math.log(base));
  const step = steps.map(k => k * power).find(k => k >= raw * 0.999);
  const list = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-9; t += step) list.push(Math.abs(t) < step * 1e-6 ? 0 : t);
  return list;
}

/** 1, 2 and 5 of each decade between two logarithms, or decades alone where there are many. */
function logTicks(low, high) {
  const list = [];
  for (let k = Math.floor(low); k <= high; k++)
    for (const m of high - low > 3 ? [1] : [1, 2, 5]) if (Math.log10(m) + k >= low && Math.log10(m) + k <= high) list.push(Math.log10(m) + k);
  return list.length > 1 ? list : ticks(low, high, 4);
}

const timeTicks = (low, high, count) => ticks(low, high, count, 60, [1, 2, 5, 10, 15, 30, 60]);
const byteTicks = (low, high, count) => ticks(low, high, count, 1024, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);

/** The part of the axis that is looked at, from and to; null for all of it. */
let zoom = null;

/** A chart as a picture of twice its size on the screen, with the colours it has there. */
function save(node, title) {
  const svg = node.querySelector("svg"), copy = svg.cloneNode(true), shown = svg.querySelectorAll("*"), [, , W, H] = svg.getAttribute("viewBox").split(" ").map(Number);
  const kept = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "visibility", "font-family", "font-size"];
  copy.querySelectorAll("*").forEach((part, i) => { const style = getComputedStyle(shown[i]); for (const name of kept) part.style.setProperty(name, style.getPropertyValue(name)); });
  copy.setAttribute("width", W); copy.setAttribute("height", H);
  const image = new Image(), canvas = make("canvas", { width: 2 * (W + 28), height: 2 * (H + 44) }), pen = canvas.getContext("2d");
  image.onload = () => {
    const style = getComputedStyle(node);
    pen.scale(2, 2);
    pen.fillStyle = style.backgroundColor; pen.fillRect(0, 0, W + 28, H + 44);
    pen.fillStyle = style.color; pen.font = "600 14px " + style.fontFamily; pen.fillText(title, 14, 24);
    pen.drawImage(image, 14, 36, W, H);
    make("a", { href: canvas.toDataURL("image/png"), download: title.toLowerCase().replace(/[^a-z0-9]+/g, "-") + ".png" }).click();
  };
  image.src = "data:image/svg+xml," + encodeURIComponent(new XMLSerializer().serializeToString(copy));
}

function box(title, unit, legend, wide) {
  const heading = make("h3", {}, title, make("small", {}, unit));
  if (legend && legend.length) heading.append(make("span", { class: "legend" }, ...legend.map(([name, kind, tint]) => make("span", {}, make("i", { class: "key" + (kind === "eval" ? " dashed" : ""), style: "border-color:" + tint }), name))));
  const node = make("div", { class: "chart" + (wide ? " wide" : "") }, heading), picture = make("button", { title: "save as a picture" }, "PNG");
  picture.addEventListener("click", () => save(node, title));
  heading.append(picture);
  return node;
}

/** The frame every chart shares: size from the page, horizontal lines with their labels. */
function frame(node, title, wide, marks, format, place) {
  const W = Math.max(240, node.clientWidth - 28), H = wide ? Math.round(Math.min(330, Math.max(220, W * 0.3))) : 220;
  const labels = marks.map(format), L = 14 + 6.6 * Math.max(2, ...labels.map(text => text.length)), R = 12, T = 8, B = 38;
  const svg = draw("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title });
  marks.forEach((mark, i) => {
    const y = H - B - place(mark) * (H - T - B);
    svg.append(draw("line", { class: "grid", x1: L, x2: W - R, y1: y, y2: y }), draw("text", { x: L - 7, y: y + 4, "text-anchor": "end" }, labels[i]));
  });
  return { svg, W, H, L, R, T, B };
}

const below = (f, x, text, dy) => draw("text", { x, y: f.H - f.B + dy, "text-anchor": "middle" }, text);

/** Lines over an axis; null where there is nothing to show. `series`: name, kind (raw, line, eval), colour, points. */
function chart(title, unit, series, axis, options = {}) {
  const shown = series.map(s => ({ ...s, points: s.points.filter(p => Number.isFinite(p[1]) && (!options.log || p[1] > 0) && (!zoom || p[0] >= zoom[0] && p[0] <= zoom[1])) })).filter(s => s.points.length > 0);
  if (shown.length === 0) return null;
  const node = box(title, unit, options.legend, options.wide);
  const all = shown.flatMap(s => s.points), scale = options.log ? Math.log10 : v => v;
  const least = (list, start) => list.reduce((a, b) => Math.min(a, b), start), most = (list, start) => list.reduce((a, b) => Math.max(a, b), start);
  const xs = all.map(p => p[0]), ys = all.map(p => scale(p[1]));
  let [x0, x1, y0, y1] = [least(xs, Infinity), most(xs, -Infinity), least(ys, Infinity), most(ys, -Infinity)];
  if (zoom) [x0, x1] = zoom;
  if (x0 === x1) { x0 -= 0.5; x1 += 0.5; }
  if (options.zero) y0 = Math.min(0, y0);
  if (y1 - y0 < Math.abs(y1) * 1e-6 + 1e-12) { const m = Math.abs(y1) * 0.05 || 1; y0 -= m; y1 += m; }
  const pad = (y1 - y0) * 0.06; y1 += pad; if (!options.zero || y0 < 0) y0 -= pad;
  const format = options.format || trim;
  const across = axis.format || trim;
  node.draw = () => {
    const f = frame(node, title, options.wide, options.log ? logTicks(y0, y1) : (options.ticks || ticks)(y0, y1, 5), t => format(options.log ? 10 ** t : t), t => (t - y0) / (y1 - y0));
    const X = x => f.L + (x - x0) / (x1 - x0) * (f.W - f.L - f.R), Y = y => f.H - f.B - (scale(y) - y0) / (y1 - y0) * (f.H - f.T - f.B);
    const marks = (axis.ticks || ticks)(x0, x1, Math.max(3, Math.min(10, Math.floor(f.W / 90))));
    for (const t of axis.whole ? marks.filter(Number.isInteger) : marks) f.svg.append(below(f, X(t), across(t), 16));
    f.svg.append(below(f, (f.L + f.W - f.R) / 2, axis.name, 32));
    for (const s of shown) {
      const d = s.points.map((p, i) => (i ? "L" : "M") + X(p[0]).toFixed(1) + " " + Y(p[1]).toFixed(1)).join("");
      f.svg.append(draw("path", { class: s.kind, d, style: "stroke:" + s.colour, "data-series": s.name, "data-points": s.points.length }));
      if (s.kind === "eval" || s.points.length === 1) for (const p of s.points) f.svg.append(draw("circle", { cx: X(p[0]).toFixed(1), cy: Y(p[1]).toFixed(1), r: 3.5, style: "fill:" + s.colour }));
    }
    const cursor = draw("line", { class: "cursor", y1: f.T, y2: f.H - f.B, visibility: "hidden" }), tip = make("div", { class: "tip" });
    f.svg.append(cursor);
    const place = event => { const rect = f.svg.getBoundingClientRect(); return Math.min(x1, Math.max(x0, x0 + ((event.clientX - rect.left) * f.W / rect.width - f.L) / (f.W - f.L - f.R) * (x1 - x0))); };
    let from = null, mark = null;
    const end = () => { if (mark) mark.remove(); from = mark = null; };
    f.svg.addEventListener("pointerdown", event => { if (event.button === 0 && event.pointerType === "mouse") { from = place(event); f.svg.setPointerCapture(event.pointerId); event.preventDefault(); } });
    f.svg.addEventListener("pointermove", event => {
      if (from === null) return;
      if (!mark) f.svg.append(mark = draw("rect", { class: "zoomed", y: f.T, height: f.H - f.T - f.B }));
      const [a, b] = [X(from), X(place(event))];
      mark.setAttribute("x", Math.min(a, b)); mark.setAttribute("width", Math.abs(b - a));
    });
    f.svg.addEventListener("pointerup", event => {
      if (from === null) return;
      const range = [from, place(event)].sort((a, b) => a - b);
      end();
      if (range[1] - range[0] > (x1 - x0) * 0.02) look(range);
    });
    f.svg.addEventListener("pointercancel", end);
    f.svg.addEventListener("dblclick", () => look(null));
    const hide = () => { tip.style.display = "none"; cursor.setAttribute("visibility", "hidden"); };
    f.svg.addEventListener("pointermove", event => {
      const rect = f.svg.getBoundingClientRect(), x = place(event);
      const near = shown.filter(s => s.kind !== "raw").map(s => [s, s.points.reduce((a, b) => Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a)]);
      const at = X(near[0][1][0]);
      cursor.setAttribute("x1", at); cursor.setAttribute("x2", at); cursor.setAttribute("visibility", "visible");
      tip.replaceChildren(...near.map(([s, p]) => make("div", {}, `${s.name} ${format(p[1])} at ${axis.format ? across(p[0]) : axis.name + " " + trim(p[0])}`)));
      tip.style.display = "block";
      const left = event.clientX - node.getBoundingClientRect().left;
      tip.style.left = Math.max(0, left > rect.width / 2 ? left - tip.offsetWidth - 12 : left + 14) + "px";
      tip.style.top = "44px";
    });
    f.svg.addEventListener("pointerleave", hide);
    node.replaceChildren(node.firstChild, f.svg, tip);
  };
  return node;
}

/** Counts by upper bound. */
function bars(title, unit, rows, name) {
  if (!rows || rows.length === 0) return null;
  const node = box(title, unit), top = rows.reduce((a, r) => Math.max(a, r[1]), 1);
  node.draw = () => {
    const f = frame(node, title, false, ticks(0, top, 4).filter(Number.isInteger), trim, t => t / top);
    const room = (f.W - f.L - f.R) / rows.length, w = Math.min(room - 2, 90), every = Math.ceil(rows.length / Math.max(3, Math.floor(f.W / 60)));
    rows.forEach(([bound, count], i) => {
      const h = count / top * (f.H - f.T - f.B), middle = f.L + (i + 0.5) * room;
      const bar = draw("rect", { x: middle - w / 2, y: f.H - f.B - h, width: Math.max(1, w), height: h, style: "fill:" + colour(0), rx: 2 });
      bar.append(draw("title", {}, `up to ${bound} tokens: ${count} rows`));
      f.svg.append(bar);
      if (i % every === 0) f.svg.append(below(f, middle, trim(bound), 16));
    });
    f.svg.append(below(f, (f.L + f.W - f.R) / 2, name, 32));
    node.replaceChildren(node.firstChild, f.svg);
  };
  return node;
}
