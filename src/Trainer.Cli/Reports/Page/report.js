// The page: what is said about the runs, and which charts show them.
const $ = id => document.getElementById(id);
const many = RUNS.length > 1;
const controls = ["smoothing", "log", "axis"];

const AXES = { 0: { name: "step", whole: true }, 6: { name: "time", format: duration, ticks: timeTicks }, 7: { name: "epoch" } };
const [LOSS, RATE, NORM, SPEED, MEMORY, TRAINED] = [1, 2, 3, 4, 5, 8];

// What a preference objective measures, side by side where it belongs together.
const MEASURES = [
  ["Rewards", "beta times the log-ratio to the reference", ["rewards/chosen", "rewards/rejected"]], ["Reward margin", "chosen less rejected", ["rewards/margins"]],
  ["Accuracy", "share of pairs told apart", ["rewards/accuracies"]], ["Log-probabilities", "of whole answers", ["logps/chosen", "logps/rejected"]], ["KL", "policy from reference", ["kl"]],
];

function render() {
  const weight = +$("smoothing").value, column = +$("axis").value, axis = AXES[column];
  $("smoothing-value").textContent = weight.toFixed(2);
  const points = (run, i) => run.steps.map(row => [row[column], row[i]]);
  // An evaluation has a step alone; its place on another axis is that of the step row at or behind it.
  const place = (run, step) => { const row = run.steps.find(r => r[0] >= step) || run.steps[run.steps.length - 1]; return column === 0 || !row ? step : step === 0 ? 0 : row[column]; };
  const curves = (name, i, smoothed) => RUNS.flatMap((run, k) => {
    const raw = points(run, i), title = many ? run.name + " " + name : name;
    return [
      { name: title, kind: "raw", points: smoothed && weight > 0 ? raw : [], colour: colour(k) },
      { name: title, kind: "line", points: smoothed ? smooth(raw, run.steps.map(row => row[0]), weight) : raw, colour: colour(k) },
    ];
  });
  const held = RUNS.map((run, k) => ({ name: many ? run.name + " held-out" : "held-out", kind: "eval", points: run.evals.map(r => [place(run, r[0]), r[1]]), colour: many ? colour(k) : colour(1) }));
  const hasHeld = held.some(s => s.points.length > 0);
  const legend = many ? hasHeld ? [["training", "line", "var(--dim)"], ["held-out", "eval", "var(--dim)"]] : [] : [["training", "line", colour(0)], ...(hasHeld ? [["held-out", "eval", colour(1)]] : [])];
  const names = [...new Set(RUNS.flatMap(run => run.measured.map(m => m.name)))];
  const groups = [...MEASURES.map(([title, unit, wanted]) => [title, unit, wanted.filter(name => names.includes(name))]), ...names.filter(name => !MEASURES.some(m => m[2].includes(name))).map(name => [name, "", [name]])];
  const measured = groups.filter(group => group[2].length).map(([title, unit, wanted]) => {
    const series = RUNS.flatMap((run, k) => wanted.flatMap((name, j) => {
      const own = run.measured.find(m => m.name === name) || { steps: [], evals: [] }, c = colour(many ? k : j), label = (many ? run.name + " " : "") + name;
      const raw = own.steps.map(([step, value]) => [place(run, step), value]);
      return [
        { name: label, kind: "raw", points: weight > 0 ? raw : [], colour: c },
        { name: label, kind: "line", points: smooth(raw, own.steps.map(row => row[0]), weight), colour: c },
        { name: label + " held-out", kind: "eval", points: own.evals.map(([step, value]) => [place(run, step), value]), colour: c },
      ];
    }));
    return chart(title, unit, series, axis, { legend: many ? [] : wanted.map((name, j) => [name.replace(/.*\//, ""), "line", colour(j)]) });
  });
  const nodes = [
    chart("Loss", names.length ? "of the objective" : "nats a token", [...curves("loss", LOSS, true), ...held], axis, { wide: true, log: $("log").checked, legend }),
    ...measured,
    chart("Learning rate", "", curves("rate", RATE, false), axis, { zero: true }),
    chart("Gradient norm", "before clipping", curves("norm", NORM, true), axis, { zero: true }),
    chart("Speed", "tokens a second", curves("tokens/s", SPEED, true), axis, { zero: true }),
    chart("Memory", "resident", curves("memory", MEMORY, false), axis, { zero: true, format: bytes, ticks: byteTicks }),
    ...(many ? [] : [
      chart("Trained tokens", "in a step", curves("tokens", TRAINED, true), axis, { zero: true }),
      bars("Row lengths", "rows by tokens", RUNS[0].lengths, "up to so many tokens"),
    ]),
  ].filter(Boolean);
  $("charts").replaceChildren(...nodes);
  for (const node of nodes) node.draw();
}

/** Looks at a part of the axis, or at all of it. */
function look(range) {
  zoom = range;
  $("whole").hidden = !range;
  render();
}

function progress(run) {
  if (run.ended) return run.ended;
  const last = run.steps.length ? run.steps[run.steps.length - 1][0] : 0;
  return run.max_steps ? `running, ${last} of ${run.max_steps} steps; this page loads itself again` : "";
}

function fill() {
  const first = RUNS[0];
  $("title").textContent = many ? RUNS.length + " runs compared" : first.name;
  document.title = $("title").textContent + " · trainer";
  const names = paths => paths.split(", ").map(path => path.replace(/^path=/, "").split("/").pop()).join(", ");
  const set = name => (first.settings.find(s => s[0] === name) || ["", ""])[1];
  $("state").textContent = many ? RUNS.map(r => r.name).join(", ") : [progress(first), set("model") && `model ${set("model")}`, names(set("data")) && `data ${names(set("data"))}`].filter(Boolean).join(" · ");
  if (many) {
    $("facts").append(table(["state", ...new Set(RUNS.flatMap(run => run.facts.map(f => f[0])))], run => [["state", run.ended || "running"], ...run.facts]));
    $("legend").append(...RUNS.map((run, i) => make("span", {}, make("i", { class: "key", style: "border-color:" + colour(i) }), run.name)));
  } else $("facts").append(...first.facts.map(([name, value]) => make("div", { class: "fact" }, make("b", {}, value), make("span", {}, name))));
  const warnings = RUNS.flatMap(run => run.warnings.map(w => many ? run.name + ": " + w : w));
  if (warnings.length) $("warnings").append(make("h2", {}, "Warnings"), ...warnings.map(w => make("div", { class: "card warning" }, w)));
  fillSamples();
  fillSettings();
}

/** A card for each prompt: one run's answers from the newest back, or each run's newest. */
function fillSamples() {
  const prompts = [...new Set(RUNS.flatMap(run => run.samples.map(s => s.prompt)))];
  if (prompts.length === 0) return;
  const answer = (label, text, earlier) => make("div", { class: "answer" + (earlier ? " earlier" : "") }, make("span", {}, ...label), make("div", {}, text || "(nothing)"));
  const newest = (run, i, prompt) => {
    const mine = run.samples.filter(s => s.prompt === prompt), last = mine[mine.length - 1];
    return last ? [answer([make("i", { class: "key", style: "border-color:" + colour(i) }), `${run.name}, step ${last.step}`], last.text)] : [];
  };
  const history = (run, prompt) => {
    const spans = [];
    for (const s of run.samples.filter(s => s.prompt === prompt)) {
      const before = spans[spans.length - 1];
      if (before && before.text === s.text) before.to = s.step; else spans.push({ from: s.step, to: s.step, text: s.text });
    }
    return spans.reverse().map((s, i) => answer([s.from === s.to ? "step " + s.from : `steps ${s.from} to ${s.to}`], s.text, i > 0));
  };
  $("samples").append(make("h2", {}, "Samples"), ...prompts.map(prompt => make("div", { class: "card" }, make("div", { class: "prompt" }, prompt), ...(many ? RUNS.flatMap((run, i) => newest(run, i, prompt)) : history(RUNS[0], prompt)))));
}

/** Of several runs, what differs stands first; the rest is what they share. */
function fillSettings() {
  const keys = [...new Set(RUNS.flatMap(run => run.settings.map(s => s[0])))];
  const value = (run, key) => (run.settings.find(s => s[0] === key) || ["", ""])[1];
  const differing = keys.filter(key => new Set(RUNS.map(run => value(run, key))).size > 1), shared = keys.filter(key => !differing.includes(key));
  if (many && differing.length) $("settings").append(make("h2", {}, "Settings that differ"), table(differing, run => run.settings));
  if (!keys.length) return;
  $("settings").append(make("details", {}, make("summary", {}, many ? "Settings they share" : "Settings"), table(many ? shared : keys, run => run.settings, many ? RUNS.slice(0, 1) : RUNS)));
}

function table(keys, rows, runs = RUNS) {
  const node = make("table");
  if (runs.length > 1) node.append(make("tr", {}, make("th"), ...runs.map((run, i) => make("th", {}, make("i", { class: "key", style: "border-color:" + colour(i) }), run.name))));
  for (const key of keys) node.append(make("tr", {}, make("td", {}, key), ...runs.map(run => make("td", {}, (rows(run).find(s => s[0] === key) || ["", ""])[1]))));
  return make("div", { class: "scroll" }, node);
}

/** The page of a running run loads itself again; what was chosen stays. Some browsers deny storage to a page from disk. */
function remember(write) {
  try {
    if (write) sessionStorage.setItem("report", JSON.stringify([$("smoothing").value, $("log").checked, $("axis").value]));
    else if (sessionStorage.getItem("report")) [$("smoothing").value, $("log").checked, $("axis").value] = JSON.parse(sessionStorage.getItem("report"));
  } catch { return; }
}

fill();
remember(false);
render();
for (const id of controls) $(id).addEventListener("input", () => { remember(true); render(); });
// Steps, hours and epochs are not the same numbers.
$("axis").addEventListener("input", () => look(null));
$("whole").addEventListener("click", () => look(null));
// A link may name a part: report.html#100-200.
const named = location.hash.match(/^#([\d.]+)-([\d.]+)$/);
if (named && +named[1] < +named[2]) look([+named[1], +named[2]]);
let width = document.body.clientWidth;
new ResizeObserver(() => { if (document.body.clientWidth !== width) { width = document.body.clientWidth; render(); } }).observe(document.body);
