// Words: what a query is called, how well methods do on it, and the order of queries.

const fixed = (value) => (value === null ? "–" : value.toFixed(3));
const aboutSplit = (name) => about.splits[splitNames.indexOf(name)];

function described(name, index, place) {
  const number = `${aboutSplit(name)?.id_words ?? "image"} ${index.ids[place]}`;
  return index.labels === null ? number : `class ${index.labels[place]}, ${number}`;
}

/** Return how well each method does on each query: words and a list per method, or null. */
function measure(index) {
  if (index.lds !== null) return { words: "LDS", text: fixed, of: index.lds };
  if (index.ranks !== null) return { words: "rank of the copy", text: String, of: index.ranks };
  return null;
}

/** Return the queries of a split in the chosen order; those without a value come last. */
function ordered(index) {
  const queries = index.ids.map((_, query) => query);
  const own = order.by === "number" ? queries : measure(index).of[index.methods.indexOf(order.by)];
  return queries.sort((a, b) => {
    if (own[a] === null || own[b] === null) return (own[a] === null) - (own[b] === null) || a - b;
    return order.direction * (own[a] - own[b]) || a - b;
  });
}

function orderWords(index) {
  const end = order.direction > 0 ? "lowest first" : "highest first";
  if (order.by === "number") return `by number, ${end}`;
  return `by ${measure(index).words} under ${about.methods[order.by].name}, ${end}`;
}
