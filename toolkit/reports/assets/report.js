// Draws the charts, folds and unfolds code, changes between light and dark. Fetches nothing.
"use strict";

const root = document.documentElement;
const themeButton = document.getElementById("theme");
const codeButton = document.getElementById("code");
const coloursElement = document.getElementById("dark-colours");
const darkColours = coloursElement ? JSON.parse(coloursElement.textContent) : {};
const inWords = JSON.parse(document.getElementById("words").textContent);
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
  return Object.keys(spec.datasets).find((name) => names.has(name));
}

// Of many courses each has its rows in a file of its own, which is a script: a page from disk may
// load nothing else.
const loaded = new Map();
globalThis.so2Course = (name, rows) => loaded.set(name, rows);

function rowsOf(spec, course) {
  const folder = spec.usermeta?.courses;
  if (!folder) return {};
  const options = spec.params.find((param) => param.name === "course").bind.options;
  const name = `${folder}/${options.indexOf(course)}`;
  if (loaded.has(name)) return loaded.get(name);
  return new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = `${name}.js`;
    script.onload = script.onerror = () => {
      script.remove();
      resolve(loaded.get(name) ?? {});
    };
    document.head.append(script);
  });
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

  const now = () => Object.fromEntries(names.map((name) => [name, view.signal(name)]));

  function tell() {
    const choice = now();
    chosen.set(element, choice);
    const row = spec.datasets[told].find((one) => names.every((name) => one[name] === choice[name]));
    words.replaceChildren();
    for (const [tag, text] of [["h2", row?.headline], ["p", row?.text]]) {
      if (text) words.appendChild(document.createElement(tag)).textContent = text.replaceAll("\n", " ");
    }
  }

  let latest = 0;

  // First the rows, then the choice, so that no chart is without either.
  async function choose(wanted) {
    const mine = ++latest;
    const known = names.filter((name) => options[name].includes(wanted[name]));
    const choice = Object.fromEntries(known.map((name) => [name, wanted[name]]));
    const rows = await rowsOf(spec, { ...now(), ...choice }.course);
    if (mine !== latest) return; // another was chosen meanwhile
    Object.assign(spec.datasets, rows);
    for (const name of Object.keys(rows)) if (name !== told) view.data(name, rows[name]);
    for (const name of known) view.signal(name, choice[name]);
    await view.runAsync();
  }

  for (const name of names) {
    view.addSignalListener(name, () => {
      tell();
      history.replaceState(null, "", `#${new URLSearchParams(now()).toString()}`);
    });
  }
  view.addEventListener("click", (event, item) => {
    if (item?.datum?.course) choose({ course: item.datum.course });
  });
  if (!element.choose) {
    element.addEventListener("change", (event) => {
      event.stopImmediatePropagation(); // Vega would change the choice before its rows are here
      element.choose({ [event.target.name]: event.target.value });
    }, { capture: true });
  }
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
    if (inWords[param.name]) param.bind.name = `${inWords[param.name]} `;
  }
  const first = choices(spec).find((param) => param.name === "course");
  if (first) Object.assign(spec.datasets, await rowsOf(spec, first.value));
  views.get(element)?.finalize();
  const tooltip = { theme: isDark ? "dark" : "light" };
  const options = { renderer: "svg", actions: false, ast: false, tooltip };
  const room = element.clientWidth;
  element.room = room;
  const plan = planned(narrow.matches, inWords);
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
const MANY_COLUMNS = 8;

function stack(table) {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])].map((head) => head.textContent.trim());
  if (heads.length === 0) return;
  table.classList.add("stacked");
  if (heads.length > MANY_COLUMNS) table.classList.add("wide");
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
