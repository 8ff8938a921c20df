//! What VictoriaMetrics stores, which takes version 1.0 of remote write.

use delfin_plugin_api::{PerformanceBatchBuilder, testkit::Harness, time::now_ms};
use delfin_tests::{receivers::VictoriaMetrics, wait_for};
use serde_json::json;

use crate::EXPORTER;

#[test]
fn points_with_awkward_labels_are_stored_also_around_a_restart() {
    let harness = Harness::of_crate();
    let Some(mut victoria_metrics) = VictoriaMetrics::start(&harness.new_folder()) else {
        return;
    };
    let url = format!("{}/api/v1/write", victoria_metrics.url());
    let mut exporter = harness.start(EXPORTER, &json!({ "url": url }));
    assert_eq!(exporter.outcome_of("health"), Ok(()));
    let id = "say \"no\" \\ line\nbreak 🦀, a=b";
    let first = now_ms() - 600_000;
    let batch = |times: std::ops::Range<i64>| {
        let mut batch = PerformanceBatchBuilder::new();
        let labels = [("resource_type", "disk"), ("resource_id", id)];
        let points = times.map(|time| (first + time, time as f64));
        batch.series("iops", labels, points).unwrap();
        batch.build()
    };
    assert_eq!(exporter.send(&batch(0..1_000)), Ok(()));
    victoria_metrics.stop();
    victoria_metrics.restart();
    wait_for("a delivered batch", || {
        exporter.send(&batch(1_000..2_000)).ok()
    });
    let series = wait_for("all points", || {
        let series = victoria_metrics.export("{__name__=\"disk_iops\"}").pop()?;
        (series["values"].as_array()?.len() == 2_000).then_some(series)
    });
    assert_eq!(series["metric"]["resource_id"], id);
    assert_eq!(series["timestamps"][1_999], first + 1_999);
    assert_eq!(series["values"][1_999], 1_999.0);
}
