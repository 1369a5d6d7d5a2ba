// -- figures of one evaluation set ------------------------------------------------------------------------

const POINTS = 3000; // drawn in a scatter plot

/** Setting and evaluation set of the selection; the first ones there are by default. */
function chosenSet() {
  const found = setOf(chosen("setting"), chosen("on"));
  return found ?? index.sets.find((set) => settingKey(set.setting) === chosen("setting")) ?? index.sets[0];
}

function setControls(set) {
  const places = [...new Set(index.sets.map((one) => one.setting))];
  const titled = (place) => { const [model, task, recipe] = index.settings[place]; return `${index.models[model] ?? model} on ${task}, ${recipe}`; };
  const here = index.sets.filter((one) => one.setting === set.setting);
  return [
    menu("setting", "Setting", places.map((place) => [settingKey(place), titled(place)]), settingKey(set.setting)),
    menu("on", "Evaluated on", here.map((one) => [one.on, index.tasks[one.on] ?? one.on]), set.on),
  ];
}

const methodsOf = (set) => Object.keys(set.scores);
/** Methods by predictive, for a menu. */
const grouped = (set) => Object.keys(set.predictives).map((name) =>
  [titleOf(name), methodsOf(set).filter((method) => predictiveOf(method) === name).map((method) => [method, titleOf(method)])]).filter(([, inner]) => inner.length);
const chosenMethod = (set, key, otherwise) => methodsOf(set).includes(chosen(key)) ? chosen(key) : methodsOf(set).includes(otherwise) ? otherwise : methodsOf(set)[0];
const firstScores = (set) => Object.keys(set.predictives).map((name) => methodsOf(set).find((method) => predictiveOf(method) === name)).filter(Boolean).slice(0, 6);

const shownPredictives = (set) => { const names = Object.keys(set.predictives); return chosenList("predictives", names, names.slice(0, 4)); };
const shownScores = (set) => chosenList("methods", methodsOf(set), firstScores(set));

/** Mutual information and entropy of one predictive, where a set has them. */
function informationOf(set) {
  const name = Object.keys(set.predictives).find((one) => `${one}/mutual_information` in set.scores && `${one}/entropy` in set.scores);
  return name ? [`${name}/entropy`, `${name}/mutual_information`] : methodsOf(set).slice(0, 2);
}

const figures = {
  title: "Figures",
  guide: "Computed here, from the examples of one seed: reliability of the predictions, risk against coverage, and two scores against each other, by default entropy and mutual information. A point leads to its example.",

  async controls() {
    const set = chosenSet();
    if (!set) return [];
    const names = Object.keys(set.predictives), [across, up] = informationOf(set);
    return [
      ...setControls(set),
      boxes("predictives", "Predictions", names.map((name) => [name, titleOf(name)]), shownPredictives(set)),
      boxes("methods", "Scores", grouped(set), shownScores(set)),
      menu("across", "Horizontal score", grouped(set), chosenMethod(set, "across", across)),
      menu("up", "Vertical score", grouped(set), chosenMethod(set, "up", up)),
    ];
  },

  async output() {
    const set = chosenSet();
    if (!set) return nothing();
    const [across, up] = informationOf(set);
    say(`${counted(set.examples)} examples${thinned()}${set.labelled ? "" : "; they have no labels: right and wrong are not known"}.`);
    const drawn = methodsOf(set).length ? [scatter(set, chosenMethod(set, "across", across), chosenMethod(set, "up", up))] : [];
    if (set.labelled) drawn.unshift(reliabilityFigure(set, shownPredictives(set)), riskFigure(set, shownScores(set)));
    return h("div", { class: "figures" }, await Promise.all(drawn));
  },
};

const thinned = () => (index.every > 1 ? ` (every ${index.every}th of the set)` : "");
const nothing = () => { say("No examples were found."); return []; };

async function reliabilityFigure(set, names) {
  const found = await Promise.all(names.map(async (name) => { const { confidence, wrong } = await predicted(set, name); return [name, reliability(confidence, wrong)]; }));
  const traces = found.map(([name, bins], place) => ({
    x: bins.map((bin) => bin.confidence), y: bins.map((bin) => bin.accuracy), text: bins.map((bin) => `${bin.count} examples`), mode: "lines+markers",
    name: `${titleOf(name)}, ECE ${number(100 * calibrationError(bins), 1)} %`, line: look(place), marker: { color: look(place).color, size: bins.map((bin) => 6 + 14 * Math.sqrt(bin.count / set.examples)) },
    hovertemplate: "confidence %{x:.3f}<br>accuracy %{y:.3f}<br>%{text}<extra></extra>",
  }));
  traces.unshift({ x: [0, 1], y: [0, 1], mode: "lines", name: "calibrated", line: { color: "#777", width: 1 }, hoverinfo: "skip" });
  const rows = found.flatMap(([name, bins]) => bins.map((bin) => [titleOf(name), number(bin.lower, 3), counted(bin.count), number(bin.confidence, 4), number(bin.accuracy, 4)]));
  return figure("Reliability", "Accuracy against confidence in 15 bins of equal width; a larger marker stands for more examples. ECE: expected calibration error.", traces,
    { x: { title: { text: "Confidence" }, range: [0, 1.02] }, y: { title: { text: "Accuracy" }, range: [-0.02, 1.02] } },
    table("Reliability", [{ title: "Prediction" }, { title: "From", number: true }, { title: "Examples", number: true }, { title: "Confidence", number: true }, { title: "Accuracy", number: true }], rows));
}

async function riskFigure(set, methods) {
  const found = await Promise.all(methods.map(async (method) => {
    const [scores, { wrong }] = await Promise.all([array(set.scores[method]), predicted(set, predictiveOf(method))]);
    return [method, riskCoverage(scores, wrong)];
  }));
  const traces = found.map(([method, risk], place) => {
    const step = Math.max(1, Math.ceil(risk.length / 1000));
    const places = [...risk.keys()].filter((i) => (i + 1) % step === 0 || i === risk.length - 1);
    return { x: places.map((i) => (i + 1) / risk.length), y: places.map((i) => risk[i]), mode: "lines", name: titleOf(method), line: look(place), hovertemplate: "coverage %{x:.3f}<br>risk %{y:.4f}<extra></extra>" };
  });
  const at = [0.5, 0.8, 0.9, 1];
  const risk = (curve, coverage) => curve.length ? curve[Math.ceil(Number((coverage * curve.length).toFixed(6))) - 1] : NaN;
  const rows = found.map(([method, curve]) => [titleOf(method), ...at.map((coverage) => number(risk(curve, coverage), 4)), number(mean([...curve]), 4)]);
  return figure("Risk against coverage", "Error rate among the answers that are kept when the most uncertain ones are not given. AURC: the area below.", traces,
    { x: { title: { text: "Coverage" }, range: [0, 1.02] }, y: { title: { text: "Risk" }, rangemode: "tozero" } },
    table("Risk at some coverages", [{ title: "Score" }, ...at.map((coverage) => ({ title: `Risk at ${100 * coverage} %`, number: true })), { title: "AURC", number: true }], rows));
}

async function scatter(set, across, up) {
  const [x, y, { wrong }] = await Promise.all([array(set.scores[across]), array(set.scores[up]), predicted(set, predictiveOf(up))]);
  const step = Math.max(1, Math.ceil(set.examples / POINTS));
  const rows = [...x.keys()].filter((row) => row % step === 0);
  const kinds = set.labelled ? [[0, "right"], [1, "wrong"]] : [[-1, "without a label"]];
  const traces = kinds.map(([kind, name], place) => {
    const here = rows.filter((row) => wrong[row] === kind);
    return { x: here.map((row) => x[row]), y: here.map((row) => y[row]), customdata: here, mode: "markers", name, marker: { color: COLOURS[place], symbol: ["circle", "x"][place], size: 7, opacity: 0.65 }, hovertemplate: "%{x:.4g}, %{y:.4g}<extra>%{customdata}</extra>" };
  });
  const summary = kinds.map(([kind, name]) => {
    const here = [...x.keys()].filter((row) => wrong[row] === kind);
    return [name, counted(here.length), short(mean(here.map((row) => x[row])) ?? NaN), short(mean(here.map((row) => y[row])) ?? NaN)];
  });
  return figure(`${titleOf(up)} against ${titleOf(across)}`, `Right and wrong by the prediction of ${titleOf(predictiveOf(up))}.${step > 1 ? ` Every ${step}th example is drawn.` : ""} A click on a point shows its example.`, traces,
    { x: { title: { text: titleOf(across) } }, y: { title: { text: titleOf(up) } } },
    table("Means", [{ title: "Examples" }, { title: "Number", number: true }, { title: titleOf(across), number: true }, { title: titleOf(up), number: true }], summary), (row) => select({ example: row }));
}
