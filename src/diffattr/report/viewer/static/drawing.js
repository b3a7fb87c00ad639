// Drawing. Text is added as text, never as HTML: names come from a config.

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
