use std::collections::BTreeMap;

use super::host::{Host, TWO_POINTS, last};

fn scrape(host: &Host) -> String {
    let answer = host.get("/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    answer.body
}

/// The kind of each family; panics if the page is not one that Prometheus reads.
fn families(page: &str) -> BTreeMap<&str, &str> {
    let mut families = BTreeMap::new();
    let mut helped = Vec::new();
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            assert!(!helped.contains(&name), "{name} has two HELP lines");
            assert!(!text.trim().is_empty(), "{name} has an empty HELP line");
            helped.push(name);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(helped.last(), Some(&name), "TYPE without HELP");
            assert_eq!(
                families.insert(name, kind),
                None,
                "{name} has two TYPE lines"
            );
        } else {
            check_sample(line, &families, helped.last().unwrap());
        }
    }
    families
}

fn check_sample(line: &str, families: &BTreeMap<&str, &str>, family: &str) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    value.parse::<f64>().unwrap();
    assert!(!series.ends_with("{}"), "{line}");
    let name = series.split_once('{').map_or(series, |(name, _)| name);
    assert!(name.starts_with("delfin_host_"), "{line}");
    match families[family] {
        "histogram" => {
            let suffix = name.strip_prefix(family).unwrap();
            assert!(["_sum", "_count", "_bucket"].contains(&suffix), "{line}");
        }
        "counter" => assert!(name == family && name.ends_with("_total"), "{line}"),
        "gauge" => assert_eq!(name, family, "{line}"),
        other => panic!("{family} is a {other}"),
    }
}

fn check(page: &str, series: &str) {
    assert!(
        page.lines().any(|line| line == series),
        "no `{series}` in\n{page}"
    );
}

#[test]
fn every_family_is_described_once_and_has_its_samples() {
    let host = Host::start();
    host.post("/v1/ingest/performance", TWO_POINTS);
    host.post("/v1/ingest/performance", "[");
    let page = scrape(&host);
    let families = families(&page);
    for (name, kind) in [
        ("ingest_ack_duration_seconds", "histogram"),
        ("ingest_rejected_requests_total", "counter"),
        ("ingest_rejected_items_total", "counter"),
        ("journal_oldest_record_age_seconds", "gauge"),
        ("journal_commit_seconds_total", "counter"),
        ("exporter_export_seconds_total", "counter"),
        ("exporter_dropped_items_total", "counter"),
        ("exporter_delivery_latency_seconds", "histogram"),
        ("exporter_circuit_transitions_total", "counter"),
        ("api_connections_total", "counter"),
        ("api_evicted_connections_total", "counter"),
        ("api_open_connections", "gauge"),
        ("refused_plugins", "gauge"),
        ("exporter_plugin_counter_total", "counter"),
        ("exporter_last_success_timestamp_seconds", "gauge"),
        ("exporter_info", "gauge"),
        ("build_info", "gauge"),
        ("process_cpu_seconds_total", "counter"),
        ("process_resident_memory_bytes", "gauge"),
    ] {
        assert_eq!(
            families.get(&*format!("delfin_host_{name}")),
            Some(&kind),
            "{name}"
        );
    }
}

#[test]
fn what_came_in_is_counted() {
    let host = Host::start();
    let keyed = [
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "k"),
    ];
    for _ in 0..2 {
        host.send(
            "POST",
            "/v1/ingest/performance",
            &keyed,
            TWO_POINTS.as_bytes(),
        );
    }
    host.post("/v1/ingest/performance", "[");
    let page = scrape(&host);
    let bytes = 2 * TWO_POINTS.len() + 1;
    for series in [
        "ingest_requests_total{kind=\"performance\",code=\"202\"} 2",
        "ingest_requests_total{kind=\"performance\",code=\"400\"} 1",
        "ingest_rejected_requests_total{kind=\"performance\",reason=\"MalformedRequestBody\"} 1",
        "ingest_items_total{kind=\"performance\"} 2",
        "ingest_items_total{kind=\"alert\"} 0",
        &format!("ingest_bytes_total{{kind=\"performance\"}} {bytes}"),
        "ingest_duplicate_batches_total{kind=\"performance\"} 1",
        "ingest_ack_duration_seconds_count{kind=\"performance\",ack=\"durable\"} 2",
        "ingest_ack_duration_seconds_count{kind=\"performance\",ack=\"delivered\"} 0",
        "ingest_rejected_items_total{kind=\"performance\",reason=\"invalid\"} 0",
        "journal_records{kind=\"performance\"} 1",
        "journal_appended_batches_total{kind=\"performance\"} 1",
    ] {
        check(&page, &format!("delfin_host_{series}"));
    }
}

#[test]
fn each_item_of_an_exporter_is_counted_once() {
    let host = Host::start();
    host.post("/v1/ingest/performance", TWO_POINTS);
    host.deliver(last(&host).seq, 2);
    host.post("/v1/ingest/performance", TWO_POINTS);
    let page = scrape(&host);
    for series in [
        "exporter_state{exporter=\"prometheus\",state=\"failed\"} 1",
        "exporter_state{exporter=\"prometheus\",state=\"running\"} 0",
        "exporter_accepted_items_total{exporter=\"prometheus\"} 4",
        "exporter_delivered_items_total{exporter=\"prometheus\"} 2",
        "exporter_pending_items{exporter=\"prometheus\"} 2",
        "exporter_unaccounted_items{exporter=\"prometheus\"} 0",
        "exporter_dropped_items_total{exporter=\"prometheus\",reason=\"queue.max_age\"} 0",
        "exporter_dead_letters{exporter=\"prometheus\"} 0",
        "exporter_attempts_total{exporter=\"prometheus\",outcome=\"retry\"} 0",
        "exporter_info{exporter=\"prometheus\",plugin=\"PerformanceExporterPrometheus\",version=\"\",kind=\"performance\",isolation=\"process\"} 1",
    ] {
        check(&page, &format!("delfin_host_{series}"));
    }
}

#[test]
fn a_client_that_accepts_openmetrics_gets_it() {
    let host = Host::start();
    let accept = [(
        "Accept",
        "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
    )];
    let answer = host.send("GET", "/metrics", &accept, b"");
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(answer.body.ends_with("# EOF\n"));
    check(&answer.body, "# TYPE delfin_host_ingest_items counter");
}

#[test]
fn an_exporter_that_calls_nothing_has_its_counters_at_the_start() {
    let host = Host::start();
    host.post("/v1/ingest/performance", TWO_POINTS);
    let page = scrape(&host);
    let of = |series: &str| format!("delfin_host_exporter_{series}");
    for series in [
        "time_to_full_seconds{exporter=\"prometheus\"} inf",
        "delivery_latency_seconds_count{exporter=\"prometheus\"} 0",
        "delivery_latency_seconds_bucket{le=\"+Inf\",exporter=\"prometheus\"} 0",
        "circuit_state{exporter=\"prometheus\"} 0",
        "circuit_transitions_total{exporter=\"prometheus\",to=\"open\"} 0",
        "splits_total{exporter=\"prometheus\"} 0",
        "abandoned_threads{exporter=\"prometheus\"} 0",
        "restarts_total{exporter=\"prometheus\",reason=\"signal\"} 0",
    ] {
        check(&page, &of(series));
    }
    for series in ["pending_bytes", "capacity_bytes"] {
        let start = format!("{}{{exporter=\"prometheus\"}} ", of(series));
        let value = page.lines().find_map(|line| line.strip_prefix(&*start));
        assert_ne!(value, Some("0"), "{series} in\n{page}");
        assert!(value.is_some(), "{series} in\n{page}");
    }
}
