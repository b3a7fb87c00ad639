"use strict";
(() => {
  const element = (id) => document.getElementById(id);
  const about = JSON.parse(element("about").textContent);
  const splitNames = about.splits.map((split) => split.name);
  const hidden = new Set();
  const order = { by: "number", direction: 1 };
  let here = { split: null, query: null };
  let turn = 0;

  // Loading. A page from the disk may run the files beside it, not read them; only those in data/.

  const policy = { createScriptURL: checked };
  const scripts = window.trustedTypes ? trustedTypes.createPolicy("data", policy) : policy;
  const waiting = new Map();
  const values = new Map();

  function checked(url) {
    if (!/^data\/\w+(-\d+)?\.js$/.test(url)) throw new TypeError(`${url} is not a data file`);
    return url;
  }

  window.loaded = (name, value) => waiting.get(name)?.(value);

  function load(name) {
    if (!values.has(name)) {
      values.set(name, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        const missing = new Error(`data/${name}.js, which belongs beside this page, cannot be read.`);
        waiting.set(name, resolve);
        // Does nothing if the file has called `loaded`.
        script.onload = script.onerror = () => reject(missing);
        script.src = scripts.createScriptURL(`data/${name}.js`);
        document.head.append(script);
      }));
    }
    return values.get(name);
  }

  const sheets = new Map();

  function sheet(url) {
    if (!sheets.has(url)) {
      const image = new Image();
      sheets.set(url, new Promise((resolve) => {
        image.onload = () => resolve(image);
        image.onerror = () => resolve(null);
      }));
      image.src = url;
    }
    return sheets.get(url);
  }

  // Building. Text goes in as text, never as HTML: names come from a config.

  function make(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function picture(split, index, slot, words) {
    const { width, height, kind, columns, size } = index.sheets;
    const canvas = make("canvas", { width, height });
    const place = slot % size;
    const left = (place % columns) * width;
    const top = Math.floor(place / columns) * height;
    sheet(`images/${split}-${Math.floor(slot / size)}.${kind}`).then((image) => {
      if (image) {
        canvas.getContext("2d").drawImage(image, left, top, width, height, 0, 0, width, height);
      }
    });
    const label = words ? { role: "img", "aria-label": words, title: words } : { "aria-hidden": true };
    return make("span", { class: "p", ...label }, canvas);
  }

  function overlay([height, width, levels], number) {
    const canvas = make("canvas", { class: "map", "aria-hidden": true, width, height });
    const pixels = new ImageData(width, height);
    for (let cell = 0; cell < width * height; cell++) {
      const level = levels.charCodeAt(number * width * height + cell);
      pixels.data.set([213, 94, 0, Math.round(0.8 * level)], 4 * cell);
    }
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    return canvas;
  }

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

  // The bar.

  function fillOrders(index) {
    const found = measure(index);
    const options = [new Option("number", "number")];
    index.methods.forEach((method, place) => {
      if (found?.of[place]) {
        options.push(new Option(`${found.words} under ${about.methods[method].name}`, method));
      }
    });
    if (!options.some((option) => option.value === String(order.by))) order.by = "number";
    element("by").replaceChildren(...options);
    element("by").value = order.by;
  }

  function fillMethods() {
    about.groups.forEach((group, number) => {
      const boxes = about.methods.flatMap((method, place) => {
        if (method.group !== number) return [];
        const box = make("input", { type: "checkbox", value: place, checked: "" });
        return [make("label", {}, box, " ", make("code", {}, method.name))];
      });
      if (boxes.length) element("shown").append(make("fieldset", {}, make("legend", {}, group), ...boxes));
    });
  }

  function readMethods() {
    hidden.clear();
    for (const box of element("shown").querySelectorAll("input")) {
      if (!box.checked) hidden.add(Number(box.value));
    }
    const count = hidden.size ? ` (${hidden.size} hidden)` : "";
    element("shown").querySelector("summary").textContent = `Methods${count}`;
  }

  function setStep(id, query) {
    const link = element(id);
    if (query === undefined) {
      link.removeAttribute("href");
      link.setAttribute("aria-disabled", "true");
    } else {
      link.href = `#${here.split}-${query}`;
      link.removeAttribute("aria-disabled");
    }
  }

  // The two views.

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

  async function trainIndex() {
    const train = await load("train");
    train.slots ??= new Map(train.positions.map((position, slot) => [position, slot]));
    return train;
  }

  async function queryEntries(index, query) {
    const start = index.starts.findLast((first) => first <= query);
    const entries = await load(`${here.split}-${start}`);
    return entries[query - start];
  }

  /** Show what the address names. */
  async function show() {
    const mine = ++turn;
    const [, split, query] = location.hash.match(/^#(\w+?)(?:-(\d+))?$/) ?? [];
    const left = here;
    here = {
      split: splitNames.includes(split) ? split : splitNames[0],
      query: splitNames.includes(split) && query ? Number(query) : null,
    };
    try {
      const index = await load(here.split);
      if (mine !== turn) return;
      const count = index.ids.length;
      let problem = location.hash && here.split !== split ? "The address names no split. " : "";
      if (here.query >= count) {
        problem = `There is no query ${here.query}. `;
        here.query = null;
      }
      const isSingle = here.query !== null;
      const parts = isSingle
        ? await Promise.all([trainIndex(), queryEntries(index, here.query)])
        : null;
      if (mine !== turn) return;
      fillOrders(index);
      const queries = ordered(index);
      const place = queries.indexOf(here.query);
      setStep("previous", queries[place - 1]);
      setStep("next", isSingle ? queries[place + 1] : undefined);
      element("overview").href = `#${here.split}`;
      element("steps").hidden = !isSingle;
      element("split").value = here.split;
      element("number").max = count - 1;
      if (isSingle) element("number").value = here.query;
      const focused = element("view").contains(document.activeElement);
      element("view").replaceChildren(...(isSingle ? single(index, ...parts) : overview(index)));
      document.title = `${isSingle ? `${here.split}-${here.query}` : here.split}: queries of ${about.title}`;
      element("status").textContent = problem + (isSingle
        ? `Query ${here.query}: place ${place + 1} of ${count} ${orderWords(index)}.`
        : `${count} ${aboutSplit(here.split).words}, ordered ${orderWords(index)}.`);
      if (focused && isSingle) element("view").focus({ preventScroll: true });
      if (left.split === here.split && isSingle && left.query === null) {
        element("status").scrollIntoView();
      }
      if (left.split === here.split && !isSingle && left.query !== null) {
        element(`q-${left.query}`)?.focus();
      }
    } catch (error) {
      element("view").replaceChildren();
      element("status").textContent = error.message;
    }
  }

  // Starting.

  element("split").append(
    ...about.splits.map(({ name, words }) => new Option(`${name}: ${words}`, name)),
  );
  fillMethods();
  element("split").addEventListener("change", (event) => (location.hash = event.target.value));
  element("by").addEventListener("change", (event) => {
    order.by = event.target.value === "number" ? "number" : Number(event.target.value);
    show();
  });
  element("direction").addEventListener("change", (event) => {
    order.direction = Number(event.target.value);
    show();
  });
  element("maps")?.addEventListener("change", (event) => {
    document.body.classList.toggle("no-maps", !event.target.checked);
  });
  element("shown").addEventListener("change", () => {
    readMethods();
    show();
  });
  for (const [id, checked] of [["all", true], ["none", false]]) {
    element(id).addEventListener("click", () => {
      for (const box of element("shown").querySelectorAll("input")) box.checked = checked;
      readMethods();
      show();
    });
  }
  element("bar").addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = `${here.split}-${element("number").value}`;
  });
  element("skip").addEventListener("click", (event) => {
    event.preventDefault();
    element("view").focus();
  });
  document.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: "previous", ArrowRight: "next" };
    const typing = event.target.closest("input, select, summary");
    if (typing || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const link = element(steps[event.key] ?? "");
    if (here.query !== null && link?.hasAttribute("href")) location.hash = link.hash;
  });
  window.addEventListener("hashchange", show);
  show();
})();
