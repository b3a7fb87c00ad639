// The bar: orders, methods to hide, steps to the previous and next query.

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
