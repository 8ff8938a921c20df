//! Alerts of what a page has.

use std::collections::HashSet;

use delfin_plugin_api::{AlertBatch, AlertBatchBuilder, NewAlert, driver::DriverWindow};

use crate::{
    mapping::{PageReading, ReadAlert},
    state::SeenAlerts,
};

/// What an alert has that its mapping does not say.
const DEFAULTS: [(&str, &str); 3] = [
    ("severity", "NotSpecified"),
    ("category", "Fault"),
    ("type", "EquipmentAlarm"),
];

/// The active alerts of a page; with a window, those that occurred in it.
pub(crate) fn alerts(
    reading: &PageReading,
    window: Option<DriverWindow>,
    state: &mut SeenAlerts,
) -> AlertBatch {
    let identities = reading.alerts.iter().map(identity);
    let seen = state.seen(identities, reading.time_ms);
    let mut batch = AlertBatchBuilder::new();
    let mut known = HashSet::new();
    for (alert, seen) in reading.alerts.iter().zip(seen) {
        let occur_time = alert.occur_time.unwrap_or(seen);
        if window.is_some_and(|window| !window.contains(occur_time))
            || !known.insert(identity(alert))
        {
            continue;
        }
        let columns = alert.columns.iter();
        let mut texts: Vec<(&str, &str)> =
            columns.map(|(name, text)| (*name, text.as_str())).collect();
        let name = column(alert, "alert_name").unwrap_or_default();
        let defaults = DEFAULTS.into_iter().chain([("alert_id", name)]);
        for (column, text) in defaults {
            if texts.iter().all(|(known, _)| *known != column) {
                texts.push((column, text));
            }
        }
        batch.alert(NewAlert {
            occur_time,
            texts: &texts,
        });
    }
    batch.build()
}

fn column<'a>(alert: &'a ReadAlert, name: &str) -> Option<&'a str> {
    let mut columns = alert.columns.iter();
    let found = columns.find(|(column, _)| *column == name);
    found.map(|(_, text)| text.as_str())
}

/// What the host knows an alert by.
fn identity(alert: &ReadAlert) -> String {
    let columns = ["alert_name", "location", "sequence_number"];
    columns
        .map(|name| column(alert, name).unwrap_or_default())
        .join("\n")
}
