// Dead letters: why, their content, replay and purge.

import { get, part } from "./api.js";
import { actOn, explain } from "./actions.js";
import { el } from "./dom.js";
import { bytes, compact, plural, relative } from "./format.js";
import { table } from "./table.js";

const LIMIT = 1000;
const MAX_CHARACTERS = 200_000;

export function deadLetters() {
  const view = { title: "Dead letters" };
  const note = el("p", { class: "note", hidden: true }, `The first ${LIMIT} dead letters are shown. Replay or purge some to see more, or use the command line for all.`);
  const content = el("section", { class: "card", hidden: true, tabindex: "-1", "aria-label": "Content" });
  const rows = table({
    caption: "Dead letters",
    key: (row) => row.id,
    text: (row) => `${row.id} ${row.exporter} ${row.reason}`,
    empty: "There are no dead letters: no receiver has refused a row for good.",
    selectable: true,
    columns: [
      { title: "Id", sort: (row) => row.id, cell: (row) => el("button", { type: "button", class: "link", "aria-label": `Show ${row.id}`, onclick: () => show(row.id) }, row.id) },
      { title: "Exporter", sort: (row) => row.exporter, cell: (row) => row.exporter },
      { title: "Reason", wide: true, sort: (row) => row.reason, cell: (row) => el("span", { class: "clip", title: row.reason }, row.reason) },
      { title: "Items", numeric: true, sort: (row) => -row.items, cell: (row) => compact(row.items) },
      { title: "Size", numeric: true, sort: (row) => -row.bytes, cell: (row) => bytes(row.bytes) },
      { title: "Refused", numeric: true, sort: (row) => -Date.parse(row.last_tried_at), cell: (row) => relative(Date.parse(row.last_tried_at)) },
      { title: "", cell: (row) => (row.replayed_at ? "being replayed" : "") },
    ],
  });
  const act = (action) => {
    const ids = rows.selected().map((row) => row.id);
    if (ids.length > 0) actOn(action, ids, () => view.changed());
    else hint.hidden = false;
  };
  const hint = el("span", { class: "note", role: "status", hidden: true }, "Select dead letters first.");
  view.element = el("div", {}, el("section", { class: "card" }, note, el("div", { class: "buttons" },
    el("button", { type: "button", onclick: () => act("replay") }, "Replay selected…"),
    el("button", { type: "button", class: "danger", onclick: () => act("purge") }, "Purge selected…"), hint), rows.element), content);

  async function show(id) {
    content.hidden = false;
    content.replaceChildren(el("h2", {}, id), el("p", { role: "status" }, "Reading…"));
    try {
      const row = await get(`v1/dead-letters/${part(id)}`);
      const text = JSON.stringify(row.content, null, 2);
      const cut = text.length > MAX_CHARACTERS ? text.slice(0, MAX_CHARACTERS) : text;
      content.replaceChildren(...[el("h2", {}, id), el("p", {}, `${plural(row.items, "item")}, ${row.exporter}: ${row.reason}`),
        cut === text ? null : el("p", { class: "note" }, `The first ${MAX_CHARACTERS} characters are shown.`),
        row.content_error ? el("p", { class: "banner bad" }, row.content_error) : el("pre", { tabindex: "0" }, cut)].filter(Boolean));
    } catch (error) {
      content.replaceChildren(el("h2", {}, id), explain(error, () => show(id)));
    }
    content.focus();
  }

  view.refresh = async (signal) => {
    const found = (await get(`v1/dead-letters?limit=${LIMIT}`, signal)).dead_letters;
    note.hidden = found.length < LIMIT;
    if (rows.selected().length > 0) hint.hidden = true;
    rows.update(found);
  };
  return view;
}
