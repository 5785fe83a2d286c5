"use strict";
(() => {
  const key = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const compare = (a, b) => {
    if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1;
    const x = Number(a), y = Number(b);
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
  };
  const sort = (table, header, column) => {
    const descending = header.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [key(row, column), row]);
    const empty = rows.filter(([text]) => text === "");
    const filled = rows.filter(([text]) => text !== "").sort((a, b) => compare(a[0], b[0]) * (descending ? -1 : 1));
    body.append(...[...filled, ...empty].map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sort(table, header, column));
    });
  }
  const copied = async (area) => {
    try {
      await navigator.clipboard.writeText(area.value);
      return true;
    } catch {
      area.focus();
      area.select();
      return document.execCommand("copy");
    }
  };
  for (const area of document.querySelectorAll(".pasted textarea")) {
    const button = document.createElement("button"), said = document.createElement("span");
    Object.assign(button, { type: "button", className: "copy", textContent: "Copy", ariaLabel: `Copy ${area.labels[0].textContent}` });
    said.setAttribute("role", "status");
    button.addEventListener("click", async () => {
      said.textContent = (await copied(area)) ? " copied" : " selected: press Ctrl+C to copy";
    });
    area.before(button, said);
  }
  const open = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target) target.closest("details")?.setAttribute("open", "");
  };
  addEventListener("hashchange", open);
  open();
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => part.setAttribute("open", "")));
})();
