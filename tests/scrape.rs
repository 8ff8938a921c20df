//! The scrape driver with the real host: pages of real exporters, and one that hangs.

use std::{net::TcpListener, thread};

use delfin_tests::{
    Host, Setup,
    receivers::{NodeExporter, Prometheus, free_port},
};
use serde_json::{Value, json};

const FILES: &str = r#"
performance_exporters = ["PerformanceExporterFile"]
[exporter.PerformanceExporterFile.config]
path = "@/performance.jsonl"
"#;

/// Of the page that Prometheus and this host have in common: a histogram, a counter and a gauge.
const PROMETHEUS: &str = r#"
[[resource]]
type = "controller"
id = "${handler}"

[resource.series]
responseTime = { metric = "prometheus_http_request_duration_seconds_sum", per = "prometheus_http_request_duration_seconds_count", factor = 1000 }
requests = { metric = "prometheus_http_requests_total", rate = true, unit = "1/s", combine = "sum" }

[[resource]]
type = "storage"

[resource.fields]
model = "Prometheus"
firmware_version = { metric = "prometheus_build_info", label = "version" }
used_capacity = { metric = "process_resident_memory_bytes" }
free_capacity = { metric = "process_virtual_memory_bytes" }
"#;

/// Of the page of this host: each exporter is a port.
const HOST: &str = r#"
[[resource]]
type = "port"
id = "${exporter}"

[resource.series]
iops = { metric = "delfin_host_exporter_accepted_items_total", rate = true }
pending = { metric = "delfin_host_exporter_pending_items", unit = "1" }
"#;

fn storage(name: &str, url: &str, mapping: &str) -> String {
    format!(
        "\n[[storage]]\nvendor = \"prometheus\"\nmodel = \"scrape\"\nname = \"{name}\"\n\
         options = {{ url = \"{url}\", mapping = \"{mapping}\" }}\n\
         performance.interval = \"1s\"\n"
    )
}

/// The series of a storage so far.
fn series(setup: &Setup, storage: &str) -> Vec<Value> {
    let rows = setup.json_lines("performance.jsonl").into_iter();
    rows.filter(|row| row["labels"]["name"] == storage)
        .collect()
}

fn find<'a>(series: &'a [Value], name: &str, resource: &str) -> Option<&'a Value> {
    let mut series = series.iter();
    series.find(|row| row["name"] == name && row["labels"]["resource_id"] == resource)
}

fn value(series: &Value) -> f64 {
    let values = series["values"].as_object();
    let value = values.and_then(|values| values.values().next());
    value.and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// The id of a storage by its name.
fn id(host: &Host, name: &str) -> Option<String> {
    let storages = host.get("/v1/storages").1["storages"].as_array()?.clone();
    let mut storages = storages.iter();
    let storage = storages.find(|storage| storage["name"] == name)?;
    storage["id"].as_str().map(str::to_owned)
}

#[test]
fn the_page_of_node_exporter_becomes_series_and_resources() {
    let setup = Setup::new(&["file", "scrape"], "");
    let Some(exporter) = NodeExporter::start(&setup.path("")) else {
        return;
    };
    let storage = storage("node", &exporter.url(), "node_exporter");
    let setup = setup.with_config(&[FILES, &storage].concat());
    let host = setup.start();
    let series = host.wait_for("a rate of the processors", || {
        let series = series(&setup, "node");
        find(&series, "cpuUsage", "cpu").is_some().then_some(series)
    });
    let usage = find(&series, "cpuUsage", "cpu").expect("the series");
    assert!((0.0..=100.0).contains(&value(usage)), "{usage}");
    let labels = &usage["labels"];
    assert_eq!(
        (&labels["resource_type"], &labels["resource_name"]),
        (&json!("controller"), &json!("processors"))
    );
    assert_eq!(
        (&labels["unit"], &labels["type"]),
        (&json!("%"), &json!("RAW"))
    );
    let id = host.wait_for("the storage", || id(&host, "node"));
    let port = host.wait_for("the ports", || {
        let ports = host.get(&format!("/v1/ports?storage_id={id}")).1["ports"].clone();
        let mut ports = ports.as_array()?.iter();
        ports.find(|port| port["native_port_id"] == "lo").cloned()
    });
    assert_eq!(port["name"], "lo", "{port}");
    host.wait_for_log("page has metrics that the mapping does not use");
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
}

#[test]
fn the_pages_of_this_host_and_of_prometheus_are_read_with_mappings_of_an_operator() {
    let setup = Setup::new(&["file", "scrape"], "");
    let path = |file: &str| setup.path(file).display().to_string();
    setup.write("prometheus.toml", PROMETHEUS);
    setup.write("host.toml", HOST);
    let port = free_port();
    let prometheus = Prometheus::start(&setup.path(""), free_port(), "");
    let own = storage(
        "own",
        &format!("http://127.0.0.1:{port}/metrics"),
        &path("host.toml"),
    );
    let of_prometheus = prometheus.as_ref().map_or_else(String::new, |prometheus| {
        storage(
            "prometheus",
            &format!("{}/metrics", prometheus.url()),
            &path("prometheus.toml"),
        )
    });
    let head = "plugin_dirs = [\"@/plugins\"]\nstate_dir = \"@/state\"\n";
    let tables = format!("[api]\nlisten = \"127.0.0.1:{port}\"\n[journal]\nmin_free_bytes = 0\n");
    let config = [head, FILES, &own, &of_prometheus, &tables].concat();
    let setup = setup.with_whole_config(&config);
    let host = setup.start();
    let accepted = host.wait_for("a rate of this host", || {
        let series = series(&setup, "own");
        find(&series, "iops", "PerformanceExporterFile").cloned()
    });
    assert_eq!(accepted["labels"]["unit"], "IOPS", "{accepted}");
    assert!(value(&accepted) >= 0.0, "{accepted}");
    if prometheus.is_some() {
        let average = host.wait_for("an average of Prometheus", || {
            let series = series(&setup, "prometheus");
            find(&series, "responseTime", "/metrics").cloned()
        });
        assert!(value(&average) > 0.0, "{average}");
        let model = host.wait_for("the storage", || {
            let storages = host.get("/v1/storages").1["storages"].as_array()?.clone();
            let mut storages = storages.into_iter();
            storages.find(|storage| storage["name"] == "prometheus")
        });
        assert_eq!(model["model"], "Prometheus", "{model}");
    }
    let (status, log) = host.stop();
    assert!(status.success(), "{log}");
}

#[test]
fn a_page_that_hangs_costs_no_other_storage_a_window() {
    let setup = Setup::new(&["file", "scrape"], "");
    setup.write("host.toml", HOST);
    let mapping = setup.path("host.toml").display().to_string();
    let port = free_port();
    // Connections are accepted by the kernel, and nothing ever answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_port = silent.local_addr().expect("an address").port();
    let (seen, asked) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let kept: Vec<_> = silent
            .incoming()
            .inspect(|_| seen.send(()).expect("the test runs"))
            .collect();
        drop(kept);
    });
    let good = storage(
        "good",
        &format!("http://127.0.0.1:{port}/metrics"),
        &mapping,
    );
    let slow = storage(
        "slow",
        &format!("http://127.0.0.1:{silent_port}/metrics"),
        &mapping,
    )
    .replace("mapping =", "timeout = \"4m\", mapping =");
    let head = "plugin_dirs = [\"@/plugins\"]\nstate_dir = \"@/state\"\n";
    let tables = format!("[api]\nlisten = \"127.0.0.1:{port}\"\n[journal]\nmin_free_bytes = 0\n");
    let config = [head, FILES, &slow, &good, &tables].concat();
    let setup = setup.with_whole_config(&config);
    let host = setup.start();
    assert!(asked.recv().is_ok(), "the page that hangs is asked for");
    let times = host.wait_for("measurements of the other storage", || {
        let series = series(&setup, "good");
        let points = series.iter().filter(|row| row["name"] == "pending");
        let times = points.filter_map(|row| row["values"].as_object()?.keys().next().cloned());
        let times: std::collections::BTreeSet<String> = times.collect();
        (times.len() >= 5).then_some(times)
    });
    assert!(times.len() >= 5);
    // The call still waits, and did not fail meanwhile.
    assert!(
        !host.log().contains("the page did not come"),
        "{}",
        host.log()
    );
    assert!(series(&setup, "slow").is_empty());
    assert!(
        asked.try_recv().is_err(),
        "the page that hangs is asked for once"
    );
}
