// The first screen: what is wrong, then what is going on.

import { get } from "./api.js";
import { badge, el, facts, section, setText } from "./dom.js";
import { bytes, count, plural, rate, relative, seconds, severityRank, severityTone } from "./format.js";
import { exporterTable, isUnwell } from "./exporters.js";
import { storageLink } from "./storages.js";

const ALERTS = 6;
const STORAGES = 6;
const sum = (list, value) => list.reduce((total, one) => total + (value(one) ?? 0), 0);

export function overview() {
  const view = { title: "Overview" };
  const tiles = ["Exporters", "Throughput", "Pending", "Storages", "Active alerts", "Dead letters"].map(tile);
  const links = ["exporters", "exporters", "exporters", "storages", "alerts", "dead-letters"];
  tiles.forEach((one, index) => one.element.setAttribute("href", `#/${links[index]}`));
  const journals = el("div", { class: "journals" });
  const [alerts, storages] = [el("div"), el("div")];
  const rows = exporterTable(() => view.changed());
  view.element = el("div", {}, el("div", { class: "tiles" }, tiles.map((one) => one.element)),
    section("Exporters", rows.element),
    el("div", { class: "columns" }, section("Active alerts", alerts), section("Storages that need a look", storages)),
    section("Journals", journals));
  view.refresh = async (signal) => {
    const [list, active, collection, refused, filled] = await Promise.all([
      get("v1/exporters", signal), get("v1/alerts/active?limit=1000", signal), get("v1/collection", signal),
      get("v1/dead-letters?limit=1000", signal), get("v1/journals", signal),
    ]);
    const unwell = list.exporters.filter(isUnwell);
    const offline = collection.storages.filter((one) => one.status === "offline");
    tiles[0].show(count(list.exporters.length), unwell.length > 0 ? `${unwell.length} not well` : "all well", unwell.length > 0 ? "bad" : "good");
    tiles[1].show(rate(sum(list.exporters, (one) => one.delivered_per_second)), `${rate(sum(list.exporters, (one) => one.accepted_per_second))} accepted`);
    const lag = Math.max(0, ...list.exporters.map((one) => one.lag_seconds));
    tiles[2].show(count(sum(list.exporters, (one) => one.pending)), lag > 0 ? `oldest ${seconds(lag)}` : "nothing waits", lag > 300 ? "warn" : "");
    tiles[3].show(count(collection.storages.length), offline.length > 0 ? `${offline.length} offline` : "all answer", offline.length > 0 ? "bad" : "good");
    const worst = [...active.alerts].sort((a, b) => severityRank(a.severity) - severityRank(b.severity) || b.first_seen - a.first_seen);
    tiles[4].show(`${count(worst.length)}${worst.length >= 1000 ? "+" : ""}`, worst.length > 0 ? `worst: ${worst[0].severity ?? "unknown"}` : "none", worst.length > 0 ? severityTone(worst[0].severity) : "good");
    const number = refused.dead_letters.length;
    tiles[5].show(`${count(number)}${number >= 1000 ? "+" : ""}`, number > 0 ? `newest ${relative(Math.max(...refused.dead_letters.map((one) => Date.parse(one.last_tried_at))))}` : "none", number > 0 ? "warn" : "good");
    alerts.replaceChildren(worst.length === 0 ? el("p", { class: "empty" }, "No alert is active.") : el("ul", { class: "plain" }, worst.slice(0, ALERTS).map((alert) =>
      el("li", {}, badge(alert.severity ?? "unknown", severityTone(alert.severity)), el("span", { class: "grow" }, el("a", { href: "#/alerts" }, alert.alert_name ?? alert.alert_id ?? "Alert"),
        el("small", {}, alert.storage_name ?? alert.storage_id ?? "")), el("small", {}, relative(alert.first_seen))))));
    const look = [...offline, ...collection.storages.filter((one) => one.status !== "offline" && (one.window_age_seconds ?? 0) > 900)];
    storages.replaceChildren(look.length === 0 ? el("p", { class: "empty" }, collection.storages.length === 0 ? "The host collects from no storage." : "Every storage answers.") : el("ul", { class: "plain" }, look.slice(0, STORAGES).map((one) =>
      el("li", {}, badge(one.status, one.status === "offline" ? "bad" : "warn"), el("span", { class: "grow" }, storageLink(one), el("small", { class: "clip" }, one.last_error ?? "")),
        el("small", {}, one.last_success_ms ? `success ${relative(one.last_success_ms)}` : "no success yet")))));
    journals.replaceChildren(...filled.journals.map(journal));
    await rows.update(list.exporters, signal);
  };
  return view;
}

function tile(title) {
  const [value, note] = [el("strong", {}, "–"), el("small")];
  const element = el("a", { class: "tile" }, el("span", {}, title), value, note);
  return {
    element,
    show(text, detail, tone = "") {
      setText(value, text);
      setText(note, detail);
      element.className = `tile ${tone}`;
    },
  };
}

function journal(one) {
  const fill = one.max_bytes > 0 ? one.needed_bytes / one.max_bytes : 0;
  const percent = `${(fill * 100).toFixed(fill < 0.1 ? 1 : 0)} %`;
  return el("div", {}, el("h3", {}, one.kind === "alert" ? "Alerts" : "Performance"),
    el("meter", { min: 0, max: 1, low: 0.6, high: 0.8, optimum: 0, value: fill, "aria-label": `${one.kind} journal, ${percent} needed` }),
    one.fault ? el("p", { class: "banner bad" }, one.fault) : null,
    facts([["Needed", `${percent} (${bytes(one.needed_bytes)} of ${bytes(one.max_bytes)})`], ["Full in", one.full_in_seconds === null ? "not filling" : seconds(one.full_in_seconds)],
      ["Records", plural(one.records, "record")], ["Oldest", seconds(one.oldest_record_seconds)], ["File", bytes(one.file_bytes)], ["Free on disk", bytes(one.free_disk_bytes)]]));
}
