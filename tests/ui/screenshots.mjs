// Takes the screenshots of the book: `scripts/ui screenshots URL FOLDER` with a running host.
//
// The data is made up here, so that the pictures are the same each time.

import { chromium } from "./browser.mjs";

const [url, folder] = process.argv.slice(2);
const NOW = Date.parse("2026-03-02T10:15:00Z");
const wave = (index, size, period) => 1 + size * Math.sin(index / period) + (size / 3) * Math.sin(index / 3.7);

const restarts = { exit: 0, signal: 0, deadline: 0, protocol: 0, panic: 0, unusable: 0, thread: 0 };
const exporter = (name, kind, state, more = {}) => ({
  name, kind, state, plugin: `${kind === "alert" ? "Alert" : "Performance"}Exporter${name.split("-")[0].replace(/^./, (c) => c.toUpperCase())}`,
  pending: 0, delivered: 48_213_554, dead_lettered: 0, dropped: 0, filtered: 0, accepted_per_second: 7912.4, delivered_per_second: 7912.4,
  lag_seconds: 0, last_error: null, last_error_ms: null, next_attempt_ms: null, last_success: new Date(NOW - 2000).toISOString(),
  isolation: "process", pid: 4242, resident_bytes: 11_400_000, cpu_seconds: 431.2, restarts, ...more,
});
const exporters = [
  exporter("kafka-dr", "performance", "retrying", { pending: 2_841_202, lag_seconds: 372, delivered_per_second: 0, last_error: "cannot connect to `kafka-dr.example.com:9093`: connection refused", last_error_ms: NOW - 8000, next_attempt_ms: NOW + 21_000, last_success: new Date(NOW - 372_000).toISOString() }),
  exporter("splunk-audit", "alert", "paused", { pending: 14, lag_seconds: 1820, accepted_per_second: 0.1, delivered_per_second: 0, delivered: 5210, last_error: "the receiver refuses the token: 403 Forbidden", last_error_ms: NOW - 1_810_000 }),
  exporter("kafka-main", "performance", "running", { pending: 7912, lag_seconds: 0.4 }),
  exporter("prometheus", "performance", "running"),
  exporter("influxdb-lab", "performance", "running", { accepted_per_second: 611.5, delivered_per_second: 611.5, dead_lettered: 37, last_error: "4 rows have a field type that the receiver refuses", last_error_ms: NOW - 5_400_000 }),
  exporter("alertmanager", "alert", "running", { accepted_per_second: 0.1, delivered_per_second: 0.1, delivered: 5224 }),
];
const history = (name) => {
  const down = exporters.find((one) => one.name === name).state !== "running";
  const scale = exporters.find((one) => one.name === name).accepted_per_second;
  const samples = { interval_seconds: 10, times_ms: [], accepted: [], delivered: [], pending: [] };
  let [accepted, delivered] = [0, 0];
  for (let index = 0; index <= 360; index += 1) {
    const more = 10 * scale * wave(index, 0.22, 31);
    accepted += more;
    if (!down || index < 323) delivered = accepted - more * 0.1;
    samples.times_ms.push(NOW - (360 - index) * 10_000);
    samples.accepted.push(Math.round(accepted));
    samples.delivered.push(Math.round(delivered));
    samples.pending.push(Math.round(accepted - delivered));
  }
  return samples;
};
const storage = (index, name, more = {}) => ({
  id: `01957f3a-0000-7000-8000-00000000000${index}`, name, vendor: "huawei", model: "oceanstor_v5", declared: index < 2, status: "normal", state: "waiting",
  last_success_ms: NOW - 12_000, window_age_seconds: 14, last_duration_seconds: 1.8, last_error: null, succeeded: 4310, failed: 0, skipped: 0, points: 9_482_000, alerts: 12, ...more,
});
const storages = [
  storage(1, "ams-prod-01"), storage(2, "ams-prod-02"), storage(3, "fra-archive-01", { vendor: "netapp", model: "cmode" }),
  storage(4, "fra-prod-03", { status: "offline", last_success_ms: NOW - 1_920_000, window_age_seconds: 1925, failed: 32, last_error: "the storage does not answer at `10.4.2.17`: timed out after 60s" }),
  storage(5, "lon-lab-01", { vendor: "dellemc", model: "vmax" }),
];
const alert = (severity, name, index, minutes, description) => ({
  storage_id: storages[index].id, storage_name: storages[index].name, vendor: "huawei", model: "oceanstor_v5", alert_id: `0xF00${index}`, alert_name: name, sequence_number: `10${minutes}`,
  severity, location: `Enclosure 0, slot ${index}`, description, recovery_advice: null, match_key: null, occur_time: NOW - minutes * 60_000, first_seen: NOW - minutes * 60_000, last_seen: NOW - 20_000,
});
const ANSWERS = {
  "/readyz": { ready: true, reasons: [], exporters: [{ name: "kafka-dr", state: "retrying" }, { name: "splunk-audit", state: "paused" }] },
  "/v1/exporters": { exporters },
  "/v1/collection": { storages },
  "/v1/alerts/active": { alerts: [alert("Critical", "Backend link down", 3, 31, "The link between controller A and the disk enclosure is down."), alert("Major", "Fan failed", 0, 184, "Fan 2 of controller B has stopped."), alert("Warning", "Pool above 85 %", 2, 1210, "The pool `archive` is filled to 87 %.")] },
  "/v1/dead-letters": { dead_letters: [1, 2, 3].map((number) => ({ id: `performance-${number}`, exporter: "influxdb-lab", reason: "the field `state` is a float, and the measurement has an integer", items: 12 + number, bytes: 940 * number, last_tried_at: new Date(NOW - 5_400_000 - number * 1000).toISOString(), replayed_at: null })) },
  "/v1/journals": { journals: [
    { kind: "performance", records: 91_204, bytes: 5_400_000_000, needed_bytes: 1_810_000_000, max_bytes: 7_516_192_768, file_bytes: 5_600_000_000, free_disk_bytes: 212_000_000_000, oldest_record_seconds: 21_720, full_in_seconds: 41_400, fault: null },
    { kind: "alert", records: 5224, bytes: 4_100_000, needed_bytes: 20_000, max_bytes: 1_073_741_824, file_bytes: 5_000_000, free_disk_bytes: 212_000_000_000, oldest_record_seconds: 259_000, full_in_seconds: null, fault: null }] },
  "/v1/plugins": { plugins: [
    { file: "/usr/local/lib/delfin-host/plugins/libdelfin_exporter_kafka.so", name: "kafka", version: "0.1.0", vendor: "delfin-host", license: "Apache-2.0", abi: "1.0", refused: null, exporters: [{ name: "PerformanceExporterKafka", kind: "performance", description: "Sends series to Apache Kafka" }, { name: "AlertExporterKafka", kind: "alert", description: "" }] },
    { file: "/usr/local/lib/delfin-host/plugins/libold.so", name: null, version: null, vendor: null, license: null, abi: null, exporters: [], refused: "other users can write the file, its mode is 0777 (chmod o-w)" }] },
};
const metrics = { metrics: [{ resource_type: "volume", name: "iops", unit: "IOPS", series: 4 }, { resource_type: "volume", name: "responseTime", unit: "ms", series: 4 }] };
const series = { matched: 4, complete: true, from_ms: NOW - 3_600_000, series: ["db-log", "db-data", "vm-cluster-1", "backup"].map((name, index) => ({
  name: "iops", resource_type: "volume", resource_id: `v${index}`, resource_name: name, unit: "IOPS",
  points: Array.from({ length: 60 }, (_, minute) => [NOW - (60 - minute) * 60_000, Math.round(900 * (4 - index) * wave(minute, 0.18 + index / 9, 4 + 3 * index))]),
})) };

const VIEWS = [["overview", "#/"], ["exporter", "#/exporters/kafka-dr"], ["storages", "#/storages"], ["storage", `#/storages/${storages[0].id}`], ["alerts", "#/alerts"], ["dead-letters", "#/dead-letters"], ["plugins", "#/plugins"], ["configuration", "#/configuration"]];
const browser = await chromium();
for (const colorScheme of ["light", "dark"]) {
  const page = await browser.newPage({ viewport: { width: 1360, height: 900 }, colorScheme, locale: "en-GB", timezoneId: "UTC" });
  await page.clock.setFixedTime(NOW);
  await page.route(/\/(v1|readyz)/, (route) => {
    const path = new URL(route.request().url()).pathname;
    const [, name] = /exporters\/([^/]+)\/history/.exec(path) ?? [];
    const json = name ? history(name) : path.endsWith("/metrics") ? metrics : path.endsWith("/series") ? series : ANSWERS[path];
    return json ? route.fulfill({ json }) : route.continue();
  });
  for (const [name, hash] of VIEWS) {
    await page.goto(`${url}/ui/${hash}`);
    await page.locator("h1").waitFor();
    await page.waitForLoadState("networkidle");
    await page.screenshot({ path: `${folder}/${name}-${colorScheme}.png`, fullPage: true });
  }
  await page.goto(`${url}/ui/#/exporters`);
  await page.getByRole("button", { name: "pause kafka-main" }).click();
  await page.screenshot({ path: `${folder}/dialog-${colorScheme}.png` });
}
await browser.close();
