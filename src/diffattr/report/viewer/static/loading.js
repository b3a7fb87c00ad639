// Loading. A page opened from disk may run scripts beside it but not read files: data files are
// scripts, and only those in data/ are run.

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
