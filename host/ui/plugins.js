// Plugin files: versions, exporters, and why some are refused.

import { get } from "./api.js";
import { badge, el } from "./dom.js";
import { table } from "./table.js";

export function plugins() {
  const rows = table({
    caption: "Plugin files",
    initial: 1,
    key: (plugin) => plugin.file,
    text: (plugin) => `${plugin.file} ${plugin.name ?? ""} ${plugin.refused ?? ""} ${plugin.exporters.map((one) => one.name).join(" ")}`,
    empty: "The plugin folders hold no plugin.",
    columns: [
      { title: "Plugin", sort: (plugin) => plugin.name ?? plugin.file, cell: (plugin) => el("div", {}, el("strong", {}, plugin.name ?? "–"), el("small", { class: "break" }, plugin.file)) },
      { title: "State", sort: (plugin) => (plugin.refused ? 0 : 1), cell: (plugin) => (plugin.refused ? badge("refused", "bad") : badge("accepted", "good")) },
      { title: "Version", sort: (plugin) => plugin.version ?? "", cell: (plugin) => plugin.version ?? "–" },
      { title: "Interface", sort: (plugin) => plugin.abi ?? "", cell: (plugin) => plugin.abi ?? "–" },
      { title: "Vendor, licence", sort: (plugin) => plugin.vendor ?? "", cell: (plugin) => [plugin.vendor, plugin.license].filter(Boolean).join(", ") || "–" },
      { title: "Exporters", wide: true, cell: (plugin) => (plugin.refused ? el("span", { class: "bad-text" }, plugin.refused)
        : el("ul", { class: "plain tight" }, plugin.exporters.map((one) => el("li", { title: one.description }, el("span", {}, one.name), el("small", {}, one.kind))))) },
    ],
  });
  return {
    title: "Plugins",
    element: el("section", { class: "card" }, rows.element),
    refresh: async (signal) => rows.update((await get("v1/plugins", signal)).plugins),
  };
}
