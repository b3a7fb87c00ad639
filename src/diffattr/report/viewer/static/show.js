// Showing what the address names.

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
