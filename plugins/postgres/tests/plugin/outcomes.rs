//! What errors of the server become.

use delfin_plugin_api::{
    PerformanceBatch, PerformanceBatchBuilder, RowFailureKind, sample,
    testkit::{Harness, check_outcome},
};
use delfin_tests::receivers::free_port;
use serde_json::json;

use crate::{PERFORMANCE, support::Database};

fn values(values: &[f64]) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for (number, value) in values.iter().enumerate() {
        let labels = [("resource_id", number.to_string())];
        batch.series("iops", labels, [(1, *value)]).unwrap();
    }
    batch.build()
}

#[test]
fn mistakes_of_the_settings_pause_the_exporter_with_a_remedy() {
    let harness = Harness::of_crate();
    let Some(database) = Database::start() else {
        return;
    };
    let check = |key: &str, value: &str, name: &str, part: &str| {
        let mut settings = database.settings();
        settings[key] = json!(value);
        let mut exporter = harness.start(PERFORMANCE, &settings);
        check_outcome(&exporter.send(&sample::performance(1, 1)), name, part);
        check_outcome(&exporter.outcome_of("health"), name, part);
    };
    check(
        "password",
        "wrong",
        "unauthorized",
        "check `username`, `password`",
    );
    check(
        "username",
        "stranger",
        "unauthorized",
        "check `username`, `password`",
    );
    check(
        "database",
        "missing",
        "misconfigured",
        "create the database",
    );
    database.query("CREATE ROLE reader LOGIN PASSWORD 'secret'");
    check(
        "username",
        "reader",
        "misconfigured",
        "GRANT USAGE, CREATE ON SCHEMA",
    );

    let nowhere = format!("127.0.0.1:{}", free_port());
    check("address", &nowhere, "retry", "refused (start the receiver");
    check("address", "missing.invalid", "retry", "check the name");

    let mut settings = database.settings();
    settings["tls"] = json!(true);
    let outcome = harness
        .start(PERFORMANCE, &settings)
        .send(&sample::performance(1, 1));
    check_outcome(&outcome, "misconfigured", "set `tls = false`");
    let mut settings = database.settings();
    settings["create_tables"] = json!(false);
    let mut exporter = harness.start(PERFORMANCE, &settings);
    let outcome = exporter.send(&sample::performance(1, 1));
    check_outcome(&outcome, "misconfigured", "has no tables");
    // It goes on without a restart once there are tables.
    let created = harness
        .start(PERFORMANCE, &database.settings())
        .send(&values(&[]));
    assert_eq!(created, Ok(()));
    assert_eq!(exporter.send(&sample::performance(1, 1)), Ok(()));
    database.query("UPDATE delfin_version SET version = 2");
    let outcome = harness
        .start(PERFORMANCE, &database.settings())
        .outcome_of("health");
    check_outcome(&outcome, "misconfigured", "use a newer plugin");
}

#[test]
fn a_role_that_may_only_write_needs_no_other_right() {
    let harness = Harness::of_crate();
    let Some(database) = Database::start() else {
        return;
    };
    let owner = harness
        .start(PERFORMANCE, &database.settings())
        .send(&values(&[]));
    assert_eq!(owner, Ok(()));
    database.query("CREATE ROLE writer LOGIN PASSWORD 'secret'");
    for table in ["series", "points", "alerts", "version"] {
        database.query(&format!(
            "GRANT SELECT, INSERT, UPDATE ON delfin_{table} TO writer"
        ));
    }
    let mut settings = database.settings();
    settings["username"] = json!("writer");
    settings["create_tables"] = json!(false);
    for exporter in [PERFORMANCE, crate::ALERTS] {
        let mut exporter = harness.start(exporter, &settings);
        assert_eq!(exporter.outcome_of("health"), Ok(()));
    }
    let mut exporter = harness.start(PERFORMANCE, &settings);
    assert_eq!(exporter.send(&sample::performance(1, 1)), Ok(()));
}

#[test]
fn a_row_that_a_constraint_refuses_is_rejected_and_nothing_of_its_batch_is_written() {
    let harness = Harness::of_crate();
    let Some(database) = Database::start() else {
        return;
    };
    let mut exporter = harness.start(PERFORMANCE, &database.settings());
    assert_eq!(exporter.outcome_of("health"), Ok(()));
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'delfin%'";
    assert_eq!(database.count(tables), 0, "a check makes no tables");
    assert_eq!(exporter.send(&values(&[])), Ok(()));
    database.query("ALTER TABLE delfin_points ADD CHECK (value < 100)");
    let outcome = exporter.send(&values(&[1.0, 1000.0]));
    check_outcome(&outcome, "rejected", "SQLSTATE 23514");
    let count = "SELECT count(*) FROM delfin_points";
    assert_eq!(database.count(count), 0);
    // What the host does then.
    assert_eq!(exporter.send(&values(&[1.0])), Ok(()));
    assert_eq!(database.count(count), 1);
    // A time that PostgreSQL cannot store.
    let mut batch = PerformanceBatchBuilder::new();
    batch
        .series("iops", [("k", "v")], [(i64::MAX, 1.0)])
        .unwrap();
    batch.series("iops", [("k", "w")], [(5, 1.0)]).unwrap();
    let outcome = exporter.send(&batch.build());
    let Err(delfin_plugin_api::Failure::Partial { rows, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (rows.len(), rows[0].rows.clone(), rows[0].kind),
        (1, 0..1, RowFailureKind::Rejected)
    );
    assert_eq!(database.count(count), 2);
}

#[test]
fn a_server_that_is_away_or_read_only_is_tried_again() {
    let harness = Harness::of_crate();
    let Some(mut database) = Database::start() else {
        return;
    };
    let mut exporter = harness.start(PERFORMANCE, &database.settings());
    assert_eq!(exporter.send(&values(&[1.0])), Ok(()));
    database.query("ALTER ROLE delfin SET default_transaction_read_only = on");
    database
        .query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'delfin'");
    let outcome = exporter.send(&values(&[2.0]));
    check_outcome(&outcome, "retry", "");
    check_outcome(
        &exporter.send(&values(&[2.0])),
        "retry",
        "connect to the primary server",
    );
    database.server.kill();
    check_outcome(&exporter.send(&values(&[2.0])), "retry", "refused");
}
