// Numbers, sizes and times as people read them.

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value) => NUMBER.format(value);

/** A number in a few characters: 1.2M. */
export const compact = (value) => (Math.abs(value) < 10_000 ? NUMBER.format(value) : COMPACT.format(value));

export function bytes(value) {
  if (value === null) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1) return value === 0 ? "0 s" : "< 1 s";
  if (value < 60) return `${Math.floor(value)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min`;
  if (value < 86_400) return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
  return `${Math.floor(value / 86_400)} d ${Math.floor((value % 86_400) / 3600)} h`;
}

/** How long ago, or how soon. */
export function relative(ms, now = Date.now()) {
  if (ms === null || ms === undefined) return "–";
  const passed = (now - ms) / 1000;
  return passed >= 0 ? `${seconds(passed)} ago` : `in ${seconds(-passed)}`;
}

export function time(ms) {
  return ms === null || ms === undefined ? "–" : new Date(ms).toLocaleString();
}

export const rate = (value) => (value === null || value === undefined ? "–" : `${compact(value)}/s`);

export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

const STATES = {
  running: "good", starting: "info", retrying: "warn", paused: "warn", stuck: "bad", failed: "bad",
  quarantined: "bad", stopped: "info", normal: "good", offline: "bad", unknown: "info",
};
export const stateTone = (state) => STATES[state] ?? "info";

const SEVERITIES = ["fatal", "critical", "major", "minor", "warning", "informational", "notspecified"];
export function severityRank(severity) {
  const rank = SEVERITIES.indexOf((severity ?? "").toLowerCase());
  return rank < 0 ? SEVERITIES.length : rank;
}
export const severityTone = (severity) => ["bad", "bad", "bad", "warn", "warn"][severityRank(severity)] ?? "info";
