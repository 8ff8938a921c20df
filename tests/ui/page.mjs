// Tests of the web page against a running host, whose address is in DELFIN_URL. `tests/ui.rs`
// starts it with exporters of each state.

import assert from "node:assert/strict";
import http from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { axe, chromium } from "./browser.mjs";

const HOST = process.env.DELFIN_URL;
const SCRIPT = "<img src=x onerror=window.attacked=1>";
const VIEWS = ["", "exporters", "exporters/away", "storages", "storages/known-from-ingest", "alerts", "dead-letters", "plugins", "configuration"];

let browser;
let page;
let faults;

before(async () => { browser = await chromium(); });
after(() => browser.close());
beforeEach(async () => { page = await open(); });

/** A new page. What its console says, and requests to other addresses, are faults. */
async function open(base = HOST, options = {}) {
  await page?.context().close();
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(30_000);
  const next = await context.newPage();
  faults = [];
  next.on("pageerror", (error) => faults.push(String(error)));
  next.on("console", (line) => {
    // Chromium reports answers that are errors; tests that cause them look for them in the page.
    if (line.type() === "error" && !line.text().startsWith("Failed to load resource")) faults.push(line.text());
  });
  next.on("request", (request) => request.url().startsWith(`${base}/`) || faults.push(request.url()));
  return next;
}

async function show(view, base = HOST) {
  await page.goto(`${base}/ui/#/${view}`);
  await page.locator("main h1").waitFor();
}

const row = (text) => page.locator("tbody tr", { hasText: text }).first();
const button = (name) => page.getByRole("button", { name, exact: true });
const dialog = () => page.locator("dialog");
const message = (text) => page.locator("#messages .message", { hasText: text }).waitFor();
const confirm = (name) => dialog().getByRole("button", { name, exact: true }).click();
const api = async (path) => (await fetch(`${HOST}${path}`)).json();

test("every view shows its data as text, loads nothing foreign and reports no fault", async () => {
  const wanted = {
    "": ["away", "retrying", "missing", "failed", "Needed", "Active alerts"],
    exporters: ["good", "running", "not available, with password"],
    "exporters/away": ["Pending items", SCRIPT, "a process of its own"],
    storages: [SCRIPT, ", declared"],
    "storages/known-from-ingest": ["2 series", SCRIPT, "iops (IOPS)"],
    alerts: ["fan", "Critical", SCRIPT],
    "dead-letters": ["performance-1", "picky", "not wanted"],
    plugins: ["broken.so", "refused", "PerformanceExporterScripted"],
    configuration: ["[exporter.away.config]", "<redacted>", "PerformanceExporterMissing"],
  };
  for (const view of VIEWS) {
    await show(view);
    for (const text of wanted[view]) await page.locator("main").getByText(text).first().waitFor({ state: "attached" });
    assert.equal(await page.locator("main img").count(), 0, view);
  }
  await show("storages/00000000-0000-0000-0000-000000000007");
  await page.getByRole("heading", { name: SCRIPT }).waitFor();
  assert.equal(await page.evaluate("window.attacked"), undefined);
  assert.deepEqual(faults, []);
});

for (const colorScheme of ["light", "dark"]) {
  test(`no view has a fault of accessibility that axe finds, ${colorScheme}`, async () => {
    page = await open(HOST, { colorScheme, reducedMotion: "reduce" });
    for (const view of VIEWS) {
      await show(view);
      await page.locator("tbody tr, .plot canvas, pre").first().waitFor();
      await page.evaluate(axe);
      const found = await page.evaluate("axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] })");
      const texts = found.violations.map((one) => `${view}: ${one.id}: ${one.nodes.map((node) => node.html).join("\n")}`);
      assert.deepEqual(texts, []);
    }
  });
}

test("a plot follows the choice of metric, resource and time", async () => {
  await show("storages/known-from-ingest");
  await page.locator(".plot canvas").waitFor();
  await page.getByRole("row", { name: /^a 3 1 2.8 5 2.5$/ }).waitFor();
  await page.getByLabel("Resource", { exact: true }).fill("IMG");
  await page.getByText("1 series.").waitFor();
  await page.getByLabel("Last").selectOption("15m");
  await page.getByText("1 series.").waitFor();
  await page.getByLabel("Resource", { exact: true }).fill("nothing");
  await page.getByText("0 series.").waitFor();
  await show("storages/unknown");
  await page.getByText("has no points of this storage").waitFor();
  assert.deepEqual(faults, []);
});

test("an exporter is paused, resumed and replayed, and its items are skipped", async () => {
  await show("exporters");
  await row("good").getByRole("button", { name: "pause good" }).click();
  await confirm("Cancel");
  assert.equal((await api("/v1/exporters")).exporters[0].state, "running");
  await row("good").getByRole("button", { name: "pause good" }).click();
  await confirm("Pause");
  await message("good is paused.");
  await row("good").getByText("paused", { exact: true }).waitFor();
  await row("good").getByRole("button", { name: "resume good" }).click();
  await confirm("Resume");
  await message("good tries again now.");
  await show("exporters/good");
  await button("Replay…").click();
  await dialog().getByLabel(/Since/).fill("tomorrow");
  await confirm("Replay");
  await dialog().getByText("400 InvalidInput").waitFor();
  await dialog().getByLabel(/Since/).fill("1h");
  await confirm("Replay");
  await message("items wait for good.");
  await show("exporters/away");
  await button("Skip pending…").click();
  await dialog().getByText("will never be delivered").waitFor();
  await confirm("Skip");
  await message("of away were dropped.");
  assert.deepEqual(faults, []);
});

test("dead letters are shown with their content, replayed and purged", async () => {
  await show("dead-letters");
  await button("Purge selected…").click();
  await page.getByText("Select dead letters first.").waitFor();
  await page.getByRole("button", { name: "Show performance-1", exact: true }).click();
  await page.locator("pre", { hasText: "resource_type" }).waitFor();
  assert.equal(await page.locator("pre img").count(), 0);
  await page.getByLabel("Select performance-1", { exact: true }).check();
  await button("Replay selected…").click();
  await confirm("Replay");
  await message("1 dead letter with ");
  await page.getByLabel("Select all rows that match").check();
  await button("Purge selected…").click();
  await confirm("Purge");
  await message("deleted.");
  assert.deepEqual(faults, []);
});

test("an alert is cleared, and others stay", async () => {
  await show("alerts");
  await row("fan").getByRole("button", { name: "clear fan" }).click();
  await confirm("Clear");
  await message("1 alert cleared.");
  await page.getByRole("button", { name: "clear fan" }).waitFor({ state: "detached" });
  await row(SCRIPT).waitFor();
});

test("the configuration is reloaded", async () => {
  await show("configuration");
  await button("Reload configuration").click();
  await confirm("Reload");
  await message("The configuration was reloaded, no exporter changed.");
});

test("the page works with the keyboard, and keeps the focus while it refreshes", async () => {
  await show("exporters");
  await row("good").waitFor();
  await page.locator("body").press("Tab");
  assert.equal(await page.evaluate("document.activeElement.id"), "skip");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate("document.activeElement.id"), "main");
  const sort = page.getByRole("button", { name: "Exporter", exact: true });
  await sort.focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("th[aria-sort]").getAttribute("aria-sort"), "ascending");
  assert.match(await page.locator("tbody tr").first().innerText(), /^alerts/);
  const pause = page.getByRole("button", { name: "pause good" });
  await pause.focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  await dialog().waitFor({ state: "hidden" });
  await page.waitForResponse(/v1\/exporters$/);
  assert.equal(await page.evaluate("document.activeElement.getAttribute('aria-label')"), "pause good");
});

test("an error of each kind says what to do", async () => {
  const answers = [
    [403, "Forbidden", "`api.hosts`"], [404, "NotFound", "does not exist any more"], [409, "ExporterIsRemoved", "has changed meanwhile"],
    [503, "ServiceUnavailable", "Try again in some seconds"], [507, "JournalFull", "Make room on the disk"], [500, "DelfinException", "500 DelfinException"],
  ];
  await show("exporters");
  for (const [status, code, help] of answers) {
    const json = { error_code: code, error_msg: `reason ${status} ${SCRIPT}`, error_args: [] };
    await page.route("**/pause", (route) => route.fulfill({ status, json }));
    await row("good").getByRole("button", { name: "pause good" }).click();
    await confirm("Pause");
    await dialog().getByText(`reason ${status} ${SCRIPT}`).waitFor();
    await dialog().getByText(help).waitFor();
    await confirm("Cancel");
    await page.unroute("**/pause");
  }
  // A proxy answers with a page of its own.
  await page.route("**/v1/exporters", (route) => route.fulfill({ status: 502, body: "<h1>Bad gateway</h1>" }));
  await page.locator(".view-error", { hasText: "The host answered 502" }).waitFor();
  await page.unroute("**/v1/exporters");
  await page.locator(".view-error .banner").waitFor({ state: "detached" });
  assert.deepEqual(faults, []);
});

test("a host that is away is named, what was read stays, and the page recovers", async () => {
  await show("exporters");
  await row("good").waitFor();
  await page.route("**/*", (route) => route.abort());
  await page.locator("#connection", { hasText: "The host does not answer. What you see is as of" }).waitFor();
  await row("good").waitFor();
  await row("good").getByRole("button", { name: "pause good" }).click();
  await confirm("Pause");
  await dialog().getByText("it is stopped, or the network fails").waitFor();
  await confirm("Cancel");
  await page.unroute("**/*");
  await page.locator("#connection").waitFor({ state: "hidden" });
});

test("a host that asks for a token gets it with each call, until the tab is closed", async () => {
  const guarded = process.env.DELFIN_GUARDED_URL;
  page = await open(guarded);
  await show("exporters", guarded);
  await button("Enter a token").click();
  await dialog().getByLabel("Token").fill(process.env.DELFIN_READ_TOKEN);
  await confirm("Use token");
  await row("missing").waitFor();
  await show("configuration", guarded);
  await button("Reload configuration").click();
  await confirm("Reload");
  await dialog().getByText("does not have the scope `admin`").waitFor();
  await confirm("Cancel");
  assert.equal(await page.evaluate("localStorage.length + document.cookie.length"), 0);
});

test("a host of a cluster shows all clusters, and leads to their active hosts", async () => {
  const link = () => page.getByRole("link", { name: "Clusters", exact: true });
  await show("exporters");
  await row("good").waitFor();
  assert.equal(await link().count(), 0);
  const clustered = process.env.DELFIN_CLUSTER_URL;
  page = await open(clustered);
  await show("", clustered);
  await link().click();
  const active = row("delfin").getByRole("link", { name: "a", exact: true });
  assert.equal(await active.getAttribute("href"), `${clustered}/ui/`);
  const { clusters: [own] } = await (await fetch(`${clustered}/v1/clusters`)).json();
  const exporter = {
    name: "central", kind: "performance", pending: 1200, delivered: 3, dead_lettered: 2, dropped: 0, filtered: 0,
    last_error: SCRIPT, last_error_ms: own.members[0].since_ms, last_success: null,
  };
  const [member] = own.members;
  const lost = { ...member, name: "lost", role: "gone", epoch: 1 };
  const unready = { ...member, name: "unready", role: "standby", epoch: null, obstacle: SCRIPT };
  const odd = { ...member, name: "odd", address: "javascript:void" };
  const clusters = [
    own, { name: "east", active: null, members: [lost, unready], storages: 12, exporters: [exporter, { ...exporter, name: "unknown", pending: null }] },
    { name: "odd", active: "odd", members: [odd] },
  ];
  await page.route("**/v1/clusters", (route) => route.fulfill({ json: { total: 1001, clusters } }));
  await page.getByText("The first 3 of 1001 clusters are shown.").waitFor();
  for (const text of ["none", "lost", "gone", "unready", "not ready", "12", `unready could not take over: ${SCRIPT}`]) {
    await row("east").getByText(text, { exact: true }).waitFor();
  }
  await row("central").getByText("1,200").waitFor();
  await row("central").getByText(SCRIPT).waitFor();
  assert.equal(await row("odd").getByRole("link").count(), 0);
  assert.equal(await page.locator("main img").count(), 0);
  await page.evaluate(axe);
  const found = await page.evaluate("axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] })");
  assert.deepEqual(found.violations.map((one) => one.id), []);
  assert.deepEqual(faults, []);
});

test("the page works below a path of a proxy", async () => {
  const target = new URL(HOST);
  const proxy = http.createServer((request, response) => {
    const { method, headers } = request;
    const path = request.url.replace(/^\/delfin/, "");
    const forwarded = http.request({ host: target.hostname, port: target.port, path, method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    request.pipe(forwarded);
  });
  await new Promise((listening) => proxy.listen(0, "127.0.0.1", listening));
  try {
    const base = `http://127.0.0.1:${proxy.address().port}/delfin`;
    page = await open(base);
    await page.goto(`${base}/ui`);
    assert.equal(page.url(), `${base}/ui/`);
    await show("exporters", base);
    await row("good").getByRole("button", { name: "pause good" }).click();
    await confirm("Pause");
    await message("good is paused.");
    await row("good").getByRole("button", { name: "resume good" }).click();
    await confirm("Resume");
    await message("good tries again now.");
    assert.deepEqual(faults, []);
  } finally {
    proxy.closeAllConnections();
    proxy.close();
  }
});

test("a thousand storages and a hundred exporters are shown in pages", async () => {
  const [{ storages: [storage] }, { exporters: [exporter] }] = await Promise.all([api("/v1/collection"), api("/v1/exporters")]);
  const storages = Array.from({ length: 1000 }, (_, index) => ({ ...storage, id: `id-${index}`, name: `storage-${index}` }));
  const exporters = Array.from({ length: 100 }, (_, index) => ({ ...exporter, name: `exporter-${index}` }));
  const history = { interval_seconds: 10, times_ms: [], accepted: [], delivered: [], pending: [] };
  for (let index = 0; index <= 360; index += 1) {
    history.times_ms.push(index * 10_000);
    for (const list of [history.accepted, history.delivered, history.pending]) list.push(index * 7);
  }
  let histories = 0;
  await page.route("**/v1/collection", (route) => route.fulfill({ json: { storages } }));
  await page.route("**/v1/exporters", (route) => route.fulfill({ json: { exporters } }));
  await page.route("**/history", (route) => {
    histories += 1;
    return route.fulfill({ json: history });
  });
  await page.addInitScript(() => {
    window.longest = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => { window.longest = Math.max(window.longest, entry.duration); })).observe({ type: "longtask", buffered: true });
  });
  await show("storages");
  await page.getByText("1–25 of 1,000").waitFor();
  assert.equal(await page.locator("tbody tr").count(), 25);
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("26–50 of 1,000").waitFor();
  await page.getByLabel("Filter storages").fill("storage-99");
  await page.locator(".summary", { hasText: /^11 rows$/ }).waitFor();
  await show("");
  await page.getByText("1–25 of 100").waitFor();
  await page.waitForResponse(/v1\/exporters$/);
  assert.ok(histories <= 50, `${histories} histories for 25 rows`);
  test_log(`longest task with 1,000 storages and 100 exporters: ${await page.evaluate("window.longest")} ms`);
  assert.deepEqual(faults, []);
});

const test_log = (text) => console.log(`# ${text}`);
