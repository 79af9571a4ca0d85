// Draws the charts, folds and unfolds code, changes between light and dark. Fetches nothing.
"use strict";

const root = document.documentElement;
const themeButton = document.getElementById("theme");
const codeButton = document.getElementById("code");
const coloursElement = document.getElementById("dark-colours");
const darkColours = coloursElement ? JSON.parse(coloursElement.textContent) : {};
const views = new Map();

// Colours for dark paper; data stay, even a course that is named as a colour.
function exchanged(value) {
  if (Array.isArray(value)) return value.map(exchanged);
  if (value && typeof value === "object") {
    const pairs = Object.entries(value);
    return Object.fromEntries(
      pairs.map(([key, inner]) => [key, key === "datasets" ? inner : exchanged(inner)]));
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

const narrow = matchMedia("(max-width: 45rem)");

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
  const room = element.clientWidth;
  element.room = room;
  const plan = planned(narrow.matches);
  let drawn = await vegaEmbed(element, fitted(spec, room, plan), options);
  for (let round = 0; round < 5; round += 1) {
    const width = drawn.view.container().querySelector("svg").width.baseVal.value;
    if (width <= room) break;
    tightened(plan, room, width);
    drawn.finalize();
    drawn = await vegaEmbed(element, fitted(spec, room, plan), options);
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

// One after the other: a chart that is being drawn is not drawn anew meanwhile.
let drawing = Promise.resolve();

function drawAll(isDue = () => true) {
  delete root.dataset.drawn;
  const turn = drawing.then(async () => {
    for (const element of document.querySelectorAll(".chart")) {
      if (isDue(element)) await draw(element);
    }
    if (turn === drawing) root.dataset.drawn = "true";
  });
  drawing = turn;
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

let resized;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => drawAll((element) => element.clientWidth !== element.room), 150);
});
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
