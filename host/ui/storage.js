// One storage: its collection, and a plot of its series from what the journal still has.

import { get, part } from "./api.js";
import { badge, el, facts, section, setText } from "./dom.js";
import { count, relative, seconds, stateTone, time } from "./format.js";
import { align, plot } from "./plot.js";

const SPANS = [["15m", "15 minutes"], ["1h", "1 hour"], ["3h", "3 hours"], ["12h", "12 hours"], ["24h", "24 hours"]];
const MAX_SERIES = 8;

export function storage(id) {
  const view = { title: id };
  const chart = plot({ height: 320, label: "Series of the storage" });
  const [state, note, numbers] = [el("div"), el("p", { class: "note", role: "status" }), el("div")];
  const type = el("select", { id: "resource-type", onchange: () => offerMetrics() });
  const metric = el("select", { id: "metric", onchange: () => view.changed() });
  const resource = el("input", { id: "resource", type: "search", list: "resources", placeholder: "all", autocomplete: "off", oninput: typed });
  const resources = el("datalist", { id: "resources" });
  const span = el("select", { id: "span", onchange: () => view.changed() }, SPANS.map(([value, text]) => el("option", { value, selected: value === "1h" }, text)));
  let metrics = [];
  let typing = null;
  const field = (name, control) => el("label", { for: control.id }, name, control);
  view.element = el("div", {}, section("Collection", state),
    section("Series", el("div", { class: "tools" }, field("Resource type", type), field("Metric", metric), field("Resource", resource), resources, field("Last", span)), note, chart.element, numbers));
  view.stop = () => chart.stop();

  function typed() {
    clearTimeout(typing);
    typing = setTimeout(() => view.changed(), 250);
  }

  function options(select, values) {
    const known = [...select.options].map((option) => option.value);
    if (JSON.stringify(known) === JSON.stringify(values.map(([value]) => value))) return;
    const chosen = select.value;
    select.replaceChildren(...values.map(([value, text]) => el("option", { value }, text)));
    if (values.some(([value]) => value === chosen)) select.value = chosen;
  }

  function offer() {
    const types = [...new Set(metrics.map((one) => one.resource_type))];
    options(type, types.map((value) => [value, value || "(none)"]));
    const offered = metrics.filter((one) => one.resource_type === type.value);
    options(metric, offered.map((one) => [one.name, one.unit ? `${one.name} (${one.unit})` : one.name]));
  }

  function offerMetrics() {
    offer();
    view.changed();
  }

  view.refresh = async (signal) => {
    const path = `v1/storages/${part(id)}`;
    const since = span.value;
    const [collection, found] = await Promise.all([get("v1/collection", signal), get(`${path}/metrics?since=${since}`, signal)]);
    const one = collection.storages.find((storage) => storage.id === id);
    const title = one?.name || id;
    setText(document.querySelector("h1"), title);
    state.replaceChildren(one ? facts([["Status", badge(one.status, stateTone(one.status))], ["Driver", `${one.vendor} ${one.model}`], ["Id", one.id],
      ["Last success", relative(one.last_success_ms)], ["Window age", seconds(one.window_age_seconds)], ["Points", count(one.points)], ["Alerts", count(one.alerts)],
      ["Calls", `${count(one.succeeded)} succeeded, ${count(one.failed)} failed`], ["Last error", one.last_error ?? "–"]])
      : el("p", { class: "empty" }, "The host does not collect from this storage. It may be known from batches of clients."));
    metrics = found.metrics;
    offer();
    if (metrics.length === 0) {
      setText(note, "The journal has no points of this storage in this time. It keeps records until every exporter has them, and as long as `journal.retention` says.");
      chart.update([], []);
      numbers.replaceChildren();
      return;
    }
    const query = new URLSearchParams({ since, metric: metric.value, resource_type: type.value, limit: MAX_SERIES });
    if (resource.value.trim()) query.set("resource", resource.value.trim());
    show(await get(`${path}/series?${query}`, signal));
  };

  function show(found) {
    const label = (series) => series.resource_name || series.resource_id || "(storage)";
    const [times, columns] = align(found.series);
    chart.update(times, found.series.map((series, index) => ({ label: label(series), values: columns[index], unit: series.unit })));
    const shown = found.matched > found.series.length ? `${found.series.length} of ${count(found.matched)} series. Filter by resource to see others.` : `${count(found.matched)} series.`;
    setText(note, found.complete ? shown : `${shown} Only points since ${time(found.from_ms)}: there are too many for one answer.`);
    resources.replaceChildren(...found.series.map((series) => el("option", { value: label(series) })));
    const value = (number) => (number === null ? "–" : count(number));
    numbers.replaceChildren(el("div", { class: "scroll" }, el("table", {}, el("caption", {}, "Values of the plot"),
      el("thead", {}, el("tr", {}, ["Resource", "Points", "Minimum", "Mean", "Maximum", "Last"].map((text, index) => el("th", { scope: "col", class: index ? "numeric" : null }, text)))),
      el("tbody", {}, found.series.map((series) => {
        const values = series.points.map(([, number]) => number).filter((number) => number !== null);
        const [low, high] = values.reduce(([low, high], number) => [Math.min(low, number), Math.max(high, number)], [Infinity, -Infinity]);
        const mean = values.reduce((sum, number) => sum + number, 0) / values.length;
        const numbers = values.length > 0 ? [low, mean, high, values.at(-1)] : [null, null, null, null];
        return el("tr", {}, el("th", { scope: "row" }, label(series)), el("td", { class: "numeric" }, count(series.points.length)), numbers.map((number) => el("td", { class: "numeric" }, value(number))));
      })))));
  }
  return view;
}
