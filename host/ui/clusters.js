// All clusters of the database: who is active, who could take over, and what their exporters deliver.

import { get } from "./api.js";
import { badge, el } from "./dom.js";
import { compact, relative, time } from "./format.js";
import { table } from "./table.js";

const NONE = "–";
const number = (value) => (value === null || value === undefined ? NONE : compact(value));
const success = (one) => Date.parse(one.last_success ?? "") || 0;

/** The sum of a count of all exporters; null where a cluster does not tell, or not yet. */
function sum(cluster, count) {
  const counts = cluster.exporters?.map(count) ?? [null];
  return counts.includes(null) ? null : counts.reduce((total, one) => total + one, 0);
}

const lastSuccess = (cluster) => Math.max(0, ...(cluster.exporters ?? []).map(success));

/** The page of a host, if its address is one of the web. */
function pageLink(member) {
  const url = URL.parse(`${member.address}/ui/`);
  const isWeb = ["http:", "https:"].includes(url?.protocol);
  return isWeb ? el("a", { href: url.href }, member.name) : member.name;
}

function activeCell(cluster) {
  const member = cluster.members.find((one) => one.name === cluster.active);
  if (!member) return badge("none", "bad");
  return el("div", {}, pageLink(member), el("small", {}, `since ${time(member.since_ms)}, epoch ${member.epoch}`));
}

function othersCell(cluster) {
  const others = cluster.members.filter((one) => one.name !== cluster.active);
  if (others.length === 0) return NONE;
  return el("ul", { class: "plain tight" }, others.map((one) => el("li", { title: one.obstacle },
    el("span", {}, one.name), one.role === "standby" && !one.obstacle ? null : badge(one.role === "standby" ? "not ready" : one.role, "bad"))));
}

const problems = (cluster) => cluster.members.filter((one) => one.obstacle).map((one) => `${one.name} could not take over: ${one.obstacle}`);

export function clusters() {
  const rows = table({
    caption: "Clusters",
    key: (cluster) => cluster.name,
    text: (cluster) => `${cluster.name} ${cluster.members.map((one) => one.name).join(" ")} ${problems(cluster).join(" ")}`,
    empty: "The host belongs to no cluster.",
    columns: [
      { title: "Cluster", sort: (cluster) => cluster.name, cell: (cluster) => el("strong", {}, cluster.name) },
      { title: "Active", sort: (cluster) => cluster.active ?? "", cell: activeCell },
      { title: "Other hosts", cell: othersCell },
      { title: "Storages", numeric: true, sort: (cluster) => -(cluster.storages ?? -1), cell: (cluster) => number(cluster.storages) },
      { title: "Pending", numeric: true, sort: (cluster) => -(sum(cluster, (one) => one.pending) ?? -1), cell: (cluster) => number(sum(cluster, (one) => one.pending)) },
      { title: "Dead letters", numeric: true, sort: (cluster) => -(sum(cluster, (one) => one.dead_lettered) ?? -1), cell: (cluster) => number(sum(cluster, (one) => one.dead_lettered)) },
      { title: "Last success", numeric: true, sort: lastSuccess, cell: (cluster) => (lastSuccess(cluster) > 0 ? relative(lastSuccess(cluster)) : NONE) },
      { title: "What is wrong", wide: true, sort: (cluster) => problems(cluster)[0] ?? "\uffff", cell: (cluster) => problems(cluster).join("; ") || NONE },
    ],
  });
  const exporters = table({
    caption: "Exporters of all clusters",
    key: (one) => `${one.cluster} ${one.kind} ${one.name}`,
    text: (one) => `${one.cluster} ${one.name} ${one.kind} ${one.last_error ?? ""}`,
    empty: "No cluster has its state in the database.",
    columns: [
      { title: "Exporter", sort: (one) => one.name, cell: (one) => el("div", {}, one.name, el("small", {}, one.kind)) },
      { title: "Cluster", sort: (one) => one.cluster, cell: (one) => one.cluster },
      { title: "Pending", numeric: true, sort: (one) => -(one.pending ?? -1), cell: (one) => number(one.pending) },
      { title: "Delivered", numeric: true, sort: (one) => -one.delivered, cell: (one) => number(one.delivered) },
      { title: "Dead letters", numeric: true, sort: (one) => -one.dead_lettered, cell: (one) => number(one.dead_lettered) },
      { title: "Dropped", numeric: true, sort: (one) => -one.dropped, cell: (one) => number(one.dropped) },
      { title: "Last success", numeric: true, sort: success, cell: (one) => (one.last_success ? relative(success(one)) : NONE) },
      { title: "Last error", wide: true, sort: (one) => -(one.last_error_ms ?? 0), cell: (one) => (one.last_error
        ? el("div", { title: `${time(one.last_error_ms)}\n${one.last_error}` }, el("span", { class: "clip" }, one.last_error), el("small", {}, relative(one.last_error_ms))) : NONE) },
    ],
  });
  const more = el("p", { class: "note", hidden: true });
  return {
    title: "Clusters",
    element: el("div", {}, el("section", { class: "card" }, more, rows.element), el("section", { class: "card" }, exporters.element)),
    refresh: async (signal) => {
      const list = await get("v1/clusters", signal);
      more.hidden = list.total <= list.clusters.length;
      more.textContent = `The first ${list.clusters.length} of ${list.total} clusters are shown.`;
      rows.update(list.clusters);
      exporters.update(list.clusters.flatMap((cluster) => (cluster.exporters ?? []).map((one) => ({ ...one, cluster: cluster.name }))));
    },
  };
}
