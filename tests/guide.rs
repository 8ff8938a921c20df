//! The steps of Delfin's exporter guide with the real host, the real plugins, Prometheus and
//! Alertmanager.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use delfin_plugin_api::serde::Deserialize;
use delfin_tests::{
    Host, Setup,
    receivers::{self, Alertmanager, Labels, Prometheus, free_port},
    wait_for,
};
use serde_json::{Value, json, value::RawValue};

const PAGE: &str = "PerformanceExporterPrometheus";
const FILE: &str = "PerformanceExporterFile";
const ALERTS: &str = "AlertExporterPrometheus";

/// The id of a storage that is not collected.
const ELSEWHERE: &str = "0d0a1f6e";

/// The four alerts of a fake storage: name, severity, type, location, number.
const FOUR: [[&str; 5]; 4] = [
    [
        "Communication failure",
        "Critical",
        "CommunicationsAlarm",
        "NetworkEntity=network1",
        "103",
    ],
    [
        "Link state down",
        "Critical",
        "CommunicationsAlarm",
        "NetworkEntity=entity2",
        "101",
    ],
    [
        "Power failure",
        "Fatal",
        "OperationalViolation",
        "NetworkEntity=entity3",
        "102",
    ],
    [
        "SNMP connect failed",
        "Major",
        "OperationalViolation",
        "NetworkEntity=entity1",
        "100",
    ],
];

/// A host with the exporters of the guide, and an exporter that writes the same rows to a file.
struct Guide {
    setup: Setup,
    page: u16,
    prometheus: u16,
    alertmanager: u16,
}

impl Guide {
    fn new() -> Self {
        let (page, prometheus, alertmanager) = (free_port(), free_port(), free_port());
        let config = format!(
            "performance_exporters = [\"{PAGE}\", \"{FILE}\"]
             alert_exporters = [\"{ALERTS}\"]
             [exporter.{PAGE}.config]
             metric_server_port = {page}
             [exporter.{FILE}.config]
             path = \"@/performance.jsonl\"
             [exporter.{ALERTS}]
             resend = \"1s\"
             retry = {{ initial_interval = \"50ms\", max_interval = \"200ms\" }}
             [exporter.{ALERTS}.config]
             alert_manager_host = \"127.0.0.1\"
             alert_manager_port = {alertmanager}
             resolve_after = \"10s\""
        );
        Self {
            setup: Setup::new(&["prometheus", "file"], &config),
            page,
            prometheus,
            alertmanager,
        }
    }

    fn prometheus(&self) -> Option<Prometheus> {
        let config = format!(
            "scrape_configs:\n- job_name: delfin\n  scrape_interval: 2s\n  scrape_timeout: 2s\n\
             \x20 static_configs: [{{targets: ['127.0.0.1:{}']}}]\n",
            self.page
        );
        Prometheus::start(&self.folder(), self.prometheus, &config)
    }

    fn alertmanager(&self) -> Option<Alertmanager> {
        Alertmanager::start(&self.folder(), self.alertmanager)
    }

    fn folder(&self) -> PathBuf {
        self.setup.path("")
    }

    /// The latest value of each delivered series, by its labels on the page.
    fn delivered(&self) -> BTreeMap<Labels, f64> {
        let mut latest: BTreeMap<Labels, (i64, f64)> = BTreeMap::new();
        for line in self.setup.lines("performance.jsonl") {
            let series: BTreeMap<&str, &RawValue> = serde_json::from_str(&line).expect("a line");
            // serde_json may read a number that is off by one bit.
            let values: BTreeMap<&str, &RawValue> = read(series["values"]);
            let points = values.into_iter().map(|(time, value)| {
                let time: i64 = time.parse().expect("a time");
                (time, value.get().parse::<f64>().expect("a value"))
            });
            let last = points.max_by_key(|(time, _)| *time).expect("a point");
            let shown = latest
                .entry(named(
                    &read::<String>(series["name"]),
                    read(series["labels"]),
                ))
                .or_insert(last);
            if last.0 >= shown.0 {
                *shown = last;
            }
        }
        let latest = latest.into_iter();
        latest.map(|(name, (_, value))| (name, value)).collect()
    }

    /// Waits until Prometheus has exactly the delivered series: this many.
    fn wait_for_prometheus(&self, host: &Host, prometheus: &Prometheus, count: usize) {
        for exporter in [PAGE, FILE] {
            host.wait_for_exporter(exporter, "nothing pending", |exporter| {
                exporter["pending"] == 0
            });
        }
        // Lists are not part of a collection, so they can be later.
        let mut delivered = BTreeMap::new();
        let all = catch_unwind(AssertUnwindSafe(|| {
            wait_for("every series", || {
                delivered = self.delivered();
                (delivered.len() >= count).then_some(())
            });
        }));
        if all.is_err() || delivered.len() != count {
            panic!(
                "{} of {count} series delivered: {:?}\n{}",
                delivered.len(),
                by_name(&delivered),
                host.log()
            );
        }
        let mut found = BTreeMap::new();
        let all = catch_unwind(AssertUnwindSafe(|| {
            wait_for("every series in Prometheus, with its value", || {
                found = prometheus.series();
                (found == delivered).then_some(())
            });
        }));
        if all.is_err() {
            let other = |one: &BTreeMap<Labels, f64>, two: &BTreeMap<Labels, f64>| {
                let first = one
                    .iter()
                    .find(|(name, value)| two.get(*name) != Some(value));
                first.map(|(name, value)| format!("{name:?} {value}"))
            };
            panic!(
                "delivered: {count}, first that is missing or another in Prometheus: {:?}; \
                 there: {}, first that was not delivered: {:?}\n{}",
                other(&delivered, &found),
                found.len(),
                other(&found, &delivered),
                host.log()
            );
        }
    }
}

fn read<'a, T: Deserialize<'a>>(json: &'a RawValue) -> T {
    serde_json::from_str(json.get()).expect("what a series has")
}

/// How many series each metric has.
fn by_name(series: &BTreeMap<Labels, f64>) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for labels in series.keys() {
        *counts.entry(&*labels["__name__"]).or_default() += 1;
    }
    counts
}

/// The labels in Prometheus of a delivered series.
fn named(metric: &str, labels: Labels) -> Labels {
    let labels = labels.into_iter().map(|(key, value)| {
        let name = match &*key {
            "name" => "storage_name".to_owned(),
            "serial_number" => "storage_sn".to_owned(),
            _ => key,
        };
        (name, value)
    });
    let mut named: Labels = labels.collect();
    let family = format!("{}_{metric}", named["resource_type"]);
    named.insert("__name__".to_owned(), family);
    named.entry("type".to_owned()).or_insert("RAW".to_owned());
    named
        .entry("value_type".to_owned())
        .or_insert("gauge".to_owned());
    named
}

/// The series in the shipped rules for storages.
fn queried_series() -> BTreeSet<String> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../etc/prometheus/delfin-storages.rules.yml");
    let rules = std::fs::read_to_string(file).expect("the rules");
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_series = |word: &&str| {
        let types = [
            "storage",
            "storagePool",
            "volume",
            "controller",
            "port",
            "disk",
            "filesystem",
        ];
        let name = word
            .split_once('_')
            .filter(|(start, _)| types.contains(start));
        name.is_some_and(|(_, metric)| !["id", "name"].contains(&metric))
    };
    let names: BTreeSet<_> = words.filter(is_series).map(str::to_owned).collect();
    assert!(names.len() > 10, "{names:?}");
    names
}

/// Registers a fake storage as in the guide, with these resources.
fn register(host: &Host, port: u16, extra_attributes: &Value) -> Value {
    let body = json!({
        "vendor": "fake_storage",
        "model": "fake_driver",
        "rest": {"host": "127.0.0.1", "port": port, "username": "admin", "password": "password"},
        "extra_attributes": extra_attributes,
    });
    let (status, storage) = host.send("POST", "/v1/storages", Some(&body));
    assert_eq!(status, 201, "{storage}");
    storage
}

fn id_of(storage: &Value) -> &str {
    storage["id"].as_str().expect("an id")
}

fn configure(host: &Host, storage: &Value, perf_collection: bool) {
    let body = json!({"array_polling": {
        "perf_collection": perf_collection, "interval": 1, "is_historic": true
    }});
    let path = format!("/v1/storages/{}/metrics-config", id_of(storage));
    assert_eq!(host.send("PUT", &path, Some(&body)), (200, body));
}

fn sync(host: &Host, storage: &Value, body: &Value) {
    let path = format!("/v1/storages/{}/alerts/sync", id_of(storage));
    assert_eq!(host.send("POST", &path, Some(body)), (200, Value::Null));
}

/// Waits for this many more collections of a storage.
fn wait_for_points(guide: &Guide, host: &Host, more: usize) {
    let lines = || guide.setup.lines("performance.jsonl").len();
    let before = lines();
    host.wait_for("new points", || (lines() >= before + more).then_some(()));
}

/// Sends an alert of a storage, with its own id and severity.
fn say(host: &Host, storage_id: &str, name: &str, category: &str) {
    let known = FOUR.iter().find(|alert| alert[0] == name);
    let [location, sequence_number] =
        known.map_or(["enclosure 1", "7"], |alert| [alert[3], alert[4]]);
    let body = json!([{
        "storage_id": storage_id, "alert_id": "4711", "alert_name": name,
        "category": category, "severity": "Informational", "location": location,
        "sequence_number": sequence_number,
    }]);
    let (status, answer) = host.ingest("alerts", &body);
    assert_eq!(status, 202, "{answer}");
}

fn wait_for_names(host: &Host, alertmanager: &Alertmanager, names: &[&str]) {
    let fire = catch_unwind(AssertUnwindSafe(|| {
        wait_for("alerts to fire", || {
            (alertmanager.names() == names).then_some(())
        });
    }));
    if fire.is_err() {
        let (_, active) = host.get("/v1/alerts/active");
        let log = host.log();
        let there = alertmanager.active();
        panic!("wanted: {names:?}\nthere: {there:#?}\nof the host's table: {active:#}\n{log}");
    }
}

fn time(alert: &Value, key: &str) -> String {
    alert[key].as_str().expect("a time").to_owned()
}

#[test]
fn a_fake_storages_data_is_in_prometheus_and_its_alerts_are_in_alertmanager() {
    let guide = Guide::new();
    let (Some(prometheus), Some(alertmanager)) = (guide.prometheus(), guide.alertmanager()) else {
        return;
    };
    let host = guide.setup.start();
    let few = json!({
        "storage_pools": "2", "volumes": "3", "controllers": "1", "ports": "2", "disks": "2",
        "filesystems": "1"
    });
    let storage = register(&host, 8088, &few);
    configure(&host, &storage, true);
    // Series: 9 of the storage, 7 per pool, 15 per volume, 8 per controller, 7 per port and per disk,
    // 11 per file system.
    let measured = 9 + 2 * 7 + 3 * 15 + 8 + 2 * 7 + 2 * 7 + 11;
    // Of what it lists: 7 of the storage, 6 per pool and per volume, 2 per controller and per port, 4 per
    // disk, 6 per file system; and 6 of its active alerts.
    let count = measured + 6 + 7 + 2 * 6 + 3 * 6 + 2 + 2 * 2 + 2 * 4 + 6;
    wait_for_points(&guide, &host, 2 * count);
    configure(&host, &storage, false);
    guide.wait_for_prometheus(&host, &prometheus, count);
    check_page(guide.page);

    // The times in the guide are in January 1970.
    let times = json!({"begin_time": 13_445_566, "end_time": 99_999_999});
    sync(&host, &storage, &times);
    let names = FOUR.map(|alert| alert[0]);
    wait_for_names(&host, &alertmanager, &names);
    check_alerts(&host, &storage, &alertmanager.active());
    they_go_on(&host, &alertmanager);
    they_end(&host, &storage, &alertmanager);
    // The storage is not collected, so that no sync ends the alert.
    say(&host, ELSEWHERE, "Fan failed", "Fault");
    wait_for_names(
        &host,
        &alertmanager,
        &[names[0], "Fan failed", names[1], names[2], names[3]],
    );
    drop((prometheus, alertmanager));

    // While both receivers are down, there are new points, one alert ends and another starts.
    configure(&host, &storage, true);
    wait_for_points(&guide, &host, count);
    configure(&host, &storage, false);
    say(&host, ELSEWHERE, "Fan failed", "Recovery");
    say(&host, ELSEWHERE, "Door open", "Fault");
    host.wait_for_exporter(ALERTS, "an outage", |exporter| {
        exporter["state"] == "retrying"
    });
    let prometheus = guide.prometheus().expect("it was there");
    let alertmanager = guide.alertmanager().expect("it was there");
    let after = [names[0], "Door open", names[1], names[2], names[3]];
    wait_for_names(&host, &alertmanager, &after);
    guide.wait_for_prometheus(&host, &prometheus, count);
    nothing_is_missing(&host);

    // A restart of the host changes nothing.
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
    let host = guide.setup.start();
    guide.wait_for_prometheus(&host, &prometheus, count);
    wait_for_names(&host, &alertmanager, &after);
}

/// Every alert fires once, with the texts of the storage.
fn check_alerts(host: &Host, storage: &Value, active: &[Value]) {
    let (_, live) = host.get(&format!("/v1/storages/{}/alerts", id_of(storage)));
    for (alert, [name, severity, kind, location, number]) in active.iter().zip(FOUR) {
        let live = live["alerts"].as_array().expect("alerts").iter();
        let live = { live }.find(|live| live["alert_name"] == name);
        let live = live.expect("an alert of that name");
        assert_eq!(
            alert["labels"],
            json!({
                "alertname": name,
                "alert_name": name,
                "severity": severity,
                "type": kind,
                "location": location,
                "sequence_number": number,
                "storage_id": storage["id"],
                "storage_name": storage["name"],
                "vendor": storage["vendor"],
                "model": storage["model"],
                "serial_number": storage["serial_number"],
            })
        );
        let annotations = &alert["annotations"];
        for (key, log) in [
            ("summary", "description"),
            ("description", "description"),
            ("recovery_advice", "recovery_advice"),
            ("alert_id", "alert_id"),
            ("category", "category"),
        ] {
            assert_eq!(annotations[key], live[log], "{name}: {key}");
        }
        assert_eq!(alert["startsAt"], annotations["occur_time"]);
        assert_eq!(alert["status"]["state"], "active");
    }
}

/// Alerts are resent, so they outlast Alertmanager's `resolve_timeout` and their own end time.
fn they_go_on(host: &Host, alertmanager: &Alertmanager) {
    let first = alertmanager.active();
    let ends = first.iter().map(|alert| time(alert, "endsAt")).max();
    host.wait_for("alerts sent again after they would have ended", || {
        let active = alertmanager.active();
        assert_eq!(active.len(), 4, "{active:?}");
        let updated = active.iter().map(|alert| time(alert, "updatedAt")).min();
        (updated > ends).then_some(())
    });
    for (now, then) in alertmanager.active().iter().zip(&first) {
        for key in ["labels", "startsAt", "fingerprint"] {
            assert_eq!(now[key], then[key]);
        }
    }
}

/// One alert ends by a recovery, another because a complete sync does not contain it.
fn they_end(host: &Host, storage: &Value, alertmanager: &Alertmanager) {
    let names = FOUR.map(|alert| alert[0]);
    say(host, id_of(storage), "Power failure", "Recovery");
    wait_for_names(host, alertmanager, &[names[0], names[1], names[3]]);
    say(host, id_of(storage), "Disk failed", "Fault");
    wait_for_names(
        host,
        alertmanager,
        &[names[0], "Disk failed", names[1], names[3]],
    );
    sync(host, storage, &json!({}));
    wait_for_names(host, alertmanager, &names);
    let (_, active) = host.get("/v1/alerts/active");
    assert_eq!(
        active["alerts"].as_array().map(Vec::len),
        Some(4),
        "{active}"
    );
}

fn nothing_is_missing(host: &Host) {
    for name in [PAGE, FILE, ALERTS] {
        let exporter =
            host.wait_for_exporter(name, "nothing pending", |exporter| exporter["pending"] == 0);
        for lost in ["dropped", "dead_lettered"] {
            assert_eq!(exporter[lost], 0, "{exporter}");
        }
        let unaccounted = "delfin_host_exporter_unaccounted_items";
        assert_eq!(host.metrics().of_exporter(name, unaccounted), 0.0);
    }
}

/// promtool accepts the page, except that Delfin's names are `camelCase`.
fn check_page(port: u16) {
    let page = wait_for("the page", || {
        receivers::get_text(&format!("http://127.0.0.1:{port}/metrics"))
    });
    let log = receivers::promtool_messages(page.as_bytes()).expect("it comes with Prometheus");
    assert_eq!(log, [""; 0]);
}

#[test]
fn a_storage_as_large_as_delfins_is_in_prometheus_series_by_series() {
    let guide = Guide::new();
    let Some(prometheus) = guide.prometheus() else {
        return;
    };
    let host = guide.setup.start();
    let storage = register(&host, 8088, &json!({}));
    // Delfin's measurements, the capacity, status and labels of each resource, and how many alerts are active.
    let all = 31_629 + 13_097 + 6;
    host.wait_for_exporter(FILE, "the first collection", |exporter| {
        exporter["delivered"].as_u64() >= Some(31_629)
    });
    configure(&host, &storage, false);
    guide.wait_for_prometheus(&host, &prometheus, all);
    // The rules for storages query series that exist.
    for name in queried_series() {
        let found = prometheus.query(&format!("count({name})"));
        assert!(found.is_some_and(|found| !found.is_empty()), "{name}");
    }
}

#[test]
fn each_alert_of_the_host_is_one_alert_in_alertmanager() {
    let guide = Guide::new();
    let Some(alertmanager) = guide.alertmanager() else {
        return;
    };
    let host = guide.setup.start();
    let base = json!({
        "storage_id": "s", "alert_id": "1", "alert_name": "n", "location": "l",
        "sequence_number": "1", "severity": "Major", "type": "t", "resource_type": "r",
    });
    let mut known = 0;
    // A changed field, and whether it makes another alert.
    for (log, is_new) in [
        (json!({}), true),
        (
            json!({"alert_id": "2", "description": "d", "occur_time": 7, "extra": "e"}),
            false,
        ),
        (json!({"severity": "Fatal"}), false),
        (
            json!({"type": "u", "resource_type": "q", "vendor": "v", "model": "m"}),
            false,
        ),
        (json!({"storage_id": "z"}), true),
        (json!({"alert_name": "m"}), true),
        (json!({"location": "k"}), true),
        (json!({"sequence_number": "2"}), true),
        (json!({"alert_name": null}), true),
        (json!({"alert_name": "", "alert_id": "1"}), false),
        (json!({"alert_name": null, "alert_id": "2"}), true),
        (json!({"match_key": "k"}), true),
        (
            json!({"match_key": "k", "alert_name": "x", "location": "y", "sequence_number": "3"}),
            false,
        ),
        (json!({"match_key": "j"}), true),
        (json!({"storage_id": "z", "match_key": "j"}), true),
    ] {
        let mut alert = base.clone();
        for (key, value) in log.as_object().expect("an object") {
            alert[key] = value.clone();
        }
        let (status, answer) = host.ingest("alerts", &json!([alert]));
        assert_eq!(status, 202, "{answer}");
        host.wait_for_exporter(ALERTS, "nothing pending", |exporter| {
            exporter["pending"] == 0
        });
        known += usize::from(is_new);
        host.wait_for("the table", || {
            let (_, active) = host.get("/v1/alerts/active");
            let active = active["alerts"].as_array().map(Vec::len);
            (active == Some(known)).then_some(())
        });
        assert_eq!(alertmanager.active().len(), known, "{log}");
    }
}
