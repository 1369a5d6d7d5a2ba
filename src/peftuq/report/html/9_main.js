// -- one example, and the page as a whole -------------------------------------------------------------------

const VIEWS = { leaderboard, figures, examples, comparison };
const SHAPES = ["view", "setting", "on", "example"]; // what changes the controls themselves
const $$ = (id) => document.getElementById(id);
const say = (sentence) => { $$("status").textContent = sentence; };

/** All that is known of an example, in a dialog. */
async function showExample(set, row) {
  const dialog = $$("example");
  const [said, label] = await Promise.all([example(set, row), array(set.label)]);
  const names = Object.keys(set.predictives);
  const all = await Promise.all(names.map((name) => predicted(set, name)));
  const count = Math.max(...all.map((one) => one.options));
  const places = [...Array(count).keys()].filter((place) => index.kinds[set.on] !== "choice" || place < said.options.length);
  const probabilities = places.map((place) => [
    [h("bdi", {}, option(set, said.options, place)), set.labelled && label[row] === place ? h("strong", {}, " (label)") : null],
    ...all.map((one) => [number(one.every[row * one.options + place], 4), one.answers[row] === place ? " ◀" : ""]),
  ]);
  const scores = await Promise.all(methodsOf(set).map(async (method) => {
    const values = await array(set.scores[method]);
    return [titleOf(method), short(values[row]), `${number(100 * percentile(values, row), 0)} %`];
  }));
  const summary = names.map((name, i) => [`${titleOf(name)} (seed ${set.predictives[name].seed})`, h("bdi", {}, option(set, said.options, all[i].answers[row])), verdict(all[i].wrong[row]) ?? "–"]);
  dialog.replaceChildren(
    h("div", { class: "bar" }, h("h2", { id: "example-title" }, `Example ${row} of ${set.on}`), h("button", { type: "button", id: "close", onclick: () => dialog.close() }, "Close")),
    h("p", { class: "said", dir: "auto" }, said.text), said.question ? h("p", { class: "said", dir: "auto" }, said.question) : null,
    table("Answers", [{ title: "Prediction" }, { title: "Answer" }, { title: "Right?" }], summary),
    table("Probabilities of the options; ◀ marks the answer", [{ title: "Option" }, ...names.map((name) => ({ title: titleOf(name), number: true }))], probabilities),
    table("Scores, and the share of the set’s examples with a lower one", [{ title: "Score" }, { title: "Value", number: true }, { title: "Higher than", number: true }], scores),
  );
  if (!dialog.open) dialog.showModal();
}

/** Focus stays on the element of the same name while its surroundings are made anew. */
function replaced(element, children) {
  const kept = element.contains(document.activeElement) ? document.activeElement.id : "";
  element.replaceChildren(...[children].flat().filter(Boolean));
  if (kept) $$(kept)?.focus();
}

let shape = null, turn = 0, content = null;

/** Show what is selected; a later call overtakes one that still waits for its columns. */
async function show() {
  const mine = ++turn;
  const name = chosen("view") in VIEWS ? chosen("view") : "leaderboard", view = VIEWS[name];
  const next = selection();
  next.delete("example");
  try {
    if (content !== String(next)) {
      const controls = await view.controls(), output = await view.output();
      if (mine !== turn) return;
      const wanted = SHAPES.map((key) => chosen(key)).join(" ");
      const typing = document.activeElement?.dataset?.key === "find";
      if (!typing || wanted !== shape) replaced($$("controls"), controls);
      shape = wanted;
      content = String(next);
      replaced($$("output"), output);
      heading(name, view);
    }
    const row = Number(chosen("example", "-1")), set = chosenSet();
    if (set && Number.isInteger(row) && row >= 0 && row < set.examples) await showExample(set, row);
    else if ($$("example").open) $$("example").close();
  } catch (error) {
    say(`This part of the page cannot be shown: ${error.message}`);
    throw error;
  }
  document.documentElement.dataset.shown = String(mine);
}

function heading(name, view) {
  $$("heading").textContent = view.title;
  $$("guide").textContent = view.guide;
  $$("views").replaceChildren(...Object.entries(VIEWS).map(([key, { title }]) =>
    h("a", { href: address({ view: key, example: null }), "aria-current": key === name ? "page" : null, id: `view-${key}` }, title)));
}

function changed(event) {
  const { key, list } = event.target.dataset;
  const first = { page: null, example: null };
  if (key) select({ ...first, [key]: event.target.value || null, ...(key === "setting" ? { on: null } : {}), ...(["setting", "on"].includes(key) ? { label: null } : {}) }, key === "find");
  if (list) select({ ...first, [list]: [...document.querySelectorAll(`[data-list="${list}"]:checked`)].map((box) => box.value).join(",") });
}

let waiting = 0;
$$("controls").addEventListener("change", changed);
$$("controls").addEventListener("submit", (event) => event.preventDefault());
$$("controls").addEventListener("input", (event) => {
  if (event.target.dataset.key !== "find") return;
  clearTimeout(waiting);
  waiting = setTimeout(() => changed(event), 250);
});
$$("controls").addEventListener("toggle", (event) => {
  const { details } = event.target.dataset;
  if (details) opened[event.target.open ? "add" : "delete"](details);
}, true);
$$("example").addEventListener("close", () => {
  const row = chosen("example");
  select({ example: null });
  $$(`example-${row}`)?.focus();
});
document.querySelector(".skip").addEventListener("click", (event) => { // its target is no part of the selection
  event.preventDefault();
  $$("main").focus();
});
window.addEventListener("popstate", show);
window.addEventListener("hashchange", show);
await show();
