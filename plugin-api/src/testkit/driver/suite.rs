//! The conformance suite of drivers: each check is a function, and its name is the promise.

use std::{collections::BTreeSet, path::Path, time::Duration};

use delfin_plugin_loader::ManifestDriver;
use delfin_plugin_protocol::{CapabilitiesMessage, OutcomeClass, OutcomeMessage, StorageMessage};
use serde_json::{Value, json};

use super::connection::{CallAnswer, DriverConnection, DriverProgram};
use crate::{AlertBatch, Batch, PerformanceBatch, time::now_ms};

/// What the checks measure: the last five minutes.
const WINDOW_MS: i64 = 300_000;

/// The labels that a driver gives to each series.
const LABELS: [&str; 3] = ["resource_type", "resource_id", "unit"];

/// The driver that is tested.
struct TestedDriver<'a> {
    program: &'a DriverProgram,
    driver: &'a ManifestDriver,
    options: &'a dyn Fn(&Path) -> Value,
}

/// The name of a check, and the check.
type DriverCheck = (&'static str, fn(&TestedDriver<'_>));

const CHECKS: [DriverCheck; 9] = [
    ("identifies_its_storage", identifies_its_storage),
    ("measures_what_it_declares", measures_what_it_declares),
    ("lists_alerts", lists_alerts),
    ("survives_wrong_options", survives_wrong_options),
    (
        "survives_what_it_does_not_know",
        survives_what_it_does_not_know,
    ),
    (
        "returns_after_a_missed_deadline",
        returns_after_a_missed_deadline,
    ),
    ("names_an_unknown_message", names_an_unknown_message),
    ("closes", closes),
    (
        "ends_when_the_host_closes_the_connection",
        ends_when_the_host_closes_the_connection,
    ),
];

/// Runs every check. Panics with the driver and the check that fails.
pub(super) fn run(
    program: &DriverProgram,
    driver: &ManifestDriver,
    options: &dyn Fn(&Path) -> Value,
) {
    let subject = TestedDriver {
        program,
        driver,
        options,
    };
    for (name, check) in CHECKS {
        // The message of the panic comes before this line.
        let failed = FailedCheck {
            name,
            driver: format!("{} {}", driver.vendor, driver.model),
        };
        check(&subject);
        std::mem::forget(failed);
    }
}

/// Names the check while it panics.
struct FailedCheck {
    name: &'static str,
    driver: String,
}

impl Drop for FailedCheck {
    #[expect(clippy::print_stderr, reason = "the author reads it next to the panic")]
    fn drop(&mut self) {
        eprintln!("the driver `{}` fails `{}`", self.driver, self.name);
    }
}

impl TestedDriver<'_> {
    /// A connection with an open driver, and its folder.
    fn open(&self) -> (DriverConnection, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
        let mut connection = self.program.connect();
        let options = (self.options)(folder.path());
        expect_done(
            "open",
            self.open_with(&mut connection, folder.path(), &options),
        );
        (connection, folder)
    }

    fn open_with(
        &self,
        connection: &mut DriverConnection,
        folder: &Path,
        options: &Value,
    ) -> CallAnswer {
        let driver = [self.driver.vendor.as_str(), self.driver.model.as_str()];
        connection.open(driver, folder, options)
    }
}

fn identifies_its_storage(subject: &TestedDriver<'_>) {
    let (mut connection, _folder) = subject.open();
    let first = identify(&mut connection);
    assert!(!first.name.trim().is_empty(), "the name is empty");
    let number = &first.serial_number;
    assert!(!number.trim().is_empty(), "the serial number is empty");
    let second = identify(&mut connection);
    assert_eq!(second.serial_number, *number, "the serial number changes");
}

fn measures_what_it_declares(subject: &TestedDriver<'_>) {
    let (mut connection, _folder) = subject.open();
    identify(&mut connection);
    let declared = capabilities(&mut connection);
    let end_ms = now_ms();
    let start_ms = end_ms - WINDOW_MS;
    let window = json!({"start_ms": start_ms, "end_ms": end_ms});
    let batch = match connection.call("collect", window) {
        CallAnswer::Batch(batch) => batch,
        CallAnswer::Unsupported if declared.metrics.is_empty() => return,
        other => panic!("collect: {other:?}"),
    };
    let batch = PerformanceBatch::try_from_arrow(batch);
    let batch = batch.unwrap_or_else(|error| panic!("collect: {error}"));
    let mut known = BTreeSet::new();
    for series in batch.series() {
        let name = series.name();
        for label in LABELS {
            let value = series.labels().get(label).unwrap_or_default();
            assert!(
                !value.is_empty(),
                "a series `{name}` has no label `{label}`"
            );
        }
        let resource = series.labels().get("resource_type").unwrap_or_default();
        let metrics = declared
            .metrics
            .get(resource)
            .map_or(&[][..], Vec::as_slice);
        assert!(
            metrics.iter().any(|metric| metric.name == name),
            "`{name}` of `{resource}` is measured, and `capabilities` does not have it"
        );
        let labels: Vec<_> = series.labels().iter().collect();
        let identity = format!("{name} {labels:?}");
        assert!(
            known.insert(identity.clone()),
            "two series are the same: {identity}"
        );
        for (time, value) in series.points() {
            assert!(value.is_finite(), "`{name}` has the value {value}");
            assert!(
                !declared.is_historic || (start_ms..end_ms).contains(&time),
                "`{name}` has a point at {time}, outside the window from {start_ms} to {end_ms}"
            );
        }
    }
}

fn lists_alerts(subject: &TestedDriver<'_>) {
    let (mut connection, _folder) = subject.open();
    identify(&mut connection);
    let declared = capabilities(&mut connection);
    let Some(all) = alerts(&mut connection, json!({})) else {
        return;
    };
    let mut known = BTreeSet::new();
    for alert in all.alerts() {
        let texts: Vec<_> = alert.texts().collect();
        let text = |column: &str| texts.iter().find(|(name, _)| *name == column);
        let identity: Vec<_> = match &declared.alert_identity[..] {
            [] => vec![
                text("alert_name"),
                text("location"),
                text("sequence_number"),
            ],
            columns => columns.iter().map(|column| text(column)).collect(),
        };
        let is_empty = identity.iter().all(Option::is_none);
        assert!(
            !is_empty,
            "an alert has no text that identifies it: {texts:?}"
        );
        assert!(
            known.insert(format!("{identity:?}")),
            "two alerts are the same: {texts:?}"
        );
        assert!(
            alert.occur_time() >= 0,
            "an alert began before 1970: {texts:?}"
        );
    }
    let end_ms = now_ms();
    let start_ms = end_ms - WINDOW_MS;
    let window = json!({"start_ms": start_ms, "end_ms": end_ms});
    let recent = alerts(&mut connection, window);
    let recent = recent.unwrap_or_else(|| panic!("alerts of a window are not supported"));
    for alert in recent.alerts() {
        let time = alert.occur_time();
        assert!(
            (start_ms..end_ms).contains(&time),
            "an alert of {time} is outside the window from {start_ms} to {end_ms}"
        );
    }
}

/// The driver can refuse them in any call, but not by a panic or by its end.
fn survives_wrong_options(subject: &TestedDriver<'_>) {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
    for options in [
        json!({}),
        json!({"rest": [], "ssh": 7, "extra_attributes": "text"}),
    ] {
        let mut connection = subject.program.connect();
        let opened = subject.open_with(&mut connection, folder.path(), &options);
        expect_no_restart("open with wrong options", opened);
    }
}

fn survives_what_it_does_not_know(subject: &TestedDriver<'_>) {
    let (mut connection, _folder) = subject.open();
    identify(&mut connection);
    for (kind, fields) in [
        ("clear_alert", json!({"sequence_number": "no such alert"})),
        (
            "parse_trap",
            json!({"variables": {"1.3.6.1.4.1.0.0": "no such trap"}}),
        ),
        ("list_resources", json!({"kind": "volumes"})),
        ("list_resources", json!({"kind": "no_such_kind"})),
    ] {
        match expect_no_restart(kind, connection.call(kind, fields)) {
            CallAnswer::Value(value) => {
                let is_list = value
                    .as_array()
                    .is_some_and(|rows| rows.iter().all(Value::is_object));
                assert!(
                    is_list,
                    "the result of `{kind}` is not a list of objects: {value}"
                );
            }
            CallAnswer::Batch(batch) => {
                let batch = AlertBatch::try_from_arrow(batch);
                drop(batch.unwrap_or_else(|error| panic!("{kind}: {error}")));
            }
            CallAnswer::Outcome(_) | CallAnswer::Unsupported => {}
        }
    }
    identify(&mut connection);
}

fn returns_after_a_missed_deadline(subject: &TestedDriver<'_>) {
    let (mut connection, _folder) = subject.open();
    identify(&mut connection);
    connection.cancel();
    let window = json!({"start_ms": 0, "end_ms": 1});
    let late = connection.call_within("collect", window, Duration::ZERO);
    expect_no_restart("a call past its deadline", late);
}

fn names_an_unknown_message(subject: &TestedDriver<'_>) {
    let (mut connection, _folder) = subject.open();
    let answer = connection.call("no_such_message", json!({}));
    assert!(
        matches!(answer, CallAnswer::Unsupported),
        "an unknown message is not answered with `unsupported`: {answer:?}"
    );
    identify(&mut connection);
}

fn closes(subject: &TestedDriver<'_>) {
    let (mut connection, _folder) = subject.open();
    expect_done("close", connection.call("close", json!({})));
}

fn ends_when_the_host_closes_the_connection(subject: &TestedDriver<'_>) {
    let (connection, _folder) = subject.open();
    if let Err(end) = connection.end() {
        panic!("the host has closed the connection: {end}");
    }
}

fn identify(connection: &mut DriverConnection) -> StorageMessage {
    read("identify", connection.call("identify", json!({})))
}

fn capabilities(connection: &mut DriverConnection) -> CapabilitiesMessage {
    read("capabilities", connection.call("capabilities", json!({})))
}

/// `None` if the driver has no alerts.
fn alerts(connection: &mut DriverConnection, fields: Value) -> Option<AlertBatch> {
    match connection.call("list_alerts", fields) {
        CallAnswer::Batch(batch) => {
            let batch = AlertBatch::try_from_arrow(batch);
            Some(batch.unwrap_or_else(|error| panic!("list_alerts: {error}")))
        }
        CallAnswer::Unsupported => None,
        other => panic!("list_alerts: {other:?}"),
    }
}

fn read<T: serde::de::DeserializeOwned>(call: &str, answer: CallAnswer) -> T {
    match answer {
        CallAnswer::Value(value) => serde_json::from_value(value)
            .unwrap_or_else(|error| panic!("the result of `{call}`: {error}")),
        other => panic!("{call}: {other:?}"),
    }
}

fn expect_done(call: &str, answer: CallAnswer) {
    let is_done = matches!(
        &answer,
        CallAnswer::Outcome(OutcomeMessage {
            class: OutcomeClass::Delivered,
            ..
        })
    );
    assert!(is_done, "{call}: {answer:?}");
}

fn expect_no_restart(call: &str, answer: CallAnswer) -> CallAnswer {
    let is_restart = matches!(
        &answer,
        CallAnswer::Outcome(OutcomeMessage {
            class: OutcomeClass::Restart,
            ..
        })
    );
    assert!(!is_restart, "{call}: {answer:?}");
    answer
}
