// The configuration in force, without secrets.

import { get } from "./api.js";
import { el, setText } from "./dom.js";
import { time } from "./format.js";

export function configuration() {
  const [source, text] = [el("p", { class: "note" }), el("pre", { tabindex: "0", "aria-label": "Settings" })];
  return {
    title: "Configuration",
    element: el("section", { class: "card" }, source, text),
    refresh: async (signal) => {
      const config = await get("v1/config", signal);
      setText(source, `${config.source}, applied ${time(config.applied_ms)}. Settings that are not listed have their defaults. Secrets are hidden.`);
      setText(text, toml(config.settings));
    },
  };
}

/** Settings in the form of the file. */
function toml(settings, path = []) {
  const entries = Object.entries(settings);
  const isTables = (value) => Array.isArray(value) && value.length > 0 && value.every(isTable);
  const values = entries.filter(([, value]) => !isTable(value) && !isTables(value));
  const blocks = [values.map(([key, value]) => `${name(key)} = ${scalar(value)}`).join("\n")];
  for (const [key, value] of entries) {
    const at = [...path, name(key)];
    if (isTable(value)) {
      const inside = toml(value, at);
      const hasValues = Object.values(value).length === 0 || Object.values(value).some((one) => !isTable(one) && !isTables(one));
      blocks.push(hasValues ? `[${at.join(".")}]\n${inside}` : inside);
    } else if (isTables(value)) {
      value.forEach((one) => blocks.push(`[[${at.join(".")}]]\n${toml(one, at)}`));
    }
  }
  return blocks.filter(Boolean).join("\n\n");
}

const isTable = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const name = (key) => (/^[\w-]+$/.test(key) ? key : JSON.stringify(key));
const scalar = (value) => (Array.isArray(value) ? `[${value.map(scalar).join(", ")}]` : isTable(value) ? `{ ${Object.entries(value).map(([key, one]) => `${name(key)} = ${scalar(one)}`).join(", ")} }` : JSON.stringify(value));
