// -- the selection: it stands in the address, so that a link leads to what one sees -----------------------

const selection = () => new URLSearchParams(location.hash.slice(1));
const chosen = (key, otherwise = "") => selection().get(key) ?? otherwise;
const chosenList = (key, every, otherwise = every) => {
  const found = selection().get(key);
  return found === null ? otherwise : found.split(",").filter((name) => every.includes(name));
};

/** The address of the selection with some changes; null or undefined takes a key away. */
function address(changes) {
  const next = selection();
  for (const [key, value] of Object.entries(changes))
    if (value === null || value === undefined) next.delete(key);
    else next.set(key, value);
  return `#${next}`;
}

/** Change the selection; a step of its own in the browser's history unless it `replaces` the last one. */
function select(changes, replaces = false) {
  const next = address(changes);
  if (next === location.hash) return;
  history[replaces ? "replaceState" : "pushState"](null, "", next);
  show();
}
