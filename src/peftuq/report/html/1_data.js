"use strict";
// -- data: the index, and blocks that are inflated when they are first asked for --------------------------

const read = (id) => document.getElementById(id).textContent;
const index = JSON.parse(read("index"));
const blocks = read("blocks");
const inflated = new Map();

const inflate = (at, length) => {
  if (!inflated.has(at)) inflated.set(at, decompressed(blocks.slice(at, at + length)));
  return inflated.get(at);
};

async function decompressed(base64) {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const text = async ([at, length]) => new TextDecoder().decode(await inflate(at, length));

const KINDS = { f4: Float32Array, i1: Int8Array, i2: Int16Array, i4: Int32Array };
const arrays = new Map();

async function array([at, length, kind]) {
  if (!arrays.has(at)) {
    const planes = await inflate(at, length);
    const width = KINDS[kind].BYTES_PER_ELEMENT;
    const count = planes.length / width;
    const bytes = new Uint8Array(planes.length);
    for (let byte = 0; byte < width; byte++)
      for (let i = 0; i < count; i++) bytes[i * width + byte] = planes[byte * count + i];
    arrays.set(at, new KINDS[kind](bytes.buffer));
  }
  return arrays.get(at);
}

const parsed = new Map();

async function json(reference) {
  if (!parsed.has(reference[0])) parsed.set(reference[0], JSON.parse(await text(reference)));
  return parsed.get(reference[0]);
}

/** One evaluation set of a setting, by which the other functions find its columns. */
const setOf = (setting, on) => index.sets.find((set) => settingKey(set.setting) === setting && set.on === on);
const settingKey = (place) => index.settings[place].join("/");

/** A test example: text, question and options. */
async function example(set, row) {
  const { classes, size, blocks: parts } = index.texts[set.on];
  const found = (await json(parts[Math.floor(row / size)]))[row % size];
  return typeof found === "string"
    ? { text: found, question: "", options: classes }
    : { text: found[0], question: found[1], options: found[2] };
}

/** The name of an option: its letter where a question is asked, and what it says. */
const option = (set, options, place) => {
  const said = options[place] ?? "";
  return index.kinds[set.on] === "choice" ? `${String.fromCharCode(65 + place)}. ${said}` : String(said || place);
};

/** What a predictive says of a set: answers, the probability of each, and whether it is wrong (-1: nobody knows). */
async function predicted(set, name) {
  const { options, answer, probabilities } = set.predictives[name];
  const [answers, every, label] = await Promise.all([array(answer), array(probabilities), array(set.label)]);
  const confidence = Float32Array.from(answers, (place, row) => every[row * options + place]);
  const wrong = Int8Array.from(answers, (place, row) => (set.labelled ? Number(place !== label[row]) : -1));
  return { answers, every, options, confidence, wrong };
}

const predictiveOf = (method) => method.split("/")[0];
const titleOf = (method) => index.methods[method] ?? method;
