// -- statistics of columns: as the library's metrics define them -------------------------------------------

const orders = new WeakMap();

/** Places of examples from the lowest value up; equal ones in the order of the set. NaN is not among them. */
function ordered(values) {
  if (!orders.has(values)) orders.set(values, sorted(values));
  return orders.get(values);
}

/** Each value's bits, made to ascend with it, and its place are one number: such are sorted without a callback. */
function sorted(values) {
  const bits = new Uint32Array(Float32Array.from(values, (value) => value + 0).buffer); // + 0: no negative zero
  const ascending = (word) => (word >>> 31 ? ~word : word | 0x80000000) >>> 0;
  const known = Uint32Array.from(values.keys()).filter((row) => !Number.isNaN(values[row]));
  const keys = Float64Array.from(known, (row) => ascending(bits[row]) * PLACES + row).sort();
  return Uint32Array.from(keys, (key) => key % PLACES);
}
const PLACES = 2 ** 21; // more than a set has examples: 32 bits of a value and 21 of a place are exact in a number

/** Expected error rate among the n lowest scores, n = 1..N: among equal scores every order is equally likely. */
function riskCoverage(scores, wrong) {
  const order = ordered(scores);
  const risk = new Float64Array(order.length);
  let errors = 0;
  for (let start = 0; start < order.length; ) {
    let end = start, here = 0;
    while (end < order.length && scores[order[end]] === scores[order[start]]) here += wrong[order[end++]];
    for (let n = start + 1; n <= end; n++) risk[n - 1] = (errors + (here * (n - start)) / (end - start)) / n;
    errors += here;
    start = end;
  }
  return risk;
}

/** Bins ((b-1)/bins, b/bins] of confidence that hold an example: lower edge, count, mean confidence, accuracy. */
function reliability(confidence, wrong, bins = 15) {
  const count = new Float64Array(bins), sure = new Float64Array(bins), right = new Float64Array(bins);
  confidence.forEach((value, row) => {
    if (Number.isNaN(value)) return;
    const bin = Math.min(bins - 1, Math.max(0, Math.ceil(value * bins) - 1));
    count[bin]++; sure[bin] += value; right[bin] += 1 - wrong[row];
  });
  return [...count.keys()].filter((bin) => count[bin])
    .map((bin) => ({ lower: bin / bins, count: count[bin], confidence: sure[bin] / count[bin], accuracy: right[bin] / count[bin] }));
}

function calibrationError(bins) {
  const total = bins.reduce((sum, bin) => sum + bin.count, 0);
  return bins.reduce((sum, bin) => sum + bin.count * Math.abs(bin.accuracy - bin.confidence), 0) / total;
}

/** Share of examples with a lower score, those with an equal one half. */
function percentile(scores, row) {
  let below = 0;
  for (const value of scores) below += value < scores[row] ? 1 : value === scores[row] ? 0.5 : 0;
  return below / scores.length;
}

const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);

/** Ranks from 1, the best; equal values share the mean of theirs. `worse` is larger the worse a value is. */
function ranks(values, worse) {
  const order = [...values.keys()].sort((a, b) => worse(values[a]) - worse(values[b]));
  const found = new Array(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && worse(values[order[end]]) === worse(values[order[start]])) end++;
    for (let i = start; i < end; i++) found[order[i]] = (start + 1 + end) / 2;
    start = end;
  }
  return found;
}
