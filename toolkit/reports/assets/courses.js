// Makes the table of courses sortable and searchable. Without it the table is whole, best first.
"use strict";

{
  const words = JSON.parse(document.getElementById("words").textContent);
  const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const table = document.getElementById("course-table");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows];
  const isLong = rows.some((row) => "later" in row.dataset);
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();
  const names = new Map(rows.map((row) => [row, plain(row.cells[0].dataset.value)]));
  const order = new Intl.Collator(undefined, { numeric: true });

  const tools = document.createElement("p");
  tools.className = "tools";
  tools.innerHTML =
    '<label><span></span> <input type="search" autocomplete="off"></label> ' +
    '<button type="button" aria-pressed="false" hidden></button> <span role="status"></span>';
  table.closest(".table").before(tools);
  const [search, all] = [tools.querySelector("input"), tools.querySelector("button")];
  const status = tools.querySelector("[role=status]");
  tools.querySelector("label span").textContent = words.search;
  all.textContent = filled(words.show_all, { n: rows.length });
  all.hidden = !isLong;

  function show() {
    const sought = plain(search.value).split(/\s+/).filter(Boolean);
    const isWhole = !isLong || all.getAttribute("aria-pressed") === "true" || sought.length > 0;
    let n = 0;
    for (const row of rows) {
      const isFound = sought.every((word) => names.get(row).includes(word));
      row.hidden = !(isFound && (isWhole || !("later" in row.dataset)));
      n += row.hidden ? 0 : 1;
    }
    if (sought.length > 0) status.textContent = filled(n === 1 ? words.found_one : words.found, { n });
    else if (isWhole) status.textContent = filled(words.all, { n: rows.length });
    else status.textContent = filled(words.ends, { n: rows.length });
  }

  function sort(head) {
    const place = heads.indexOf(head);
    const isText = head.dataset.kind === "text";
    const first = isText ? "ascending" : "descending";
    const other = isText ? "descending" : "ascending";
    const now = head.getAttribute("aria-sort") === first ? other : first;
    for (const one of heads) one.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", now);
    const value = (row) => row.cells[place].dataset.value;
    const sign = now === "ascending" ? 1 : -1;
    const known = rows.filter((row) => value(row) !== "");
    known.sort((a, b) => sign * (isText ? order.compare(value(a), value(b)) : value(a) - value(b)));
    // What is not known is neither high nor low: it stays last.
    body.append(...known, ...rows.filter((row) => value(row) === ""));
  }

  for (const head of heads) {
    if (head.dataset.kind === "none") continue;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(head));
  }
  search.addEventListener("input", show);
  all.addEventListener("click", () => {
    all.setAttribute("aria-pressed", String(all.getAttribute("aria-pressed") !== "true"));
    show();
  });
  show();
}
