// Plots over time: uPlot for pages, a line in SVG for rows of tables.

import uPlot from "./uPlot.esm.js";
import { el, svg } from "./dom.js";
import { compact } from "./format.js";

/** Colours of series by index, for light and dark backgrounds (see style.css). */
const COLOURS = 8;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const clock = (at) => new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** A small line without axes. */
export function sparkline(values, label) {
  const [width, height] = [120, 28];
  const top = Math.max(...values, 0) || 1;
  const step = width / Math.max(values.length - 1, 1);
  const points = values.map((value, index) => `${(index * step).toFixed(1)},${(height - 2 - (value / top) * (height - 4)).toFixed(1)}`);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "sparkline", role: "img", "aria-label": label });
  if (values.length > 1) {
    picture.append(svg("polygon", { points: `0,${height} ${points.join(" ")} ${width},${height}` }), svg("polyline", { points: points.join(" ") }));
  }
  return picture;
}

/**
 * A plot. `update(times, series)`: times in seconds, series of { label, values, unit }, with gaps
 * as null. It follows the width of its element and the colours of the system.
 */
export function plot({ height = 240, label }) {
  const target = el("div", { class: "plot", role: "img", "aria-label": label });
  let shown = null;
  let last = null;
  const draw = () => {
    shown?.destroy();
    shown = null;
    target.replaceChildren();
    if (!last || !target.isConnected) return;
    const axis = { stroke: css("--muted"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 }, font: "12px system-ui" };
    const options = {
      width: Math.max(target.clientWidth, 280), height,
      cursor: { drag: { x: true, y: false }, points: { size: 6 } },
      scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high ?? 0) > 0 ? high * 1.08 : 1] } },
      axes: [{ ...axis, values: (_, times) => times.map(clock) }, { ...axis, size: 64, values: (_, values) => values.map(compact) }],
      series: [{ value: (_, at) => (at === null ? "–" : new Date(at * 1000).toLocaleTimeString()) }, ...last.series.map(line)],
    };
    shown = new uPlot(options, [last.times, ...last.series.map((one) => one.values)], target);
  };
  const line = (one, index) => ({
    label: one.label, width: 2, stroke: css(`--series-${(index % COLOURS) + 1}`), spanGaps: false,
    points: { show: last.times.length < 60, size: 5 },
    value: (_, value) => (value === null || value === undefined ? "–" : `${compact(value)}${one.unit ? ` ${one.unit}` : ""}`),
  });
  const resize = new ResizeObserver(() => {
    if (shown && Math.abs(shown.width - target.clientWidth) > 2) shown.setSize({ width: Math.max(target.clientWidth, 280), height });
    if (!shown && last) draw();
  });
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  resize.observe(target);
  scheme.addEventListener("change", draw);
  return {
    element: target,
    update(times, series) {
      const names = (list) => JSON.stringify(list?.map((one) => one.label));
      const same = shown && names(last?.series) === names(series) && last.times.length < 60 === times.length < 60;
      last = { times, series };
      if (same) shown.setData([times, ...series.map((one) => one.values)]);
      else draw();
    },
    stop() {
      resize.disconnect();
      scheme.removeEventListener("change", draw);
      shown?.destroy();
    },
  };
}

/** Puts series with times of their own on common times. */
export function align(series) {
  const times = [...new Set(series.flatMap((one) => one.points.map(([at]) => at)))].sort((a, b) => a - b);
  const index = new Map(times.map((at, position) => [at, position]));
  const columns = series.map((one) => {
    // Undefined is no point at this time and joins the line; null is a gap.
    const values = new Array(times.length).fill(undefined);
    one.points.forEach(([at, value]) => { values[index.get(at)] = value; });
    return values;
  });
  return [times.map((at) => at / 1000), columns];
}
