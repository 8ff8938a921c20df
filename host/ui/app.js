// The page: navigation, refreshing, and what every view has.
//
// A view is { title, element, refresh(signal), stop() }. It is refreshed at an interval while the
// page is visible; one call at a time.

import { get, token, connection } from "./api.js";
import { reload, askToken, explain } from "./actions.js";
import { el, setText } from "./dom.js";
import { time } from "./format.js";
import { overview } from "./overview.js";
import { exporters } from "./exporters.js";
import { exporter } from "./exporter.js";
import { storages } from "./storages.js";
import { storage } from "./storage.js";
import { alerts } from "./alerts.js";
import { deadLetters } from "./dead-letters.js";
import { clusters } from "./clusters.js";
import { plugins } from "./plugins.js";
import { configuration } from "./configuration.js";

const REFRESH_MS = 5000;

const VIEWS = {
  "": overview, exporters, storages, alerts, "dead-letters": deadLetters, clusters, plugins, configuration,
};
const DETAILS = { exporters: exporter, storages: storage };
const NAVIGATION = [
  ["", "Overview"], ["exporters", "Exporters"], ["storages", "Storages"], ["alerts", "Alerts"],
  ["dead-letters", "Dead letters"], ["clusters", "Clusters"], ["plugins", "Plugins"], ["configuration", "Configuration"],
];

const main = document.getElementById("main");
const banner = document.getElementById("connection");
const health = document.getElementById("health");
let current = null;
let abort = null;
let timer = null;
let answeredMs = null;
let membership = null;

const links = NAVIGATION.map(([path, title]) => el("a", { href: `#/${path}`, "data-path": path }, title));
const clusterLink = links.find((link) => link.dataset.path === "clusters");
clusterLink.hidden = true;
document.getElementById("nav").append(...links);
document.getElementById("reload").addEventListener("click", () => reload(refresh));
document.getElementById("token").addEventListener("click", () => askToken(refresh));
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", () => open(true));
document.addEventListener("visibilitychange", () => document.hidden || refresh());
connection.listener = (reachable) => {
  if (reachable) answeredMs = Date.now();
  banner.hidden = reachable;
  const since = answeredMs === null ? "" : ` What you see is as of ${time(answeredMs)}.`;
  if (!reachable) setText(banner, `The host does not answer.${since} Trying again.`);
};

function open(focus) {
  const [name = "", detail] = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  const make = detail ? DETAILS[name] : VIEWS[name];
  current?.stop?.();
  abort?.abort();
  current = make ? make(detail) : notFound();
  current.changed = refresh;
  links.forEach((link) => (link.dataset.path === name ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current")));
  document.title = `${current.title} – delfin-host`;
  const error = el("div", { class: "view-error" });
  current.error = error;
  main.replaceChildren(el("h1", {}, current.title), error, current.element);
  if (focus) {
    main.focus();
    window.scrollTo(0, 0);
  }
  refresh();
}

const decode = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

function notFound() {
  return { title: "Not found", element: el("p", {}, "This page has no such view. ", el("a", { href: "#/" }, "Go to the overview.")), refresh: async () => {} };
}

/** Refreshes the view now, and then at the interval. */
async function refresh() {
  clearTimeout(timer);
  abort?.abort();
  const [view, control] = [current, new AbortController()];
  abort = control;
  try {
    await Promise.all([view.refresh(control.signal), checkHealth(control.signal), findCluster(control.signal)]);
    view.error.replaceChildren();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status !== 0) view.error.replaceChildren(explain(error, refresh));
  }
  if (view === current && control === abort && !document.hidden) timer = setTimeout(refresh, REFRESH_MS);
}

async function checkHealth(signal) {
  const ready = await get("readyz", signal);
  const tone = ready.ready ? (ready.exporters.length > 0 ? "warn" : "good") : "bad";
  health.className = `badge ${tone}`;
  const unwell = ready.exporters.length;
  setText(health, !ready.ready ? "Not ready" : unwell > 0 ? `Ready, ${unwell} unwell` : "Ready");
  health.title = ready.reasons.join("; ");
}

/** Offers the view of clusters if the host belongs to one, which only a restart changes. */
async function findCluster(signal) {
  membership ??= await get("v1/members", signal);
  clusterLink.hidden = membership.cluster === null;
}

document.getElementById("token").classList.toggle("set", Boolean(token.get()));
open(false);
