//! The built library with a real PostgreSQL: the conformance suite, and what is in the tables.
//!
//! `make setup` brings PostgreSQL. Where it is missing, the tests fail in CI and print that they
//! are skipped elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where its environment does not work"
)]

mod alerts;
mod outcomes;
mod performance;
mod support;

use delfin_plugin_api::testkit::conformance;
use serde_json::json;

use crate::support::Database;

const PERFORMANCE: &str = "PerformanceExporterPostgres";
const ALERTS: &str = "AlertExporterPostgres";

#[test]
fn conforms() {
    let Some(database) = Database::start() else {
        return;
    };
    conformance(|_, _| {
        json!({
            "address": database.address(),
            "database": "delfin",
            "username": "delfin",
            "password": "secret",
            "schema": "measured",
            "create_tables": true,
            "tls": false,
        })
    });
}
