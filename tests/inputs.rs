//! Other monitoring systems that send to the host: each is acknowledged, the host is killed and started again meanwhile, and
//! nothing that was acknowledged is missing.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    ops::Range,
};

use delfin_tests::{
    FILES, Host, INPUTS, Setup,
    receivers::{Alertmanager, ConfiguredClient, Prometheus, PythonClient, free_port},
};
use serde_json::{Value, json};

/// As many as the clients send, one after another.
const POINTS: usize = 60;

fn setup(port: u16) -> Setup {
    let config = format!(
        r#"plugin_dirs = ["@/plugins"]
plugin_cache_dir = "@/cache"
state_dir = "@/state"
{FILES}
[api]
listen = "127.0.0.1:{port}"
[journal]
min_free_bytes = 0
{INPUTS}
"#
    );
    Setup::new(&["file"], "").with_whole_config(&config)
}

/// The points of series with a name that the exporter has written: labels, time and value.
fn written(setup: &Setup, name: &str) -> Vec<(Value, i64, f64)> {
    let lines = setup.json_lines("performance.jsonl");
    let lines = lines.into_iter().filter(|series| series["name"] == name);
    let mut points = Vec::new();
    for series in lines {
        for (time, value) in series["values"].as_object().unwrap() {
            let labels = series["labels"].clone();
            points.push((labels, time.parse().unwrap(), value.as_f64().unwrap()));
        }
    }
    points
}

fn values(setup: &Setup, name: &str) -> BTreeSet<i64> {
    let points = written(setup, name).into_iter();
    points.map(|(_, _, value)| value as i64).collect()
}

/// Kills the host when `reached`, and starts it again.
fn restart(setup: &Setup, host: Host, reached: impl FnMut() -> Option<()>) -> Host {
    host.wait_for("what was sent first", reached);
    host.kill();
    setup.start()
}

/// The configuration of a client that the operator guide shows, for a host on a port of this machine. `mark` is in no other block.
fn shown(mark: &str, port: u16) -> String {
    let page = include_str!("../docs/src/operator/inputs.md");
    let mut blocks = page.split("```").skip(1).step_by(2);
    let block = blocks.find(|block| block.contains(mark)).unwrap();
    let (_, text) = block.split_once('\n').unwrap();
    assert!(text.contains("collector.example.com:8190"), "{text}");
    text.replace("collector.example.com:8190", &format!("127.0.0.1:{port}"))
}

/// Adds a token with the scope `ingest`.
fn token(setup: &Setup) -> String {
    let added = setup.run(&["tokens", "add", "client", "--scope", "ingest"]);
    added.expect_exit(0).stdout.trim().to_owned()
}

/// `client` has the entry of `remote_write`, from the port of the host and a token.
fn remote_write(binary: &str, client: impl Fn(u16, &str) -> String) {
    let (port, own) = (free_port(), free_port());
    let setup = setup(port);
    let token = token(&setup);
    let host = setup.start();
    fs::write(setup.path("delfin.token"), &token).unwrap();
    let client = client(port, &token).replace(
        "/etc/prometheus/",
        &format!("{}/", setup.path(".").display()),
    );
    let config = format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}
scrape_configs:
  - job_name: self
    static_configs: [{{targets: ['127.0.0.1:{own}']}}]
{client}    queue_config: {{min_backoff: 10ms, max_backoff: 100ms, batch_send_deadline: 100ms}}
"
    );
    let Some(prometheus) = Prometheus::start_binary(binary, &setup.path("."), own, &config) else {
        return;
    };
    let arrived = || written(&setup, "up").len();
    let host = restart(&setup, host, || (arrived() > 20).then_some(()));
    let before = arrived();
    host.wait_for("samples after the restart", || {
        (arrived() > before + 20).then_some(())
    });
    let stored = prometheus.query("up[10m]").unwrap();
    let stored = stored[0]["values"].as_array().unwrap().iter();
    let wanted: BTreeSet<i64> = stored
        .map(|point| (point[0].as_f64().unwrap() * 1000.0).round() as i64)
        .collect();
    host.wait_for("every sample that Prometheus has", || {
        let points = written(&setup, "up").into_iter();
        let times: BTreeSet<i64> = points.map(|(_, time, _)| time).collect();
        wanted.is_subset(&times).then_some(())
    });
    let (labels, _, value) = written(&setup, "up").swap_remove(0);
    assert_eq!(labels["storage_id"], format!("127.0.0.1:{own}"), "{labels}");
    assert_eq!((&labels["job"], value), (&json!("self"), 1.0));
}

/// The client of versions that know remote write 1.0 only.
fn first_version(port: u16, token: &str) -> String {
    format!(
        "remote_write:
  - url: http://127.0.0.1:{port}/api/v1/write
    basic_auth: {{username: any, password: {token}}}
"
    )
}

#[test]
fn nothing_is_missing_of_debians_prometheus() {
    remote_write("prometheus", first_version);
}

#[test]
fn nothing_is_missing_of_prometheus_3_by_both_versions() {
    remote_write("prometheus-3", first_version);
    remote_write("prometheus-3", |port, _| {
        shown("io.prometheus.write.v2", port)
    });
}

/// Runs a client until everything is acknowledged and has arrived, and kills the host once. `None` without the client.
fn run_client(name: &str, arguments: &[&str], setup: &Setup, series: &str) -> Option<Host> {
    let host = setup.start();
    let folder = setup.path(".");
    let client = PythonClient::start(name, &folder, arguments)?;
    let acknowledged = || client.acknowledged().len();
    let host = restart(setup, host, || (acknowledged() > POINTS / 4).then_some(()));
    host.wait_for("all acknowledgements", || {
        (acknowledged() == POINTS).then_some(())
    });
    let all: BTreeSet<i64> = (0..POINTS as i64).collect();
    host.wait_for("everything that was acknowledged", || {
        (values(setup, series) == all).then_some(())
    });
    Some(host)
}

#[test]
fn nothing_is_missing_of_the_opentelemetry_sdk() {
    let port = free_port();
    let setup = setup(port);
    let url = format!("http://127.0.0.1:{port}");
    let count = POINTS.to_string();
    let Some(host) = run_client("otlp", &[&url, &count], &setup, "system.disk.sent") else {
        return;
    };
    let (labels, _, _) = written(&setup, "system.disk.sent").swap_remove(0);
    assert_eq!(
        (
            &labels["storage_id"],
            &labels["resource_id"],
            &labels["unit"]
        ),
        (&json!("otlp-host"), &json!("sda"), &json!("By")),
        "{labels}"
    );
    let (labels, _, count) = written(&setup, "duration_count").pop().unwrap();
    assert_eq!(
        (&labels["value_type"], count),
        (&json!("counter"), POINTS as f64)
    );
    let metrics = host.metrics();
    let mut refused = metrics.samples().iter();
    let refused = refused.find(|sample| {
        sample.name == "delfin_host_input_rejected_series_total" && sample.value > 0.0
    });
    assert_eq!(refused, None);
}

#[test]
fn nothing_is_missing_of_the_opentelemetry_collector() {
    let port = free_port();
    let setup = setup(port);
    let token = token(&setup);
    let retries = "    retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}\n";
    let exporters = shown("otlphttp", port) + retries;
    let folder = setup.path(".");
    let Some((_collector, url)) = ConfiguredClient::collector(&folder, &exporters, &token) else {
        return;
    };
    run_client(
        "otlp",
        &[&url, &POINTS.to_string()],
        &setup,
        "system.disk.sent",
    );
}

#[test]
fn nothing_is_missing_of_telegraf_by_both_versions_of_its_client() {
    let port = free_port();
    let setup = setup(port);
    let (token, lines) = (token(&setup), setup.path("lines.txt"));
    let mut sent = File::create(&lines).unwrap();
    let mut send = |numbers: Range<usize>| {
        for number in numbers {
            let time = (1_700_000_000_000 + number) * 1_000_000;
            writeln!(
                sent,
                "diskio,host=telegraf-host,name=sd\\ a sent={number}i {time}"
            )
            .unwrap();
        }
    };
    let config = format!(
        "[agent]
interval = '100ms'
flush_interval = '100ms'
metric_batch_size = 5
omit_hostname = true
[[inputs.tail]]
files = ['{}']
initial_read_offset = 'beginning'
path_tag = ''
data_format = 'influx'
{}{}  name_suffix = '_1'
",
        lines.display(),
        shown("outputs.influxdb_v2", port),
        shown("outputs.influxdb]", port),
    );
    let host = setup.start();
    send(0..POINTS / 4);
    let Some(_telegraf) = ConfiguredClient::telegraf(&setup.path("."), &config, &token) else {
        return;
    };
    let names = ["diskio_sent", "diskio_1_sent"];
    let arrived = |count: i64| {
        let all: BTreeSet<i64> = (0..count).collect();
        let all_of = |name: &&str| values(&setup, name) == all;
        names.iter().all(all_of).then_some(())
    };
    let first = (POINTS / 4) as i64;
    host.wait_for("the first lines", || arrived(first));
    host.kill();
    send(POINTS / 4..POINTS / 2);
    let host = setup.start();
    send(POINTS / 2..POINTS);
    host.wait_for("every line", || arrived(POINTS as i64));
    let (labels, time, value) = written(&setup, names[0]).swap_remove(0);
    assert_eq!(time, 1_700_000_000_000 + value as i64);
    assert_eq!(
        (
            &labels["storage_id"],
            &labels["resource_type"],
            &labels["resource_id"]
        ),
        (&json!("telegraf-host"), &json!("disk"), &json!("sd a")),
        "{labels}"
    );
}

#[test]
fn nothing_is_missing_of_the_influxdb_client() {
    let port = free_port();
    let setup = setup(port);
    let (url, token) = (format!("http://127.0.0.1:{port}"), token(&setup));
    let count = POINTS.to_string();
    if run_client("influxdb", &[&url, &token, &count], &setup, "diskio_sent").is_none() {
        return;
    }
    let (labels, time, value) = written(&setup, "diskio_sent").swap_remove(0);
    assert_eq!(time, 1_700_000_000_000 + value as i64);
    assert_eq!(
        (
            &labels["storage_id"],
            &labels["resource_type"],
            &labels["resource_id"]
        ),
        (&json!("influx-host"), &json!("disk"), &json!("sd a")),
        "{labels}"
    );
}

#[test]
fn alerts_of_alertmanager_begin_and_end_also_when_the_host_was_away() {
    let (port, own) = (free_port(), free_port());
    let setup = setup(port);
    let token = token(&setup);
    let file = setup.path("delfin.token");
    fs::write(&file, &token).unwrap();
    let receivers = shown("webhook_configs", port).replace(
        "/etc/alertmanager/delfin.token",
        &file.display().to_string(),
    );
    let host = setup.start();
    let config = format!(
        "global: {{resolve_timeout: 1s}}
route: {{receiver: delfin, group_wait: 0s, group_interval: 1s, repeat_interval: 1h, group_by: [alertname]}}
{receivers}"
    );
    let Some(alertmanager) = Alertmanager::start_with(&setup.path("."), own, &config) else {
        return;
    };
    let alert = |name: &str, end: &str| {
        let labels = json!({"alertname": name, "severity": "critical", "storage_id": "array-7"});
        alertmanager.post(&json!([{"labels": labels, "endsAt": end,
            "annotations": {"summary": "pool 1 is full"}}]));
    };
    let (future, past) = ("2099-01-01T00:00:00Z", "2020-01-01T00:00:00Z");
    let of = |name: &str, category: &str| {
        let alerts = setup.json_lines("alerts.jsonl").into_iter();
        let mut alerts = alerts.filter(|one| one["alert_name"] == name);
        alerts.find(|one| one["category"] == category)
    };
    alert("First", future);
    let host = restart(&setup, host, || of("First", "Fault").map(drop));
    host.kill();
    // The host is away while one alert ends and another begins.
    alert("First", past);
    alert("Second", future);
    let host = setup.start();
    let second = host.wait_for("the second alert", || of("Second", "Fault"));
    host.wait_for("the end of the first alert", || of("First", "Recovery"));
    assert_eq!(
        (
            &second["storage_id"],
            &second["severity"],
            &second["description"]
        ),
        (
            &json!("array-7"),
            &json!("Critical"),
            &json!("pool 1 is full")
        ),
        "{second}"
    );
}
