// All exporters: state, what is pending, rates and errors, with a line of the last hour each.

import { get, part } from "./api.js";
import { operate } from "./actions.js";
import { badge, el } from "./dom.js";
import { compact, rate, relative, seconds, stateTone, time } from "./format.js";
import { sparkline } from "./plot.js";
import { table } from "./table.js";

const STATE_ORDER = ["failed", "quarantined", "stuck", "retrying", "paused", "starting", "stopped", "running"];
const HISTORY_MS = 10_000;
const POINTS = 60;

export const exporterLink = (name) => el("a", { href: `#/exporters/${part(name)}` }, name);

export const isUnwell = (exporter) => !["running", "starting", "stopped"].includes(exporter.state);

export const failuresFirst = (exporter) => STATE_ORDER.indexOf(exporter.state);

/** Button for pause or resume of an exporter. */
export function switchButton(exporter, done) {
  const action = ["paused", "failed", "quarantined", "retrying", "stuck"].includes(exporter.state) ? "resume" : "pause";
  return el("button", { type: "button", "aria-label": `${action} ${exporter.name}`, onclick: () => operate(action, exporter, done) },
    action === "pause" ? "Pause" : "Resume");
}

/** The table of exporters, with the histories of those on its page. */
export function exporterTable(changed) {
  const histories = new Map();
  const shape = table({
    caption: "Exporters",
    initial: 1,
    key: (exporter) => exporter.name,
    text: (exporter) => `${exporter.name} ${exporter.plugin} ${exporter.kind} ${exporter.state} ${exporter.last_error ?? ""}`,
    empty: "The configuration names no exporter.",
    columns: [
      { title: "Exporter", sort: (row) => row.name, cell: (row) => el("div", {}, exporterLink(row.name), el("small", {}, row.kind)) },
      { title: "State", sort: failuresFirst, cell: (row) => badge(row.state, stateTone(row.state)) },
      { title: "Delivered, last hour", cell: (row) => sparkline(histories.get(row.name)?.values ?? [], `Deliveries of ${row.name} in the last hour`) },
      { title: "In", numeric: true, sort: (row) => -(row.accepted_per_second ?? 0), cell: (row) => rate(row.accepted_per_second) },
      { title: "Out", numeric: true, sort: (row) => -(row.delivered_per_second ?? 0), cell: (row) => rate(row.delivered_per_second) },
      { title: "Pending", numeric: true, sort: (row) => -row.pending, cell: (row) => compact(row.pending) },
      { title: "Oldest", numeric: true, sort: (row) => -row.lag_seconds, cell: (row) => (row.pending > 0 ? seconds(row.lag_seconds) : "–") },
      { title: "Next retry", numeric: true, sort: (row) => row.next_attempt_ms, cell: (row) => relative(row.next_attempt_ms) },
      { title: "Last error", wide: true, sort: (row) => -(row.last_error_ms ?? 0), cell: errorCell },
      { title: "", cell: (row) => switchButton(row, changed) },
    ],
  });
  return {
    element: shape.element,
    async update(rows, signal) {
      shape.update(rows);
      const due = shape.visible().filter((row) => Date.now() - (histories.get(row.name)?.readMs ?? 0) > HISTORY_MS);
      await Promise.all(due.map(async ({ name }) => {
        const history = await get(`v1/exporters/${part(name)}/history`, signal).catch((error) => {
          if (error.status === 404) return null;
          throw error;
        });
        if (history) histories.set(name, { values: thinned(increases(history.delivered), POINTS), readMs: Date.now() });
      }));
      if (due.length > 0) shape.update(rows);
    },
  };
}

function errorCell(row) {
  if (!row.last_error) return "–";
  const past = isUnwell(row) ? null : "past";
  return el("div", { class: past, title: `${time(row.last_error_ms)}\n${row.last_error}` },
    el("span", { class: "clip" }, row.last_error), el("small", {}, relative(row.last_error_ms)));
}

/** What a cumulative count grew by from one sample to the next. */
export const increases = (counts) => counts.slice(1).map((value, index) => Math.max(0, value - counts[index]));

/** Fewer values, each the sum of its neighbours. */
function thinned(values, wanted) {
  const size = Math.max(1, Math.ceil(values.length / wanted));
  const sums = [];
  for (let end = values.length; end > 0; end -= size) {
    sums.unshift(values.slice(Math.max(0, end - size), end).reduce((sum, value) => sum + value, 0));
  }
  // The oldest sum is of fewer values.
  return values.length % size === 0 ? sums : sums.slice(1);
}

export function exporters() {
  const removed = el("div");
  const view = { title: "Exporters" };
  const rows = exporterTable(() => view.changed());
  view.element = el("div", {}, el("section", { class: "card" }, rows.element), removed);
  view.refresh = async (signal) => {
    const answer = await get("v1/exporters", signal);
    removed.replaceChildren(...(answer.removed ?? []).map((one) => el("p", { class: "note" },
      `${one.name} was removed from the configuration ${relative(Date.parse(one.removed_at))}. Its ${compact(one.pending)} pending items are kept for a day.`)));
    await rows.update(answer.exporters, signal);
  };
  return view;
}
