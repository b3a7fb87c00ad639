// The two views: all queries of a split, and one query with every method.

function overview(index) {
  const found = measure(index);
  const list = make("ol", { class: "grid", "aria-label": aboutSplit(here.split).words });
  const values = order.by === "number" ? null : found.of[index.methods.indexOf(order.by)];
  for (const query of ordered(index)) {
    const value = values && found.text(values[query]);
    const label = `query ${query}, ${described(here.split, index, query)}`;
    const link = make(
      "a",
      {
        id: `q-${query}`,
        href: `#${here.split}-${query}`,
        "aria-label": value ? `${label}, ${found.words} ${value}` : label,
      },
      picture(here.split, index, query, null),
      String(query),
    );
    if (value) link.append(make("small", {}, value));
    list.append(make("li", {}, link));
  }
  const heading = make("h2", { id: "heading" }, `All ${aboutSplit(here.split).words}`);
  return [heading, list];
}

function strip(words, method, index, train, [positions, scores, maps], first, end, query) {
  const list = make("ol", { class: "strip", "aria-label": `${words} of ${method}` });
  for (let place = first; place < end; place++) {
    const slot = train.slots.get(positions[place]);
    const copy = index.copies?.[query] === positions[place];
    const what = `training image ${positions[place]}, ${described("train", train, slot)}`;
    const image = picture("train", train, slot, copy ? `${what}, the copy of the query` : what);
    const item = make("li", copy ? { class: "copy" } : {}, image);
    if (maps) {
      const where = picture(here.split, index, query, "");
      where.append(overlay(maps, place));
      item.append(make("div", { class: "where" }, where));
    }
    item.append(scores[place]);
    if (train.labels !== null) item.append(make("small", {}, `class ${train.labels[slot]}`));
    if (copy) item.append(make("small", {}, "the copy"));
    list.append(item);
  }
  return make("div", {}, make("p", { class: "side", "aria-hidden": true }, words), list);
}

function single(index, train, entries) {
  const query = here.query;
  const parts = [
    make(
      "header",
      { class: "query" },
      picture(here.split, index, query, `query ${query}`),
      make(
        "div",
        {},
        make("h2", { id: "heading" }, `Query ${query} of `, make("code", {}, here.split)),
        make("p", { class: "quiet" }, described(here.split, index, query)),
      ),
    ),
  ];
  about.groups.forEach((group, number) => {
    const rows = index.methods.flatMap((method, place) => {
      const { name, group: own, features } = about.methods[method];
      if (own !== number || hidden.has(method)) return [];
      const header = make("header", {}, make("h4", {}, make("code", {}, name)));
      if (index.lds?.[place]) {
        header.append(make("p", { class: "measure" }, `LDS ${fixed(index.lds[place][query])}`));
      }
      if (index.ranks !== null) {
        header.append(make("p", { class: "measure" }, `copy has rank ${index.ranks[place][query]}`));
      }
      if (features) header.append(make("p", { class: "side" }, features));
      const [positions, scores, maps] = entries[place];
      const levels = maps && [maps[0], maps[1], atob(maps[2])];
      const top = positions.length / 2;
      const entry = [positions, scores, levels];
      return [
        make(
          "article",
          { class: "method" },
          header,
          strip("top proponents", name, index, train, entry, 0, top, query),
          strip("top opponents", name, index, train, entry, top, 2 * top, query),
        ),
      ];
    });
    if (rows.length) {
      parts.push(make("section", { class: "group" }, make("h3", {}, `Needs ${group}`), ...rows));
    }
  });
  if (parts.length === 1) parts.push(make("p", {}, "All methods are hidden."));
  return parts;
}
