//! The metrics page, and the shipped alert rules and dashboard.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use delfin_tests::{
    CommandOutput, Host, Setup,
    receivers::{self, OtlpCollector},
};
use serde_json::{Value, json};

const RULES: &str = "etc/prometheus/delfin-host.rules.yml";
const RULE_TESTS: &str = "etc/prometheus/delfin-host.rules.test.yml";
const STORAGE_RULES: &str = "etc/prometheus/delfin-storages.rules.yml";
const STORAGE_RULE_TESTS: &str = "etc/prometheus/delfin-storages.rules.test.yml";
const STORAGE_GUIDE: &str = "docs/src/operator/dashboards.md";
const DASHBOARDS: &str = "etc/grafana";
const DASHBOARD: &str = "etc/grafana/delfin-host.json";
const GUIDE: &str = "docs/src/operator/watch.md";

const PREFIX: &str = "delfin_host_";
const EXPORTER: &str = "PerformanceExporterScripted";

const CONFIG: &str = r#"
performance_exporters = "PerformanceExporterScripted"
alert_exporters = "AlertExporterResend"
[exporter.PerformanceExporterScripted]
[exporter.PerformanceExporterScripted.retry]
initial_interval = "20ms"
max_interval = "100ms"
[exporter.PerformanceExporterScripted.circuit_breaker]
failure_threshold = 1
[exporter.PerformanceExporterScripted.config]
script = "@/script"
received = "@/received"
[exporter.AlertExporterResend.config]
script = "@/again"
received = "@/received-again"
[inputs.otlp]
enabled = true
"#;

/// This machine as a storage, so that there are metrics of collection.
const STORAGE: &str = r#"
[[storage]]
vendor = "linux"
model = "host"
"#;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("`{name}`: {error}"))
}

/// The words that follow `start`.
fn names<'t>(text: &'t str, start: &str) -> BTreeSet<&'t str> {
    text.split(start).skip(1).map(word).collect()
}

/// The word at the start of a text.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

fn setup() -> Setup {
    Setup::new(&["scripted"], &format!("{CONFIG}{STORAGE}"))
}

/// No collector is there: the counter of pushes exists all the same.
const PUSH: &str = r#"
[metrics.otlp]
url = "http://127.0.0.1:9"
interval = "1h"
"#;

/// A host with a sample of every metric.
fn busy_host(setup: &Setup) -> Host {
    let host = setup.start();
    let (status, answer) = host.ingest("performance", &json!("no series"));
    assert_eq!(status, 400, "{answer}");
    let _ = ingest(&host);
    let (status, answer) = host.send("POST", "/v1/metrics", Some(&json!({})));
    assert_eq!(status, 200, "{answer}");
    host.wait_for("a delivery, and a collection", || {
        let page = host.metrics();
        let last = |of: &str| format!("{PREFIX}{of}_last_success_timestamp_seconds");
        let delivered = page.of_exporter(EXPORTER, &last("exporter")) > 0.0;
        let collected = |sample: &delfin_tests::Sample| sample.name == last("collection");
        (delivered && page.samples().iter().any(collected)).then_some(())
    });
    host
}

fn ingest(host: &Host) -> u64 {
    let series = |name: &str| json!({"name": name, "labels": {}, "values": {"1": 1, "2": 2}});
    let body = json!([series("iops"), series("latency")]);
    let (status, receipt) = host.ingest("performance", &body);
    assert_eq!(status, 202, "{receipt}");
    receipt["items"].as_u64().expect("items")
}

fn promtool(arguments: &[&str], input: &str) {
    let Some(promtool) = receivers::binary("promtool") else {
        return;
    };
    let mut command = Command::new(promtool);
    let command = command.args(arguments).current_dir(path(""));
    let output = CommandOutput::run_with_input(command, input.as_bytes()).expect_exit(0);
    assert_eq!(output.stderr, "", "{arguments:?}");
}

/// Every shipped dashboard, by its file.
fn dashboards() -> Vec<(PathBuf, Value)> {
    let files = fs::read_dir(path(DASHBOARDS)).expect("a folder");
    let files = files.map(|file| file.expect("a file").path());
    let read = files.map(|file| {
        let text = fs::read_to_string(&file).expect("a file");
        (file, serde_json::from_str(&text).expect("JSON"))
    });
    read.collect()
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().expect("panels")
}

#[test]
fn promtool_accepts_the_rules() {
    promtool(&["check", "rules", RULES, STORAGE_RULES], "");
}

#[test]
fn each_alert_fires_when_it_should_and_only_then() {
    promtool(&["test", "rules", RULE_TESTS, STORAGE_RULE_TESTS], "");
    for (rules, tests, guide, start) in [
        (RULES, RULE_TESTS, GUIDE, "Delfin"),
        (STORAGE_RULES, STORAGE_RULE_TESTS, STORAGE_GUIDE, "Storage"),
    ] {
        let (rules, tests, guide) = (read(rules), read(tests), read(guide));
        let alerts = names(&rules, &format!("- alert: {start}"));
        assert!(alerts.len() > 7, "{alerts:?}");
        assert_eq!(alerts, names(&tests, &format!("- name: {start}")));
        assert_eq!(alerts, names(&guide, &format!("`{start}")));
    }
}

#[test]
fn promtool_finds_no_problem_in_the_metrics_page() {
    let setup = setup();
    let host = busy_host(&setup);
    promtool(&["check", "metrics"], &host.text("/metrics"));
}

#[test]
fn rules_and_dashboard_query_only_metrics_that_exist() {
    let setup = Setup::new(&["scripted"], &format!("{CONFIG}{STORAGE}{PUSH}"));
    let host = busy_host(&setup);
    let (text, page) = (host.text("/metrics"), host.metrics());
    let told = page.samples().iter();
    let told = told.filter_map(|s| s.name.strip_prefix(PREFIX));
    // A family without a series at this moment is described all the same.
    let families = names(&text, "# TYPE delfin_host_");
    let told: BTreeSet<_> = told.chain(families).collect();
    for file in [RULES, DASHBOARD] {
        let text = read(file);
        let asked = names(&text, PREFIX);
        assert!(asked.len() > 10, "{asked:?}");
        let missing: Vec<_> = asked.difference(&told).collect();
        assert!(missing.is_empty(), "`{file}` asks for {missing:?}");
    }
}

#[test]
fn the_guide_names_only_metrics_that_exist() {
    let setup = setup();
    let page = busy_host(&setup).text("/metrics");
    let families = names(&page, "# TYPE delfin_host_");
    let guide = read(GUIDE);
    let named = guide.split('`').skip(1).step_by(2);
    let groups = ["exporter_", "journal_", "ingest_", "collection_"];
    let named = named.filter(|code| groups.iter().any(|group| code.starts_with(group)));
    let named: BTreeSet<_> = named
        .map(word)
        .filter(|name| !name.ends_with('_'))
        .collect();
    assert!(named.len() > 20, "{named:?}");
    let missing: Vec<_> = named.difference(&families).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_dashboards_query_the_chosen_data_source() {
    let chosen = json!({"type": "prometheus", "uid": "${datasource}"});
    let mut as_rules = Vec::new();
    for (file, dashboard) in dashboards() {
        let file = file.display();
        let mut ids = BTreeSet::new();
        for panel in panels(&dashboard) {
            assert!(ids.insert(panel["id"].as_u64()), "{file}: {panel}");
            for target in panel["targets"].as_array().into_iter().flatten() {
                assert_eq!(target["datasource"], chosen, "{file}: {panel}");
                assert_eq!(panel["datasource"], chosen, "{file}: {panel}");
                let mut query = target["expr"].as_str().expect("a query").to_owned();
                for (variable, value) in [
                    ("$__rate_interval", "5m"),
                    ("$__range", "1d"),
                    ("$top", "10"),
                ] {
                    query = query.replace(variable, value);
                }
                let name = format!("query{}", as_rules.len());
                as_rules.push(json!({"record": name, "expr": query}));
            }
        }
        let variables = dashboard["templating"]["list"].as_array();
        let mut variables = variables.expect("variables").iter();
        let source = variables.find(|variable| variable["name"] == "datasource");
        assert_eq!(source.expect("the variable")["type"], "datasource");
        // The link by which the dashboards lead to one another.
        assert_eq!(dashboard["links"][0]["tags"], dashboard["tags"], "{file}");
    }
    assert!(as_rules.len() > 100, "{}", as_rules.len());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("queries.yml");
    let groups = json!({"groups": [{"name": "dashboards", "rules": as_rules}]});
    fs::write(&file, groups.to_string()).expect("written");
    promtool(&["check", "rules", &file.display().to_string()], "");
}

#[test]
fn metrics_show_circuit_breaker_latency_and_dead_letters_of_an_exporter() {
    let setup = Setup::new(&["scripted"], CONFIG);
    setup.write("script", "retry");
    let host = setup.start();
    let of = |name: &str| {
        host.metrics()
            .of_exporter(EXPORTER, &format!("{PREFIX}exporter_{name}"))
    };
    let items = ingest(&host);
    host.wait_for("an open circuit", || {
        (of("circuit_state") == 2.0).then_some(())
    });
    assert!(of("pending_bytes") > 0.0);
    assert_eq!(of("delivery_latency_seconds_count"), 0.0);

    setup.write("script", "deliver");
    host.wait_for_delivered(EXPORTER, items);
    host.wait_for("a closed circuit", || {
        (of("circuit_state") == 0.0).then_some(())
    });
    // The breaker opens, and closes again.
    assert!(of("circuit_transitions_total") >= 2.0);
    assert_eq!(of("delivery_latency_seconds_count"), 1.0);
    assert_eq!(of("pending_bytes"), 0.0);

    setup.write("script", "reject");
    let items = ingest(&host) as f64;
    host.wait_for("dead letters", || {
        (of("dead_letter_items") == items).then_some(())
    });
    assert!(of("dead_letters") >= 1.0 && of("dead_letter_bytes") > 0.0);
    assert!(of("splits_total") >= 1.0);
    assert_eq!(of("unaccounted_items"), 0.0);
}

#[test]
fn an_exporter_over_its_limit_has_no_time_to_full() {
    let setup = Setup::new(
        &["scripted"],
        &format!(
            "{CONFIG}[exporter.{EXPORTER}.queue]\nmax_bytes = 100\non_overflow = \"reject\"\n"
        ),
    );
    setup.write("script", "retry");
    let host = setup.start();
    let time_to_full = || {
        let name = format!("{PREFIX}exporter_time_to_full_seconds");
        host.metrics().of_exporter(EXPORTER, &name)
    };
    assert_eq!(time_to_full(), f64::INFINITY);
    let _ = ingest(&host);
    host.wait_for("a full queue", || (time_to_full() == 0.0).then_some(()));
}

/// The pushed metrics of this name, with one entry for each push.
fn pushed(collector: &OtlpCollector, name: &str) -> Vec<Value> {
    let of = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let resources = collector.accepted();
    let resources = resources
        .iter()
        .flat_map(|request| of(request, "resourceMetrics"));
    let scopes = resources.flat_map(|resource| of(&resource, "scopeMetrics"));
    let metrics = scopes.flat_map(|scope| of(&scope, "metrics"));
    metrics.filter(|metric| metric["name"] == name).collect()
}

#[test]
fn the_metrics_have_an_address_of_their_own_and_a_collector_gets_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mut collector) = OtlpCollector::start(folder.path()) else {
        return;
    };
    let metrics = format!(
        "[metrics]\nlisten = \"127.0.0.1:0\"\n[metrics.otlp]\nurl = \"{}\"\ninterval = \"1s\"\n",
        collector.url()
    );
    let setup = Setup::new(&["scripted"], &format!("{CONFIG}{STORAGE}{metrics}"));
    let host = busy_host(&setup);

    let line = host.wait_for_log("the metrics have an address of their own");
    let (_, address) = line.rsplit_once("address=").expect("the address");
    let url = format!("http://{}", word_until_space(address));
    let get = |path: &str| {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build();
        let response = agent.new_agent().get(format!("{url}{path}")).call();
        let mut response = response.expect("a response");
        let text = response.body_mut().read_to_string().expect("a text");
        (response.status().as_u16(), text)
    };
    let (status, page) = get("/metrics");
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("delfin_host_ingest_items_total{"), "{page}");
    assert_eq!(get("/v1/exporters").0, 404, "the metrics alone");

    let items = format!("{PREFIX}ingest_items");
    let metric = host.wait_for("a push with the items", || {
        let all = pushed(&collector, &items);
        let has_items = |metric: &Value| {
            let points = metric["sum"]["dataPoints"].as_array();
            points.is_some_and(|points| points.iter().any(|point| point["asDouble"] == 4))
        };
        all.into_iter().find(has_items)
    });
    assert_eq!(metric["sum"]["isMonotonic"], true, "{metric}");
    assert_eq!(metric["sum"]["aggregationTemporality"], 2, "{metric}");
    let times = &pushed(&collector, &format!("{PREFIX}ingest_ack_duration_seconds"))[0];
    let point = &times["histogram"]["dataPoints"][0];
    let length = |key: &str| point[key].as_array().map_or(0, Vec::len);
    assert_eq!(
        length("bucketCounts"),
        length("explicitBounds") + 1,
        "{times}"
    );
    let states = &pushed(&collector, &format!("{PREFIX}exporter_pending_items"))[0];
    assert!(states["gauge"]["dataPoints"].is_array(), "{states}");

    // Pushes that fail are counted, logged once, and delay no delivery.
    let pushes = |result: &str| {
        let metrics = host.metrics();
        let samples = metrics.samples().iter();
        let mut samples = samples.filter(|sample| {
            let name = format!("{PREFIX}metrics_pushes_total");
            sample.name == name && sample.labels.contains(&format!("\"{result}\""))
        });
        samples.next().map_or(0.0, |sample| sample.value)
    };
    assert!(pushes("ok") > 0.0);
    collector.kill();
    host.wait_for("two pushes that fail", || {
        (pushes("failed") >= 2.0).then_some(())
    });
    let delivered = |exporter: &Value| exporter["delivered"].as_u64().expect("a number");
    let before = delivered(&host.exporter(EXPORTER));
    let _ = ingest(&host);
    host.wait_for_exporter(EXPORTER, "four more delivered", |exporter| {
        delivered(exporter) >= before + 4
    });
    assert_eq!(host.log().matches("cannot push metrics").count(), 1);
    collector.restart();
    host.wait_for_log("metrics are pushed again");
}

fn word_until_space(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}
