// Makes the table of courses sortable and searchable. Without it the table is whole, best first.
"use strict";

{
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
    '<label>Search <input type="search" autocomplete="off"></label> ' +
    '<button type="button" aria-pressed="false" hidden></button> <span role="status"></span>';
  table.closest(".table").before(tools);
  const [search, all, status] = [tools.querySelector("input"), ...tools.querySelectorAll("button, span")];
  all.textContent = `Show all ${rows.length}`;
  all.hidden = !isLong;

  function show() {
    const words = plain(search.value).split(/\s+/).filter(Boolean);
    const isWhole = !isLong || all.getAttribute("aria-pressed") === "true" || words.length > 0;
    let n = 0;
    for (const row of rows) {
      const isFound = words.every((word) => names.get(row).includes(word));
      row.hidden = !(isFound && (isWhole || !("later" in row.dataset)));
      n += row.hidden ? 0 : 1;
    }
    if (words.length > 0) status.textContent = n === 1 ? "1 course found" : `${n} courses found`;
    else if (isWhole) status.textContent = `${rows.length} courses`;
    else status.textContent = `The highest and the lowest of ${rows.length} courses; search for the others`;
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
