// -- the leaderboard --------------------------------------------------------------------------------------

const GROUPS = { prediction: "Predictions and calibration", score: "Detection of errors", probability: "Score as a probability of error", shift: "Detection of shift" };
const worse = (metric) => ({ higher: (v) => -v, lower: (v) => v, nominal: (v) => Math.abs(v - 0.9) })[index.metrics[metric].better];
const isOfPrediction = (metric) => index.metrics[metric].of === "prediction";
const metricTitle = (metric) => `${index.metrics[metric].label} (${metric})`;

const leaderboard = {
  title: "Leaderboard",
  guide: "Methods in the order of their mean rank over the chosen metrics, settings and evaluation sets; a method that was not measured on all of them stands below, without a rank. Means over seeds, then over settings.",

  async controls() {
    const board = await json(index.board);
    const here = new Set(board.metric);
    const grouped = Object.entries(GROUPS).map(([of, title]) =>
      [title, Object.keys(index.metrics).filter((m) => here.has(m) && index.metrics[m].of === of).map((m) => [m, metricTitle(m)])]);
    const names = (place) => [...new Set(index.settings.map((setting) => setting[place]))];
    const group = (key, legend, place, titles) => {
      const every = names(place);
      return boxes(key, legend, every.map((name) => [name, titles[name] ?? name]), chosenList(key, every));
    };
    return [
      boxes("metrics", "Metrics", grouped.filter(([, inner]) => inner.length), pickedMetrics(board)),
      group("models", "Models", 0, index.models), group("tasks", "Tasks", 1, index.tasks), group("recipes", "Recipes", 2, {}),
      menu("where", "Evaluated on", [["test", "own test sets"], ["shift", "shift sets"], ["all", "all sets"]], chosen("where", "test")),
      entry("cost", "Time an example at most, × one adapter’s", { type: "number", min: "1", step: "any", placeholder: "any" }),
    ];
  },

  async output() {
    const picked = await ranked();
    const { rows, metrics, cells } = picked;
    const [key, descending] = [chosen("sort", "rank"), chosen("down") === "1"];
    const columns = [
      { key: "method", title: "Method" }, { key: "rank", title: "Mean rank", number: true },
      ...metrics.map((metric) => ({ key: metric, title: index.metrics[metric].label, number: true, best: index.metrics[metric].better === "higher" })),
      { key: "time", title: "Time an example, ×", number: true }, { key: "training", title: "Training, ×", number: true },
      { key: "cells", title: "Measured", number: true, best: true },
    ];
    const value = (row) => ({ method: row.title, rank: row.rank, time: row.time, training: row.training, cells: row.found })[key] ?? row.means[key] ?? null;
    const sign = descending ? -1 : 1;
    rows.sort((a, b) => (a.complete === b.complete || key === "method" ? 0 : b.found - a.found || (a.complete ? -1 : 1)) || compared(value(a), value(b), sign) || compared(a.title, b.title, 1));
    const by = (column) => select({ sort: column.key, down: (column.key === key ? !descending : column.best) ? "1" : null });
    const line = (row) => [
      row.title, row.complete ? number(row.rank, 2) : "–",
      ...metrics.map((m) => printed(m, row.means[m]) + (row.spread[m] === null ? "" : ` ± ${printed(m, row.spread[m])}`)),
      number(row.time, 2), number(row.training, 2), `${row.found} of ${row.wanted}`,
    ];
    const meaning = metrics.map((m) => h("li", {}, h("strong", {}, index.metrics[m].label), `: ${index.metrics[m].meaning}; ${index.metrics[m].better === "nominal" ? "0.9 is best" : `${index.metrics[m].better} is better`}.`));
    say(`${counted(rows.length)} methods, ${counted(rows.filter((row) => row.complete).length)} of them measured on all of ${counted(cells)} settings and evaluation sets.`);
    return [table("Leaderboard", columns, rows.map(line), { key, descending, by }), h("ul", { class: "meaning" }, meaning), rows.length ? pareto(rows, metrics[0]) : null];
  },
};

const printed = (metric, value) => value === null ? "–" : number(value * index.metrics[metric].scale, index.metrics[metric].decimals);

/** Order of two values; what is missing comes last. */
function compared(a, b, sign) {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  return sign * (typeof a === "string" ? a.localeCompare(b) : a - b);
}

const pickedMetrics = (board) => {
  const every = Object.keys(index.metrics).filter((metric) => board.metric.includes(metric));
  const found = chosenList("metrics", every);
  return selection().has("metrics") && found.length ? found : [every.includes("auroc") ? "auroc" : every[0]].filter(Boolean);
};

/** The rows of the leaderboard under the current selection. */
async function ranked() {
  const board = await json(index.board);
  const metrics = pickedMetrics(board);
  const lists = ["models", "tasks", "recipes"].map((key, place) => chosenList(key, [...new Set(index.settings.map((s) => s[place]))]));
  const where = chosen("where", "test");
  const values = new Map(); // metric → setting and set → method → [mean, standard deviation]
  board.metric.forEach((metric, i) => {
    const [place, on] = [board.setting[i], board.on[i]];
    if (!metrics.includes(metric) || !lists.every((list, part) => list.includes(index.settings[place][part]))) return;
    if (where !== "all" && (where === "test") !== (on === index.settings[place][1])) return;
    const cells = values.get(metric) ?? values.set(metric, new Map()).get(metric);
    const cell = cells.get(`${place} ${on}`) ?? cells.set(`${place} ${on}`, new Map()).get(`${place} ${on}`);
    cell.set(board.method[i], [board.mean[i], board.std[i]]);
  });
  const onlyPredictions = metrics.every(isOfPrediction);
  const methods = new Set([...values.values()].flatMap((cells) => [...cells.values()].flatMap((cell) => [...cell.keys()])));
  const names = [...methods].filter((method) => onlyPredictions || method.includes("/"));
  const cells = new Set([...values.values()].flatMap((found) => [...found.keys()]));
  const rows = names.map((method) => ({ method, title: titleOf(method), means: {}, spread: {}, ranks: [], found: 0, wanted: 0 }));
  for (const metric of metrics) rankOn(rows, metric, values.get(metric) ?? new Map());
  const places = [...new Set([...cells].map((cell) => Number(cell.split(" ")[0])))];
  for (const row of rows) {
    row.complete = row.found === row.wanted;
    row.rank = row.complete ? mean(row.ranks) : null;
    [row.training, row.time] = [0, 1].map((part) => relativeCost(row.method, places, part));
  }
  const most = Number(chosen("cost"));
  const kept = most ? rows.filter((row) => row.time !== null && row.time <= most * (1 + 1e-9)) : rows;
  return { rows: kept, metrics, cells: cells.size };
}

/** Let every row know its mean, spread and ranks of a metric. */
function rankOn(rows, metric, cells) {
  const found = new Map(rows.map((row) => [row, []]));
  for (const cell of cells.values()) {
    const of = (row) => cell.get(isOfPrediction(metric) ? predictiveOf(row.method) : row.method);
    const here = rows.filter(of);
    const places = ranks(here.map((row) => of(row)[0]), worse(metric));
    here.forEach((row, i) => { row.ranks.push(places[i]); found.get(row).push(of(row)); });
    for (const row of rows) row.wanted++;
  }
  for (const [row, measured] of found) {
    row.found += measured.length;
    row.means[metric] = mean(measured.map(([value]) => value));
    row.spread[metric] = cells.size === 1 && measured.length ? measured[0][1] : null;
  }
}

/** Mean over settings of a predictive's cost over that of one adapter's own prediction; `part`: 0 training, 1 time. */
function relativeCost(method, places, part) {
  const of = (costs, name) => costs[name]?.[part] ?? null;
  const found = places.map((place) => index.costs[place]).map((costs) => [of(costs, predictiveOf(method)), of(costs, "point")])
    .filter(([own, plain]) => own !== null && plain);
  return mean(found.map(([own, plain]) => own / plain));
}

/** Quality against cost; the methods that none beats in both are joined. */
function pareto(rows, metric) {
  const shown = rows.filter((row) => row.complete && row.time !== null && row.means[metric] !== null);
  const bad = worse(metric);
  const front = shown.filter((row) => !shown.some((other) => other !== row && other.time <= row.time && bad(other.means[metric]) <= bad(row.means[metric])
    && (other.time < row.time || bad(other.means[metric]) < bad(row.means[metric])))).sort((a, b) => a.time - b.time || bad(a.means[metric]) - bad(b.means[metric]));
  if (!shown.length) return h("p", {}, "No time of evaluation was measured for these methods: there is no figure of quality against cost.");
  const { label, scale } = index.metrics[metric];
  const points = (list) => ({ x: list.map((row) => row.time), y: list.map((row) => row.means[metric] * scale), text: list.map((row) => row.title) });
  const hover = "%{text}<br>%{y:.4g} at %{x:.3g} ×<extra></extra>";
  return figure("Quality against cost", `Mean ${label} and the time an example takes, relative to one adapter’s; the methods that no other beats in both are joined.`, [
    { ...points(shown), mode: "markers", name: "methods", marker: { color: COLOURS[0], size: 9 }, hovertemplate: hover },
    { ...points(front), mode: "lines+markers", name: "beaten by none", line: { color: COLOURS[1], dash: "dash" }, marker: { symbol: "diamond", size: 11 }, hovertemplate: hover },
  ], { x: { title: { text: "Time an example, × one adapter’s" }, type: "log" }, y: { title: { text: label } } },
  table("Methods that no other beats in both quality and cost", [{ title: "Method" }, { title: label, number: true }, { title: "Time, ×", number: true }], front.map((row) => [row.title, printed(metric, row.means[metric]), number(row.time, 2)])));
}
