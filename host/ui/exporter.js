// One exporter: its last hour, its counts and its process.

import { get, part } from "./api.js";
import { operate, replay } from "./actions.js";
import { badge, el, facts, section } from "./dom.js";
import { bytes, count, plural, rate, relative, seconds, stateTone, time } from "./format.js";
import { increases, isUnwell } from "./exporters.js";
import { plot } from "./plot.js";

export function exporter(name) {
  const rates = plot({ label: `Accepted and delivered items per second of ${name} in the last hour` });
  const pending = plot({ label: `Pending items of ${name} in the last hour`, height: 160 });
  const [status, counts, process, buttons, fault] = ["div", "div", "div", "div", "div"].map((tag) => el(tag));
  buttons.className = "buttons";
  const view = { title: name };
  const changed = () => view.changed();
  let shown = "";
  view.element = el("div", {}, buttons, fault, section("Now", status),
    section("Accepted and delivered items per second", rates.element), section("Pending items", pending.element),
    el("div", { class: "columns" }, section("Items", counts), section("Process", process)));
  view.stop = () => {
    rates.stop();
    pending.stop();
  };
  view.refresh = async (signal) => {
    const [list, history] = await Promise.all([get("v1/exporters", signal), get(`v1/exporters/${part(name)}/history`, signal)]);
    const row = list.exporters.find((one) => one.name === name);
    if (!row) return;
    // Buttons that are still right are kept, and so is the focus.
    if (shown !== row.state) {
      shown = row.state;
      const latest = async (run) => run((await get("v1/exporters")).exporters.find((one) => one.name === name) ?? row);
      buttons.replaceChildren(...["resume", "pause"].filter((action) => action === "pause" || isUnwell(row)).map((action) =>
        el("button", { type: "button", onclick: () => operate(action, row, changed) }, action === "pause" ? "Pause" : "Resume")),
        el("button", { type: "button", onclick: () => replay(row, changed) }, "Replay…"),
        el("button", { type: "button", class: "danger", onclick: () => latest((now) => operate("skip", now, changed)) }, "Skip pending…"),
        el("a", { href: `#/dead-letters`, class: "button" }, "Dead letters"));
    }
    fault.replaceChildren(...(row.last_error ? [el("div", { class: `banner ${row.state === "running" ? "info" : "bad"}` },
      el("strong", {}, row.state === "running" ? "Last error, past: " : "Error: "), el("span", {}, row.last_error), el("small", {}, `${time(row.last_error_ms)}, ${relative(row.last_error_ms)}`))] : []));
    status.replaceChildren(facts([
      ["State", badge(row.state, stateTone(row.state))], ["Kind", row.kind], ["Plugin", row.plugin],
      ["Pending", count(row.pending)], ["Oldest pending", row.pending > 0 ? seconds(row.lag_seconds) : "–"],
      ["In", rate(row.accepted_per_second)], ["Out", rate(row.delivered_per_second)],
      ["Next retry", relative(row.next_attempt_ms)], ["Last delivery", row.last_success ? relative(Date.parse(row.last_success)) : "–"],
    ]));
    counts.replaceChildren(facts([["Delivered", count(row.delivered)], ["Dead-lettered", count(row.dead_lettered)],
      ["Dropped", count(row.dropped)], ["Filtered", count(row.filtered)]]));
    const restarts = Object.entries(row.restarts).filter(([, number]) => number > 0);
    process.replaceChildren(facts([["Runs in", row.isolation === "process" ? "a process of its own" : "a thread of the host"],
      ["Process", row.pid === null ? "–" : String(row.pid)], ["Memory", bytes(row.resident_bytes)], ["CPU time", row.cpu_seconds === null ? "–" : seconds(row.cpu_seconds)],
      ["Restarts", restarts.length === 0 ? "none" : restarts.map(([reason, number]) => `${plural(number, reason, reason)}`).join(", ")]]));
    const times = history.times_ms.map((ms) => ms / 1000);
    const perSecond = (values) => increases(values).map((value, index) => value / Math.max(times[index + 1] - times[index], 1));
    rates.update(times.slice(1), [{ label: "accepted", values: perSecond(history.accepted), unit: "/s" }, { label: "delivered", values: perSecond(history.delivered), unit: "/s" }]);
    pending.update(times, [{ label: "pending", values: history.pending }]);
  };
  return view;
}
