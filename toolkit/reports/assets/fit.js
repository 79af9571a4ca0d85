// Fits a chart to the width of its box, by what its texts measure in the reader's own fonts.
// First legends go below, then plots become narrower, at last names stand above what they name.
"use strict";

const LABEL_ROW = 40; // pixels of a row with its name above it
const NUMBER = 44; // pixels that a number on an axis needs
const CELL = 40; // pixels that a cell has at least
const HEAD = 84; // pixels that the name of a column needs; in less it slants
const MOST_TAKEN = 0.3; // of its width a plot gives this up before names stand above
const MARGIN = 24;

const pen = document.createElement("canvas").getContext("2d");
const graphemes = (text) => [...new Intl.Segmenter().segment(text)].map((one) => one.segment);

function measured(text, { size, weight = 400, family }) {
  pen.font = `${weight} ${size}px ${family}`;
  return pen.measureText(text).width;
}

function wrapped(text, room, font) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (measured(longer, font) <= room) {
      lines[lines.length - 1] = longer;
      continue;
    }
    if (lines.at(-1)) lines.push("");
    for (const letter of graphemes(word)) {
      if (lines.at(-1) && measured(lines.at(-1) + letter, font) > room) lines.push("");
      lines[lines.length - 1] += letter;
    }
  }
  return lines;
}

// Lines that were broken for a wide chart become paragraphs again.
function paragraphs(lines) {
  const told = [];
  for (const line of [lines].flat()) {
    const before = told.at(-1);
    const goesOn = before !== undefined && (/[.,;:]$/.test(before) || /^[\p{Ll}\d(]/u.test(line));
    if (goesOn) told[told.length - 1] = `${before} ${line}`;
    else told.push(line);
  }
  return told;
}

function shortened(text, room, font) {
  if (measured(text, font) <= room) return text;
  const letters = graphemes(text);
  for (let n = letters.length - 1; n > 1; n -= 1) {
    const tail = n >> 1;
    const cut = `${letters.slice(0, n - tail).join("")}…${letters.slice(-tail).join("")}`;
    if (measured(cut, font) <= room) return cut;
  }
  return "…";
}

// An expression that cuts the middle out of labels too long; undefined where all fit.
function cutting(names, room, font) {
  const short = names.map((name) => shortened(name, room, font));
  if (short.every((name, place) => name === names[place])) return undefined;
  return `${JSON.stringify(short)}[indexof(${JSON.stringify(names)}, datum.label)] || datum.label`;
}

function stacks(encoding) {
  const y = encoding?.y;
  return y && ["nominal", "ordinal"].includes(y.type) && y.axis !== null && !y.title ? y : undefined;
}

// Change each view; `share` says which part of a chart's width is its own.
function eachView(view, change, share = 1) {
  change(view, share);
  const across = view.hconcat?.length ?? (view.concat || view.facet ? (view.columns ?? 1) : 1);
  for (const inner of ["vconcat", "hconcat", "concat", "layer"]) {
    for (const part of view[inner] ?? []) eachView(part, change, share / across);
  }
  if (view.spec) eachView(view.spec, change, share / across);
}

function planned(isNarrow, words) {
  return { isBelow: isNarrow, isNarrow, less: 0, words };
}

// The next step of a plan for a chart that came out too wide.
function tightened(plan, room, width) {
  const excess = Math.ceil(width - room);
  if (!plan.isBelow) plan.isBelow = true;
  else if (!plan.isNarrow && plan.less + excess > MOST_TAKEN * room) {
    plan.isNarrow = true;
    plan.less = 0;
  } else plan.less += excess;
}

function valuesOf(spec, view, field) {
  const rows = spec.datasets?.[view.data?.name] ?? [];
  return [...new Set(rows.map((row) => row[field]))];
}

function fitted(original, room, plan) {
  const spec = structuredClone(original);
  const config = spec.config ?? {};
  const family = config.font ?? "sans-serif";
  const within = room - MARGIN;
  const names = Math.max(within - plan.less, within * 0.6); // their plots begin right of an axis
  const labels = { size: config.axis?.labelFontSize ?? 12, family };

  let skipped = 1;

  function breakTitle(view, isWhole) {
    if (!view.title?.text) return;
    const across = isWhole ? room - 16 : within - 60; // a part's title begins at its axis
    const sized = (name, fallback) => view.title[name] ?? config.title?.[name] ?? fallback;
    const title = { size: sized("fontSize", 17), weight: sized("fontWeight", 600), family };
    const subtitle = { size: sized("subtitleFontSize", 13), family };
    view.title.text = wrapped([view.title.text].flat().join(" "), across, title);
    if (view.title.subtitle) {
      view.title.subtitle = paragraphs(view.title.subtitle).flatMap(
        (line) => wrapped(line, across, subtitle));
    }
  }

  function legendForEnds(view) {
    const ends = view.layer?.find((part) => part.name === "ends");
    if (!ends) return;
    view.layer = view.layer.filter((part) => part !== ends);
    eachView(view, (part) => {
      for (const channel of [part.encoding?.color, part.encoding?.strokeDash]) {
        if (!channel?.scale?.domain) continue;
        const cut = cutting(channel.scale.domain, names - 40, labels);
        const line = { symbolType: "stroke", symbolSize: 400, symbolStrokeWidth: 2.5, symbolOpacity: 1 };
        channel.legend = { title: null, orient: "bottom", columns: 1, ...line };
        if (cut) channel.legend.labelExpr = cut;
      }
    });
  }

  function stack(view, parts) {
    const named = [view, ...parts].map((part) => stacks(part.encoding)).filter(Boolean);
    const n = named[0]?.sort?.length;
    const before = view.height?.step ?? (n && typeof view.height === "number" ? view.height / n : 0);
    if (!before) {
      if (view.name === "courses") view.height *= 1.9;
      return;
    }
    const step = Math.max(before, LABEL_ROW);
    view.height = view.height.step ? { step } : step * n;
    for (const y of named) {
      const cut = cutting((y.sort ?? []).map(String), names, labels);
      const above = { labelAlign: "left", labelPadding: 2, labelOffset: 3 - step / 2, labelLimit: 0 };
      y.axis = { ...y.axis, ...above, grid: false, ...(cut && { labelExpr: cut }) };
    }
    for (const part of parts) {
      const mark = typeof part.mark === "string" ? { type: part.mark } : part.mark;
      if (mark?.type === "bar") part.mark = { ...mark, height: 20 };
      if (mark?.type === "rect") part.mark = { ...mark, height: { band: 0.5 } };
    }
  }

  // Columns of a heat map: narrower ones, and of many every second or third.
  function squeeze(view, parts, share) {
    const x = [view, ...parts].map((part) => part.encoding?.x).find((one) => one?.field);
    if (!x) return;
    const columns = valuesOf(spec, view, x.field);
    const step = view.width.step - (plan.less * share) / columns.length;
    const written = valuesOf(spec, view, "text").map((text) => measured(text ?? "", { size: 13, family }));
    const cell = Math.max(CELL, ...written.map((width) => width + 6));
    const every = plan.isNarrow && x.type === "ordinal" ? Math.max(1, Math.ceil(cell / step)) : 1;
    view.width.step = Math.max(34, step * every);
    if (every > 1) {
      skipped = every;
      const kept = columns.sort((a, b) => a - b).filter((_, place) => (place + 1) % every === 0);
      const filter = `indexof(${JSON.stringify(kept)}, datum[${JSON.stringify(x.field)}]) >= 0`;
      view.transform = [...(view.transform ?? []), { filter }];
    }
    if (view.width.step >= HEAD) return;
    for (const part of [view, ...parts]) {
      const own = part.encoding?.x;
      if (own?.type !== "nominal") continue;
      own.axis = { ...own.axis, labelAngle: -45, labelAlign: own.axis?.orient === "top" ? "left" : "right" };
    }
  }

  // Numbers on a time axis and below it: as many as there is room for.
  function thin(view, parts) {
    for (const part of [view, ...parts]) {
      const x = part.encoding?.x;
      const values = x?.axis?.values;
      if (!Array.isArray(values) || x.axis.labelOverlap === false) continue;
      const every = Math.ceil((values.length * NUMBER) / view.width);
      if (every < 2) continue;
      x.axis.values = values.filter((_, place) => place % every === 0);
      if ((part.mark?.type ?? part.mark) !== "text") continue;
      const filter = `indexof(${JSON.stringify(x.axis.values)}, datum[${JSON.stringify(x.field)}]) >= 0`;
      part.transform = [...(part.transform ?? []), { filter }];
    }
  }

  function breakAxisTitle(view, parts) {
    const font = { size: config.axis?.titleFontSize ?? 13, family };
    for (const part of [view, ...parts]) {
      const x = part.encoding?.x;
      if (typeof x?.title === "string") x.title = wrapped(x.title, Math.max(view.width, 120), font);
    }
  }

  if (plan.isNarrow) {
    for (const param of spec.params ?? []) if (param.name === "narrow") param.value = true;
  }
  if (plan.isBelow) spec.config = { ...config, legend: { ...config.legend, orient: "bottom" } };
  eachView(spec, (view) => {
    if (plan.isNarrow && view.hconcat) {
      view.vconcat = view.hconcat;
      delete view.hconcat;
    }
    if (plan.isNarrow && (view.concat || view.facet)) view.columns = 1;
  });
  eachView(spec, (view, share) => {
    const parts = view.layer ?? [view];
    if (plan.isBelow) legendForEnds(view);
    if (plan.isNarrow) stack(view, parts);
    if (typeof view.width === "number") {
      const most = plan.isNarrow ? Math.min(view.width, within) : view.width;
      view.width = Math.max(120, most - plan.less * share);
      thin(view, parts);
      breakAxisTitle(view, parts);
    } else if (view.width?.step) squeeze(view, parts, share);
  });
  if (skipped > 1 && spec.title?.subtitle) {
    const note = plan.words.columns.replace("{every}", skipped);
    spec.title.subtitle = [spec.title.subtitle, `${note}.`].flat();
  }
  eachView(spec, (view) => breakTitle(view, view === spec));
  return spec;
}
