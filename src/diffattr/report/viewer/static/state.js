// What the page knows: the benchmark, what is hidden, the order, and where the reader is.

const element = (id) => document.getElementById(id);
const about = JSON.parse(element("about").textContent);
const splitNames = about.splits.map((split) => split.name);
const hidden = new Set();
const order = { by: "number", direction: 1 };
let here = { split: null, query: null };
let turn = 0;
