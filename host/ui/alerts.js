// Active alerts, the worst first.

import { get } from "./api.js";
import { clearAlert } from "./actions.js";
import { badge, el } from "./dom.js";
import { relative, severityRank, severityTone, time } from "./format.js";
import { table } from "./table.js";

const LIMIT = 1000;

export function alerts() {
  const view = { title: "Active alerts" };
  const note = el("p", { class: "note", hidden: true }, `The first ${LIMIT} alerts are shown.`);
  const rows = table({
    caption: "Active alerts",
    initial: 0,
    key: (alert) => JSON.stringify([alert.storage_id, alert.alert_id, alert.alert_name, alert.location, alert.sequence_number, alert.match_key, alert.first_seen]),
    text: (alert) => [alert.alert_name, alert.alert_id, alert.storage_name, alert.storage_id, alert.severity, alert.location, alert.description].join(" "),
    empty: "No alert is active.",
    columns: [
      { title: "Severity", sort: (alert) => severityRank(alert.severity), cell: (alert) => badge(alert.severity ?? "unknown", severityTone(alert.severity)) },
      { title: "Alert", wide: true, sort: (alert) => alert.alert_name ?? "", cell: (alert) => el("div", {}, el("strong", {}, alert.alert_name ?? alert.alert_id ?? "–"),
        el("span", { class: "clip", title: [alert.description, alert.recovery_advice].filter(Boolean).join("\n") }, alert.description ?? "")) },
      { title: "Storage", sort: (alert) => alert.storage_name ?? alert.storage_id ?? "", cell: (alert) => alert.storage_name ?? alert.storage_id ?? "–" },
      { title: "Location", sort: (alert) => alert.location ?? "", cell: (alert) => alert.location ?? "–" },
      { title: "Age", numeric: true, sort: (alert) => alert.first_seen, cell: (alert) => el("span", { title: `Occurred ${time(alert.occur_time)}` }, relative(alert.first_seen)) },
      { title: "Last seen", numeric: true, sort: (alert) => -alert.last_seen, cell: (alert) => relative(alert.last_seen) },
      { title: "", cell: (alert) => el("button", { type: "button", "aria-label": `clear ${alert.alert_name ?? alert.alert_id ?? "alert"}`, onclick: () => clearAlert(alert, () => view.changed()) }, "Clear") },
    ],
  });
  view.element = el("section", { class: "card" }, note, rows.element);
  view.refresh = async (signal) => {
    const { alerts } = await get(`v1/alerts/active?limit=${LIMIT}`, signal);
    note.hidden = alerts.length < LIMIT;
    rows.update(alerts);
  };
  return view;
}
