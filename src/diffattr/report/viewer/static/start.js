// Starting: fill the bar, listen, show.

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
