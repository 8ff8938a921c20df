//! Calls to the driver in the built library, as the host makes them.

use std::{sync::LazyLock, time::Duration};

use delfin_plugin_api::{
    AlertBatch, Batch, PerformanceBatch,
    testkit::{CallAnswer, DriverConnection, DriverProgram},
};
use delfin_tests::redfish::MockService;
use serde_json::{Value, json};

static PROGRAM: LazyLock<DriverProgram> = LazyLock::new(DriverProgram::build);

/// The longest time of a call of a test.
const TIMEOUT: Duration = Duration::from_secs(60);

/// An open driver.
pub(crate) struct TestedStorage {
    connection: DriverConnection,
    _folder: tempfile::TempDir,
}

/// A series of a collection.
#[derive(Debug)]
pub(crate) struct CollectedSeries {
    pub(crate) name: String,
    pub(crate) resource: String,
    pub(crate) points: Vec<(i64, f64)>,
}

impl TestedStorage {
    pub(crate) fn open(service: &MockService, extra: Value) -> Self {
        Self::open_with(&service.options(extra)).unwrap()
    }

    /// The error is the message of the failure.
    pub(crate) fn open_with(options: &Value) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = PROGRAM.connect();
        let opened = connection.open(["redfish", "redfish"], folder.path(), options);
        done(opened)?;
        Ok(Self {
            connection,
            _folder: folder,
        })
    }

    pub(crate) fn identify(&mut self) -> Result<Value, String> {
        value(self.call("identify", json!({})))
    }

    pub(crate) fn list(&mut self, kind: &str) -> Result<Vec<Value>, String> {
        let list = value(self.call("list_resources", json!({ "kind": kind })))?;
        Ok(list.as_array().cloned().unwrap_or_default())
    }

    pub(crate) fn collect(&mut self) -> Result<Vec<CollectedSeries>, String> {
        self.collect_since(0)
    }

    /// Collects in a window that begins at this time.
    pub(crate) fn collect_since(&mut self, start_ms: i64) -> Result<Vec<CollectedSeries>, String> {
        let window = json!({"start_ms": start_ms, "end_ms": start_ms + 1});
        match self.call("collect", window) {
            CallAnswer::Batch(batch) => {
                let batch = PerformanceBatch::try_from_arrow(batch).unwrap();
                let rows = batch.series().map(|series| CollectedSeries {
                    name: series.name().to_owned(),
                    resource: series
                        .labels()
                        .get("resource_id")
                        .unwrap_or_default()
                        .to_owned(),
                    points: series.points().collect(),
                });
                Ok(rows.collect())
            }
            other => Err(failure(other)),
        }
    }

    /// The alerts, as objects of their columns and `occur_time`.
    pub(crate) fn alerts(&mut self, window: Value) -> Result<Vec<Value>, String> {
        match self.call("list_alerts", window) {
            CallAnswer::Batch(batch) => {
                let batch = AlertBatch::try_from_arrow(batch).unwrap();
                let rows = batch.alerts().map(|alert| {
                    let mut row: Value = alert
                        .texts()
                        .map(|(name, text)| (name.to_owned(), Value::from(text)))
                        .collect();
                    row["occur_time"] = alert.occur_time().into();
                    row
                });
                Ok(rows.collect())
            }
            other => Err(failure(other)),
        }
    }

    pub(crate) fn clear(&mut self, number: &str) -> Result<(), String> {
        done(self.call("clear_alert", json!({ "sequence_number": number })))
    }

    pub(crate) fn close(&mut self) -> Result<(), String> {
        done(self.call("close", json!({})))
    }

    pub(crate) fn call(&mut self, kind: &str, fields: Value) -> CallAnswer {
        self.connection.call_within(kind, fields, TIMEOUT)
    }

    pub(crate) fn call_within(&mut self, kind: &str, fields: Value, time: Duration) -> CallAnswer {
        self.connection.call_within(kind, fields, time)
    }
}

pub(crate) fn value(answer: CallAnswer) -> Result<Value, String> {
    match answer {
        CallAnswer::Value(value) => Ok(value),
        other => Err(failure(other)),
    }
}

fn done(answer: CallAnswer) -> Result<(), String> {
    match answer {
        CallAnswer::Outcome(outcome) if outcome.message.is_empty() => Ok(()),
        other => Err(failure(other)),
    }
}

/// The class and the message of a failure.
pub(crate) fn failure(answer: CallAnswer) -> String {
    match answer {
        CallAnswer::Outcome(outcome) => {
            let (class, detail) = (outcome.class, outcome.detail);
            format!("{class:?} {detail}: {}", outcome.message)
        }
        CallAnswer::Unsupported => "unsupported".to_owned(),
        other => panic!("{other:?}"),
    }
}
