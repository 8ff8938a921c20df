//! What a real QuestDB stores.

use delfin_plugin_api::testkit::Harness;
use delfin_tests::{receivers::QuestDb, wait_for};
use serde_json::json;

use crate::{ALERTS, AWKWARD, AWKWARD_TAG, PERFORMANCE, alerts, points};

#[test]
fn points_and_texts_with_line_ends_are_stored_also_around_a_restart() {
    let harness = Harness::of_crate();
    let Some(mut questdb) = QuestDb::start(&harness.new_folder()) else {
        return;
    };
    let settings = json!({ "url": questdb.url(), "bucket": "delfin" });
    let mut performance = harness.start(PERFORMANCE, &settings);
    assert_eq!(performance.outcome_of("health"), Ok(()));
    assert_eq!(performance.send(&points(0..1_000)), Ok(()));
    questdb.kill();
    questdb.restart();
    wait_for("a delivered batch", || {
        performance.send(&points(1_000..2_000)).ok()
    });
    let query = "SELECT count(), sum(iops), max(resource_id) FROM disk";
    let row = wait_for("all points", || {
        let row = questdb.query(query)?[0].take();
        (row[0] == 2_000).then_some(row)
    });
    // QuestDB leaves out a backslash before another character.
    let tag = AWKWARD_TAG.replace('\\', "");
    assert_eq!(row, json!([2_000, 1_999_000.0, tag]));

    let mut exporter = harness.start(ALERTS, &settings);
    // Twice: the first batch finds out that QuestDB refuses a line end.
    for _ in 0..2 {
        assert_eq!(exporter.send(&alerts()), Ok(()));
    }
    let query = "SELECT alert_name, description, count() FROM alert ORDER BY alert_name";
    wait_for("both alerts", || {
        let found = questdb.query(query)?;
        let escaped = AWKWARD.replace('\n', "\\n");
        // QuestDB keeps a row that is written twice.
        (found == json!([["awkward", escaped, 2], ["plain", "text", 2]])).then_some(())
    });
}
