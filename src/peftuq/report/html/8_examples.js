// -- every test example, and two methods side by side -------------------------------------------------------

const FILTERS = [["all", "all examples"], ["wrong", "A is wrong"], ["right", "A is right"], ["only-a", "A wrong, B right"], ["only-b", "A right, B wrong"]];
const SIZES = ["25", "50", "100"];

function twoMethods(set) {
  const a = chosenMethod(set, "a", methodsOf(set)[0]);
  const others = firstScores(set).filter((method) => method !== a);
  return [a, chosenMethod(set, "b", others[0] ?? methodsOf(set)[1] ?? a)];
}

async function columnsOf(set, [a, b]) {
  const method = async (name) => ({ name, scores: await array(set.scores[name]), ...(await predicted(set, predictiveOf(name))) });
  const [label, first, second] = await Promise.all([array(set.label), method(a), method(b)]);
  return { label, a: first, b: second };
}

const methodControls = (set) => {
  const [a, b] = twoMethods(set);
  return [menu("a", "Method A", grouped(set), a), menu("b", "Method B", grouped(set), b)];
};

const examples = {
  title: "Examples",
  guide: "Every test example with what two methods make of it; a score is higher where a method takes an answer to be more likely wrong. The number of an example leads to all that is known of it.",

  async controls() {
    const set = chosenSet();
    if (!set || !methodsOf(set).length) return set ? setControls(set) : [];
    const classes = index.texts[set.on].classes;
    const labels = [["", "any"], ...classes.map((said, place) => [String(place), option(set, classes, place)])];
    return [
      ...setControls(set), ...methodControls(set), menu("show", "Show", FILTERS, chosen("show", "all")),
      classes.length ? menu("label", "Label", labels, chosen("label")) : null,
      entry("find", "Find in texts", { type: "search", autocomplete: "off" }), menu("size", "Rows a page", SIZES.map((size) => [size, size]), chosen("size", SIZES[0])),
    ];
  },

  async output() {
    const set = chosenSet();
    if (!set || !methodsOf(set).length) return nothing();
    const columns = await columnsOf(set, twoMethods(set));
    const rows = await sortedRows(set, columns);
    const size = Number(chosen("size", SIZES[0])) || 25, pages = Math.max(1, Math.ceil(rows.length / size));
    const page = Math.min(pages, Math.max(1, Number(chosen("page", "1")) || 1));
    const shown = [...rows.subarray((page - 1) * size, page * size)];
    say(`${counted(rows.length)} of ${counted(set.examples)} examples${thinned()}; page ${counted(page)} of ${counted(pages)}.`);
    return [await exampleTable(set, columns, shown), pager(page, pages)];
  },
};

/** The value by which the examples are sorted. */
const sortValue = ({ label, a, b }, key) => ({ label, answer_a: a.answers, p_a: a.confidence, score_a: a.scores, answer_b: b.answers, p_b: b.confidence, score_b: b.scores })[key];

async function sortedRows(set, columns) {
  const { label, a, b } = columns;
  const [show, wanted, find] = [chosen("show", "all"), chosen("label"), chosen("find").trim().toLowerCase()];
  const tests = {
    wrong: (row) => a.wrong[row] === 1, right: (row) => a.wrong[row] === 0,
    "only-a": (row) => a.wrong[row] === 1 && b.wrong[row] === 0, "only-b": (row) => a.wrong[row] === 0 && b.wrong[row] === 1,
  };
  let rows = inOrder(sortValue(columns, chosen("order")), label.length, chosen("falling") === "1");
  if (tests[show]) rows = rows.filter(tests[show]);
  if (wanted !== "" && index.texts[set.on].classes.length) rows = rows.filter((row) => label[row] === Number(wanted));
  if (find) {
    const said = await Promise.all(index.texts[set.on].blocks.map(json));
    const size = index.texts[set.on].size;
    rows = rows.filter((row) => String(said[Math.floor(row / size)][row % size]).toLowerCase().includes(find));
  }
  return rows;
}

/** Places in the order of some values, or of the set; those whose value is NaN come last in either direction. */
function inOrder(values, count, falling) {
  const rising = values ? ordered(values) : Uint32Array.from({ length: count }, (_, row) => row);
  const known = falling ? rising.toReversed() : rising;
  if (known.length === count) return known;
  return Uint32Array.from([...known, ...[...values.keys()].filter((row) => Number.isNaN(values[row]))]);
}

const link = (row) => h("a", { href: address({ example: row }), id: `example-${row}`, "aria-label": `Example ${row}, details` }, String(row));
const verdict = (wrong) => wrong < 0 ? null : h("span", { class: wrong ? "wrong" : "right" }, wrong ? "✗ wrong" : "✓ right");

async function exampleTable(set, { label, a, b }, rows) {
  const heads = [
    { key: "row", title: "Number", number: true }, { key: "text", title: "Text", wide: true, sort: false }, { key: "label", title: "Label" },
    { key: "answer_a", title: "Answer A" }, { key: "p_a", title: "Probability A", number: true }, { key: "score_a", title: `Score A: ${titleOf(a.name)}`, number: true },
    { key: "answer_b", title: "Answer B" }, { key: "p_b", title: "Probability B", number: true }, { key: "score_b", title: `Score B: ${titleOf(b.name)}`, number: true },
  ];
  const answered = (method, said, row) => [
    [h("bdi", {}, snippet(option(set, said.options, method.answers[row]), 60)), " ", verdict(method.wrong[row])], number(method.confidence[row], 3), short(method.scores[row]),
  ];
  const lines = await Promise.all(rows.map(async (row) => {
    const said = await example(set, row);
    const shown = [said.text, said.question].filter(Boolean).join(" — ");
    return [link(row), h("bdi", { dir: "auto" }, snippet(shown)), set.labelled ? h("bdi", {}, snippet(option(set, said.options, label[row]), 60)) : "–", ...answered(a, said, row), ...answered(b, said, row)];
  }));
  const [key, descending] = [chosen("order", "row"), chosen("falling") === "1"];
  const by = (column) => select({ order: column.key, falling: (column.key === key ? !descending : column.number && column.key !== "row") ? "1" : null, page: null });
  return table("Examples", heads, lines, { key, descending, by });
}

function pager(page, pages) {
  const step = (name, to) => h("button", { type: "button", id: `page-${name.toLowerCase()}`, disabled: to < 1 || to > pages || to === page, onclick: () => select({ page: to }) }, name);
  const direct = h("input", { type: "number", min: "1", max: String(pages), value: String(page), id: "page-number", onchange: (event) => select({ page: event.target.value }) });
  return h("nav", { class: "pager", "aria-label": "Pages" }, step("First", 1), step("Previous", page - 1), field("Page", direct), step("Next", page + 1), step("Last", pages));
}

const comparison = {
  title: "Two methods",
  guide: "Where two methods fail: the wrong answers that each is most certain of, and the right ones that it is least certain of; last, the share of examples that have a lower score by the other method.",

  async controls() {
    const set = chosenSet();
    if (!set || !methodsOf(set).length) return set ? setControls(set) : [];
    return [...setControls(set), ...methodControls(set), menu("most", "Examples each", ["5", "10", "25"].map((size) => [size, size]), chosen("most", "10"))];
  },

  async output() {
    const set = chosenSet();
    if (!set || !methodsOf(set).length) return nothing();
    if (!set.labelled) { say("These examples have no labels: right and wrong are not known."); return []; }
    const columns = await columnsOf(set, twoMethods(set));
    const { a, b } = columns;
    const both = [...a.wrong.keys()].filter((row) => a.wrong[row] && b.wrong[row]).length;
    const errors = (method) => method.wrong.reduce((sum, wrong) => sum + wrong, 0);
    say(`Of ${counted(set.examples)} examples${thinned()} A answers ${counted(errors(a))} wrongly, B ${counted(errors(b))}, both ${counted(both)}.`);
    const sides = [["A", a, b], ["B", b, a]].map(async ([name, one, other]) => h("section", { "aria-label": `Method ${name}` },
      h("h3", {}, `${name}: ${titleOf(one.name)}`), await extremes(set, columns.label, one, other, 1), await extremes(set, columns.label, one, other, 0)));
    return h("div", { class: "sides" }, await Promise.all(sides));
  },
};

/** The wrong answers with the lowest scores, or the right ones with the highest. */
async function extremes(set, label, method, other, wrong) {
  const order = ordered(method.scores);
  const rows = [...(wrong ? order : order.toReversed()).filter((row) => method.wrong[row] === wrong).subarray(0, Number(chosen("most", "10")) || 10)];
  const said = await Promise.all(rows.map((row) => example(set, row)));
  const lines = rows.map((row, i) => [
    link(row), h("bdi", { dir: "auto" }, snippet(said[i].text || said[i].question, 110)), h("bdi", {}, snippet(option(set, said[i].options, label[row]), 40)), h("bdi", {}, snippet(option(set, said[i].options, method.answers[row]), 40)),
    number(method.confidence[row], 3), short(method.scores[row]), `${number(100 * percentile(other.scores, row), 0)} %`,
  ]);
  const heads = ["Number", "Text", "Label", "Answer", "Probability", "Score", "Higher than, by the other"];
  return table(wrong ? "Most certain and wrong" : "Most uncertain and right", heads.map((title, i) => ({ title, wide: i === 1, number: i === 0 || i > 3 })), lines);
}
