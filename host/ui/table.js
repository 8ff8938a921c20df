// A table that is sorted, filtered and shown in pages, and updated in place.

import { el, setText } from "./dom.js";
import { count, plural } from "./format.js";

const PAGE_ROWS = 25;

/**
 * A table of `columns`: { title, cell(row) → node or text, sort(row), numeric, wide }.
 * `key(row)` names a row. `text(row)`, if given, is what the filter searches.
 * `update(rows)` shows other rows; `visible()` gives those on the page, `selected()` the selected ones.
 */
export function table({ caption, columns, key, text, empty, initial, selectable = false }) {
  const state = { rows: [], page: 0, filter: "", column: initial ?? -1, ascending: true, selected: new Set() };
  const body = el("tbody");
  const heads = columns.map((column, index) => head(column, index));
  const pages = el("div", { class: "pages" });
  const summary = el("span", { class: "summary", role: "status" });
  const previous = el("button", { type: "button", class: "quiet", onclick: () => turn(-1) }, "Previous");
  const next = el("button", { type: "button", class: "quiet", onclick: () => turn(1) }, "Next");
  const all = selectable && el("input", { type: "checkbox", "aria-label": "Select all rows that match", onchange: selectAll });
  const filter = text && el("input", {
    type: "search", placeholder: "Filter", "aria-label": `Filter ${caption.toLowerCase()}`,
    oninput: (event) => {
      state.filter = event.target.value.toLowerCase();
      state.page = 0;
      show();
    },
  });
  pages.append(summary, previous, next);
  const tools = el("div", { class: "tools" }, filter || null, el("span", { class: "spacer" }), pages);
  const element = el("div", { class: "table" }, tools, el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {}, el("caption", {}, caption),
      el("thead", {}, el("tr", {}, selectable ? el("th", { scope: "col", class: "narrow" }, all) : null, heads)), body)));

  function head(column, index) {
    const properties = { scope: "col", class: column.numeric ? "numeric" : null };
    if (!column.sort) return el("th", properties, column.title);
    const sort = () => {
      state.ascending = state.column === index ? !state.ascending : true;
      state.column = index;
      show();
    };
    return el("th", properties, el("button", { type: "button", class: "sort", onclick: sort }, column.title));
  }

  function turn(by) {
    state.page += by;
    show();
    element.querySelector(".scroll").scrollTop = 0;
  }

  function selectAll() {
    state.selected = new Set(all.checked ? matching().map(key) : []);
    show();
  }

  function matching() {
    let rows = state.rows;
    if (state.filter) rows = rows.filter((row) => text(row).toLowerCase().includes(state.filter));
    const column = columns[state.column];
    if (!column) return rows;
    const order = state.ascending ? 1 : -1;
    return [...rows].sort((a, b) => order * compare(column.sort(a), column.sort(b)));
  }

  function page() {
    const rows = matching();
    const last = Math.max(0, Math.ceil(rows.length / PAGE_ROWS) - 1);
    state.page = Math.min(Math.max(state.page, 0), last);
    return { rows, shown: rows.slice(state.page * PAGE_ROWS, (state.page + 1) * PAGE_ROWS), last };
  }

  function show() {
    const { rows, shown, last } = page();
    heads.forEach((head, index) => {
      const order = state.ascending ? "ascending" : "descending";
      if (index === state.column) head.setAttribute("aria-sort", order);
      else head.removeAttribute("aria-sort");
    });
    const existing = new Map([...body.children].map((row) => [row.dataset.key, row]));
    const wanted = shown.map((row) => update(existing.get(String(key(row))) ?? newRow(row), row));
    if (wanted.length === 0) {
      wanted.push(el("tr", {}, el("td", { colspan: columns.length + (selectable ? 1 : 0), class: "empty" },
        state.filter ? "No row matches the filter." : empty)));
    }
    // Rows that stay keep their place in the document, and with it the focus.
    const same = wanted.length === body.children.length && wanted.every((row, index) => row === body.children[index]);
    if (!same) body.replaceChildren(...wanted);
    const first = state.page * PAGE_ROWS;
    setText(summary, rows.length > PAGE_ROWS ? `${count(first + 1)}–${count(first + shown.length)} of ${count(rows.length)}` : plural(rows.length, "row"));
    previous.disabled = state.page === 0;
    next.disabled = state.page === last;
    previous.hidden = next.hidden = last === 0;
    if (all) all.checked = rows.length > 0 && rows.every((row) => state.selected.has(key(row)));
  }

  function newRow(row) {
    const cells = columns.map((column) => el("td", { class: [column.numeric && "numeric", column.wide && "wide"].filter(Boolean).join(" ") || null }));
    const element = el("tr", { "data-key": key(row) }, selectable ? el("td", { class: "narrow" }) : null, cells);
    if (selectable) {
      const id = key(row);
      element.firstChild.append(el("input", {
        type: "checkbox", "aria-label": `Select ${id}`,
        onchange: (event) => {
          if (event.target.checked) state.selected.add(id);
          else state.selected.delete(id);
          show();
        },
      }));
    }
    return element;
  }

  function update(element, row) {
    const cells = [...element.children];
    if (selectable) cells.shift().firstChild.checked = state.selected.has(key(row));
    columns.forEach((column, index) => {
      const content = column.cell(row);
      if (typeof content === "string") setText(cells[index], content);
      else if (!cells[index].firstChild?.isEqualNode(content)) {
        const hasFocus = cells[index].contains(document.activeElement);
        cells[index].replaceChildren(content);
        if (hasFocus) cells[index].querySelector("a, button, input")?.focus();
      }
    });
    return element;
  }

  return {
    element,
    visible: () => page().shown,
    selected: () => state.rows.filter((row) => state.selected.has(key(row))),
    update(rows) {
      const keys = new Set(rows.map(key));
      state.selected.forEach((id) => keys.has(id) || state.selected.delete(id));
      state.rows = rows;
      show();
    },
  };
}

function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return 1;
  if (b === null || b === undefined) return -1;
  if (typeof a === "string") return a.localeCompare(b, "en", { numeric: true });
  return a < b ? -1 : 1;
}
