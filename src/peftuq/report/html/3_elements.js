// -- elements: every text becomes a text node, never markup ---------------------------------------------

function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  made.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
  return made;
}

/** A control with its label; `data-key` is what it chooses in the selection. */
const field = (label, control) => h("label", { class: "field" }, h("span", {}, label), control);

function menu(key, label, options, value) {
  const entry = ([name, title]) => h("option", { value: name, selected: name === value }, title);
  const entries = options.map((one) =>
    Array.isArray(one[1]) ? h("optgroup", { label: one[0] }, one[1].map(entry)) : entry(one));
  return field(label, h("select", { id: `control-${key}`, "data-key": key }, entries));
}

const entry = (key, label, attributes) =>
  field(label, h("input", { id: `control-${key}`, "data-key": key, value: chosen(key), ...attributes }));

/** Boxes of which any number may be ticked. */
function boxes(key, legend, options, ticked) {
  const box = ([name, title]) =>
    h("label", {}, h("input", { type: "checkbox", "data-list": key, id: `control-${key}-${name}`, value: name, checked: ticked.includes(name) }), title);
  const inner = options.map((one) =>
    Array.isArray(one[1]) ? h("div", { role: "group", "aria-label": one[0] }, h("strong", {}, one[0]), one[1].map(box)) : box(one));
  return h("details", { class: "boxes", "data-details": key, open: opened.has(key) },
    h("summary", {}, `${legend}: ${ticked.length} chosen`), h("fieldset", {}, h("legend", { class: "hidden" }, legend), inner));
}
const opened = new Set(); // which groups of boxes are open, through their being made anew

/** A table whose heads sort it. `columns`: {key, title, number, wide, sort}; `rows`: lists of texts or elements. */
function table(caption, columns, rows, sort = null) {
  const shape = ({ number, wide }) => (number ? "number" : wide ? "wide" : null);
  const head = (column) => {
    if (!sort || column.sort === false) return h("th", { scope: "col", class: shape(column) }, column.title);
    const active = sort.key === column.key;
    const arrow = active ? (sort.descending ? " ▼" : " ▲") : "";
    const button = h("button", { type: "button", id: `sort-${column.key}`, onclick: () => sort.by(column) },
      column.title, h("span", { "aria-hidden": "true" }, arrow));
    const state = active ? (sort.descending ? "descending" : "ascending") : "none";
    return h("th", { scope: "col", "aria-sort": state, class: shape(column) }, button);
  };
  const cell = (content, place) => place === 0
    ? h("th", { scope: "row", class: shape(columns[0]) }, content)
    : h("td", { class: shape(columns[place]) }, content);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, columns.map(head))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell))))));
}

const number = (value, decimals) => value === null || value === undefined || Number.isNaN(value) ? "–" : value.toFixed(decimals);
const short = (value) => Number.isNaN(value) ? "–" : Number(value.toPrecision(4)).toString();
const snippet = (said, most = 160) => said.length > most ? `${said.slice(0, most)} …` : said;
const counted = (count) => count.toLocaleString("en");
