//! What a real VictoriaMetrics stores.

use delfin_plugin_api::testkit::Harness;
use delfin_tests::{receivers::VictoriaMetrics, wait_for};
use serde_json::json;

use crate::{ALERTS, AWKWARD_TAG, PERFORMANCE, alerts, points};

#[test]
fn points_are_stored_and_alerts_with_line_ends_are_counted_also_around_a_restart() {
    let harness = Harness::of_crate();
    let Some(mut victoria_metrics) = VictoriaMetrics::start(&harness.new_folder()) else {
        return;
    };
    let settings = json!({ "url": victoria_metrics.url(), "bucket": "delfin" });
    let mut performance = harness.start(PERFORMANCE, &settings);
    let mut exporter = harness.start(ALERTS, &settings);
    assert_eq!(performance.outcome_of("health"), Ok(()));
    assert_eq!(performance.send(&points(0..1_000)), Ok(()));
    victoria_metrics.stop();
    victoria_metrics.restart();
    wait_for("a delivered batch", || {
        performance.send(&points(1_000..2_000)).ok()
    });
    assert_eq!(exporter.send(&alerts()), Ok(()));
    let series = wait_for("all points", || {
        let series = victoria_metrics.export("{__name__=\"disk_iops\"}").pop()?;
        (series["values"].as_array()?.len() == 2_000).then_some(series)
    });
    assert_eq!(series["metric"]["resource_id"], AWKWARD_TAG);
    assert_eq!(series["timestamps"][1_999], 1_700_000_001_999_i64);
    assert_eq!(series["values"][1_999], 1_999.0);
    wait_for("both alerts", || {
        let series = victoria_metrics
            .export("{__name__=\"alert_count\"}")
            .pop()?;
        (series["values"] == json!([1, 1])).then_some(())
    });
}
