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

async function draw(element) {
  const spec = JSON.parse(document.getElementById(element.dataset.spec).textContent);
  const isDark = root.dataset.theme === "dark";
  views.get(element)?.finalize();
  const options = { renderer: "svg", actions: false, ast: false };
  views.set(element, await vegaEmbed(element, isDark ? exchanged(spec) : spec, options));
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

codeButton?.addEventListener("click", () => {
  const open = codeButton.getAttribute("aria-pressed") !== "true";
  root.dataset.code = String(open);
  codeButton.setAttribute("aria-pressed", String(open));
});

document.querySelectorAll(".table > table").forEach(stack);
const prefersDark = matchMedia("(prefers-color-scheme: dark)").matches;
setTheme(remembered() ?? (prefersDark ? "dark" : "light"));
drawAll();
