// Draws the charts, folds and unfolds code, changes between light and dark. Fetches nothing.
"use strict";

const root = document.documentElement;
const themeButton = document.getElementById("theme");
const codeButton = document.getElementById("code");
const coloursElement = document.getElementById("dark-colours");
const darkColours = coloursElement ? JSON.parse(coloursElement.textContent) : {};
const views = new Map();

function exchanged(value) {
  if (Array.isArray(value)) return value.map(exchanged);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, exchanged(inner)]));
  }
  return typeof value === "string" && value in darkColours ? darkColours[value] : value;
}

// What of a chart the reader chose: from the address, or as it was before it was drawn anew.
const chosen = new Map();

function fromAddress() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

// A spec with selects carries a headline and a sentence for each choice. In a page they are text,
// above the chart, which can be read aloud, found and copied.
function takeWords(spec) {
  const place = (spec.vconcat ?? []).findIndex((part) => part.name === "told");
  if (place < 0) return undefined;
  const [part] = spec.vconcat.splice(place, 1);
  const names = new Set([part, ...part.layer].map((layer) => layer.data?.name));
  delete spec.title;
  return Object.entries(spec.datasets).find(([name]) => names.has(name))[1];
}

function choices(spec) {
  return (spec.params ?? []).filter((param) => param.bind?.options);
}

function follow(element, view, spec, told) {
  const names = choices(spec).map((param) => param.name);
  const options = Object.fromEntries(choices(spec).map((param) => [param.name, param.bind.options]));
  const words = element.told ?? document.createElement("div");
  element.told = words;
  words.className = "told";
  words.setAttribute("role", "status");
  element.append(words);

  function tell() {
    const now = Object.fromEntries(names.map((name) => [name, view.signal(name)]));
    chosen.set(element, now);
    const row = told.find((one) => names.every((name) => one[name] === now[name]));
    words.replaceChildren();
    for (const [tag, text] of [["h2", row?.headline], ["p", row?.text]]) {
      if (text) words.appendChild(document.createElement(tag)).textContent = text.replaceAll("\n", " ");
    }
  }

  function choose(wanted) {
    for (const name of names) {
      if (options[name].includes(wanted[name])) view.signal(name, wanted[name]);
    }
    return view.runAsync();
  }

  for (const name of names) {
    view.addSignalListener(name, () => {
      tell();
      history.replaceState(null, "", `#${new URLSearchParams(chosen.get(element)).toString()}`);
    });
  }
  view.addEventListener("click", (event, item) => {
    if (item?.datum?.course) choose({ course: item.datum.course });
  });
  element.choose = choose;
  tell();
}

// A narrow screen: parts below one another, names above what they name, lines that fit.
const narrow = matchMedia("(max-width: 45rem)");
const LABEL_ROW = 40; // pixels of a row with its name above it
const LETTER = { title: 8.6, subtitle: 6.6 }; // pixels of a letter, on average

function wrapped(lines, width) {
  const most = Math.floor(width);
  const told = [""];
  for (const word of [lines].flat().join(" ").split(" ")) {
    if (told.at(-1) && told.at(-1).length + word.length + 1 > most) told.push(word);
    else told[told.length - 1] += `${told.at(-1) ? " " : ""}${word}`;
  }
  return told;
}

function names(encoding) {
  const y = encoding?.y;
  return y && ["nominal", "ordinal"].includes(y.type) && y.axis !== null && !y.title ? y : undefined;
}

function eachView(view, change) {
  change(view);
  for (const inner of ["vconcat", "hconcat", "concat", "layer"]) {
    for (const part of view[inner] ?? []) eachView(part, change);
  }
  if (view.spec) eachView(view.spec, change);
}

// Make a spec `excess` pixels narrower than it was drawn last, or as narrow as the screen at first.
function narrowed(spec, width, excess) {
  const room = width - 24;
  for (const param of spec.params ?? []) if (param.name === "narrow") param.value = true;
  if (spec.config) spec.config.legend = { ...spec.config.legend, orient: "bottom" };
  eachView(spec, (view) => {
    if (view.hconcat) {
      view.vconcat = view.hconcat;
      delete view.hconcat;
    }
    if (view.concat || view.facet) view.columns = 1;
    if (view.title?.text) {
      const across = view === spec ? room : room - 60; // a part's title begins at its axis
      view.title.text = wrapped(view.title.text, across / LETTER.title);
      if (view.title.subtitle) view.title.subtitle = wrapped(view.title.subtitle, across / LETTER.subtitle);
    }
    const parts = view.layer ?? [view];
    const named = [view, ...parts].map((part) => names(part.encoding)).filter(Boolean);
    const n = named[0]?.sort?.length;
    const before = view.height?.step ?? (n && typeof view.height === "number" ? view.height / n : 0);
    const step = Math.max(before, LABEL_ROW);
    if (before && excess === 0) {
      view.height = view.height.step ? { step } : step * n;
      for (const y of named) {
        y.axis = { ...y.axis, labelAlign: "left", labelPadding: 2, labelOffset: 3 - step / 2, grid: false };
      }
      for (const part of parts) {
        const mark = typeof part.mark === "string" ? { type: part.mark } : part.mark;
        if (mark?.type === "bar") part.mark = { ...mark, height: 20 };
        if (mark?.type === "rect") part.mark = { ...mark, height: { band: 0.5 } };
      }
    } else if (view.name === "courses" && excess === 0) {
      view.height *= 1.9;
    }
    for (const part of view.width?.step && excess === 0 ? [view, ...parts] : []) {
      const x = part.encoding?.x;
      const isOnTop = x?.axis?.orient === "top";
      if (x?.type === "nominal") x.axis = { ...x.axis, labelAngle: -45, labelAlign: isOnTop ? "left" : "right" };
    }
    if (typeof view.width === "number") view.width = Math.max(120, Math.min(view.width, room) - excess);
    if (view.width?.step && excess > 0) view.width.step = Math.max(34, view.width.step * (room / (room + excess)));
  });
}

async function draw(element) {
  const text = JSON.parse(document.getElementById(element.dataset.spec).textContent);
  const isDark = root.dataset.theme === "dark";
  const spec = isDark ? exchanged(text) : text;
  const told = takeWords(spec);
  const wanted = { ...fromAddress(), ...chosen.get(element) };
  for (const param of choices(spec)) {
    if (param.bind.options.includes(wanted[param.name])) param.value = wanted[param.name];
  }
  views.get(element)?.finalize();
  const tooltip = { theme: isDark ? "dark" : "light" };
  const options = { renderer: "svg", actions: false, ast: false, tooltip };
  if (narrow.matches) narrowed(spec, element.clientWidth, 0);
  let drawn = await vegaEmbed(element, spec, options);
  for (let round = 0; narrow.matches && round < 3; round += 1) {
    const excess = drawn.view.container().querySelector("svg").width.baseVal.value - element.clientWidth;
    if (excess <= 0) break;
    narrowed(spec, element.clientWidth, Math.ceil(excess));
    drawn.finalize();
    drawn = await vegaEmbed(element, spec, options);
  }
  views.set(element, drawn);
  if (told) follow(element, drawn.view, spec, told);
  // A layer without a mark is announced as a picture without a name.
  for (const layer of element.querySelectorAll('[role="graphics-symbol"]:empty:not([aria-label])')) {
    layer.removeAttribute("role");
    layer.removeAttribute("aria-roledescription");
  }
  element.dataset.drawn = "true";
}

async function drawAll() {
  for (const element of document.querySelectorAll(".chart")) await draw(element);
  root.dataset.drawn = "true";
}

function setTheme(theme) {
  root.dataset.theme = theme;
  themeButton.setAttribute("aria-pressed", String(theme === "dark"));
}

function remembered() {
  try {
    return localStorage.getItem("so2-theme");
  } catch {
    return null; // some browsers keep nothing for pages from disk
  }
}

function remember(theme) {
  try {
    localStorage.setItem("so2-theme", theme);
  } catch {
    // the choice lasts as long as the page
  }
}

// On a narrow screen a row is a list of its figures: each needs its heading beside it. Laid out as
// blocks, some browsers forget that it is a table, so it is said.
function stack(table) {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])].map((head) => head.textContent.trim());
  if (heads.length === 0) return;
  table.classList.add("stacked");
  table.setAttribute("role", "table");
  for (const part of [table.tHead, ...table.tBodies]) part.setAttribute("role", "rowgroup");
  for (const head of table.tHead.rows[0].cells) head.setAttribute("role", "columnheader");
  for (const row of table.rows) {
    row.setAttribute("role", "row");
    if (row.parentElement === table.tHead) continue;
    [...row.cells].forEach((cell, place) => {
      cell.setAttribute("role", cell.tagName === "TH" ? "rowheader" : "cell");
      cell.dataset.label ??= heads[place] ?? "";
    });
  }
}

themeButton.addEventListener("click", () => {
  const theme = root.dataset.theme === "dark" ? "light" : "dark";
  setTheme(theme);
  remember(theme);
  drawAll();
});

narrow.addEventListener("change", drawAll);
addEventListener("hashchange", () => {
  for (const element of document.querySelectorAll(".chart")) element.choose?.(fromAddress());
});

codeButton?.addEventListener("click", () => {
  const open = codeButton.getAttribute("aria-pressed") !== "true";
  root.dataset.code = String(open);
  codeButton.setAttribute("aria-pressed", String(open));
});

document.querySelectorAll(".table > table").forEach(stack);
const prefersDark = matchMedia("(prefers-color-scheme: dark)").matches;
setTheme(remembered() ?? (prefersDark ? "dark" : "light"));
drawAll();
