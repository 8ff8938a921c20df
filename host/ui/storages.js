// All storages, with the state of their collection.

import { get, part } from "./api.js";
import { badge, el } from "./dom.js";
import { compact, relative, seconds, stateTone } from "./format.js";
import { table } from "./table.js";

export const storageLink = (storage) => el("a", { href: `#/storages/${part(storage.id)}` }, storage.name || storage.id);

const ORDER = ["offline", "unknown", "normal"];

export function storages() {
  const rows = table({
    caption: "Storages",
    initial: 1,
    key: (one) => one.id,
    text: (one) => `${one.name} ${one.id} ${one.vendor} ${one.model} ${one.status} ${one.last_error ?? ""}`,
    empty: "The host collects from no storage. Storages are declared in the configuration, or registered over the API.",
    columns: [
      { title: "Storage", sort: (one) => one.name, cell: (one) => el("div", {}, storageLink(one), el("small", {}, `${one.vendor} ${one.model}${one.declared ? ", declared" : ""}`)) },
      { title: "Status", sort: (one) => ORDER.indexOf(one.status), cell: (one) => badge(one.status, stateTone(one.status)) },
      { title: "Last success", numeric: true, sort: (one) => one.last_success_ms ?? 0, cell: (one) => relative(one.last_success_ms) },
      { title: "Window age", numeric: true, sort: (one) => -(one.window_age_seconds ?? 0), cell: (one) => seconds(one.window_age_seconds) },
      { title: "Call takes", numeric: true, sort: (one) => -(one.last_duration_seconds ?? 0), cell: (one) => (one.last_duration_seconds === null ? "–" : one.last_duration_seconds < 1 ? `${Math.round(one.last_duration_seconds * 1000)} ms` : seconds(one.last_duration_seconds)) },
      { title: "Points", numeric: true, sort: (one) => -one.points, cell: (one) => compact(one.points) },
      { title: "Failed", numeric: true, sort: (one) => -one.failed, cell: (one) => compact(one.failed) },
      { title: "Last error", wide: true, sort: (one) => one.last_error ?? "\uffff", cell: (one) => (one.last_error ? el("span", { class: "clip", title: one.last_error }, one.last_error) : "–") },
    ],
  });
  return {
    title: "Storages",
    element: el("section", { class: "card" }, rows.element),
    refresh: async (signal) => rows.update((await get("v1/collection", signal)).storages),
  };
}
