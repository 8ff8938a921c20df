//! A real Prometheus scrapes the page.

use std::{collections::BTreeMap, fs};

use delfin_plugin_api::{PerformanceBatch, PerformanceBatchBuilder, sample, time::now_ms};
use delfin_tests::{
    receivers::{self, Labels, Prometheus, free_port, read_series},
    wait_for,
};
use serde_json::json;

use crate::{
    page::export,
    support::{Lab, get},
};

fn start(lab: &Lab, page: u16, more: &str) -> Option<Prometheus> {
    let config = format!(
        "scrape_configs:\n- job_name: delfin\n  scrape_interval: 250ms\n  scrape_timeout: 250ms\n\
         \x20 static_configs: [{{targets: ['localhost:{page}']}}]\n{more}"
    );
    Prometheus::start(lab.folder.path(), free_port(), &config)
}

/// The value of each series, by its labels, once there are `count`.
fn series(prometheus: &Prometheus, count: usize) -> BTreeMap<Labels, f64> {
    wait_for("series in Prometheus", || {
        let found = prometheus.series();
        (found.len() == count).then_some(found)
    })
}

/// The series that Prometheus should have, computed without the plugin.
fn expected(batch: &PerformanceBatch) -> BTreeMap<Labels, f64> {
    let series = batch.series().map(|series| {
        let mut labels = BTreeMap::new();
        for (key, value) in series
            .labels()
            .iter()
            .filter(|(_, value)| !value.is_empty())
        {
            let name = match key {
                "name" => "storage_name",
                "serial_number" => "storage_sn",
                other => other,
            };
            labels.insert(name.to_owned(), value.to_owned());
        }
        let resource = series.labels().get("resource_type").unwrap();
        labels.insert(
            "__name__".to_owned(),
            format!("{resource}_{}", series.name()),
        );
        labels.entry("type".to_owned()).or_insert("RAW".to_owned());
        labels
            .entry("value_type".to_owned())
            .or_insert("gauge".to_owned());
        (labels, *series.values().last().unwrap())
    });
    series.collect()
}

/// Special characters in labels, and values that need all their digits.
fn special() -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    let texts = [
        "\"quoted\" \\back\\slash\\n",
        "line\nbreak\r\n\ttab",
        "comma, equals=sign, {braces} # hash",
        "\u{1b}[31m escape",
        "grüße 数据 🦀",
        "\u{202e}right to left\u{feff}",
        " ",
    ];
    let values = [
        1e-9,
        0.1 + 0.2,
        f64::MAX,
        f64::MIN_POSITIVE,
        -0.0,
        1e21,
        f64::INFINITY,
    ];
    for (text, value) in texts.into_iter().zip(values) {
        let labels = [
            ("resource_type", "disk"),
            ("resource_id", text),
            ("rack", text),
        ];
        batch.series("iops", labels, [(1, value)]).unwrap();
    }
    batch.build()
}

#[test]
fn prometheus_has_every_series_with_its_value_and_labels_after_restarts() {
    let (lab, port) = (Lab::new(), free_port());
    let mut page = lab.page(json!({}), port);
    let first = sample::performance(3000, 3);
    export(&mut page, &first);
    export(&mut page, &special());
    let Some(prometheus) = start(&lab, port, "") else {
        return;
    };
    let mut all = expected(&first);
    all.extend(expected(&special()));
    assert_eq!(all.len(), 3007);
    assert_eq!(series(&prometheus, 3007), all);

    // Restart the exporter.
    drop(page);
    let mut page = lab.page(json!({}), port);
    assert_eq!(series(&prometheus, 3007), all);
    drop(prometheus);

    // Restart Prometheus, with new values and series on the page.
    let second = sample::performance(3100, 4);
    export(&mut page, &second);
    let prometheus = start(&lab, port, "").unwrap();
    all.extend(expected(&second));
    wait_for("new values in Prometheus", || {
        (series(&prometheus, 3107) == all).then_some(())
    });
}

#[test]
fn prometheus_scrapes_over_tls_with_a_password() {
    let (lab, port) = (Lab::new(), free_port());
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = [lab.path("page.pem"), lab.path("page.key")];
    fs::write(&files[0], certificate.cert.pem()).unwrap();
    fs::write(&files[1], certificate.signing_key.serialize_pem()).unwrap();
    let settings = json!({
        "username": "prom",
        "password": "secret",
        "tls_certificate": files[0],
        "tls_key": files[1],
        "send_timestamps": false,
    });
    let mut page = lab.page(settings, port);
    let batch = sample::performance(30, 1);
    export(&mut page, &batch);
    let more = format!(
        "  scheme: https\n  tls_config: {{ca_file: {}}}\n  \
         basic_auth: {{username: prom, password: secret}}\n",
        files[0].display()
    );
    let Some(prometheus) = start(&lab, port, &more) else {
        return;
    };
    assert_eq!(series(&prometheus, 30), expected(&batch));
}

#[test]
fn with_timestamps_prometheus_stores_the_time_of_measurement() {
    let (lab, port) = (Lab::new(), free_port());
    let mut page = lab.page(json!({ "send_timestamps": true }), port);
    let measured = now_ms() - 60_123;
    let mut batch = PerformanceBatchBuilder::new();
    let labels = [("resource_type", "disk")];
    batch.series("iops", labels, [(measured, 1.5)]).unwrap();
    export(&mut page, &batch.build());
    let Some(prometheus) = start(&lab, port, "") else {
        return;
    };
    let found = wait_for("the sample in Prometheus", || {
        prometheus.query("timestamp(disk_iops)")?.first().cloned()
    });
    let (_, time) = read_series(&found);
    assert_eq!((time * 1000.0).round(), measured as f64);
}

#[test]
fn promtool_objects_only_to_the_names_of_delfin() {
    let (lab, port) = (Lab::new(), free_port());
    let mut page = lab.page(json!({}), port);
    export(&mut page, &sample::performance(300, 1));
    export(&mut page, &special());
    let page = get(&format!("http://127.0.0.1:{port}/metrics"), &[]).unwrap();
    let Some(messages) = receivers::promtool_messages(&page.body) else {
        return;
    };
    assert_eq!(messages, [""; 0]);
}
