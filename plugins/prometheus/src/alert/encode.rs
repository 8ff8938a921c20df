//! Alerts in the form of Alertmanager's API.
//!
//! Alertmanager identifies an alert by its labels. So the labels are the columns
//! that identify an alert for the host, the columns that never change between an
//! alert and its recovery, the severity, which routes need, and the extra fields that
//! the operator chooses. All else are annotations.
//!
//! Promises: names are valid and no value is empty; Alertmanager accepts the times,
//! even if the clock of the device is wrong.
//!
//! Knows nothing of connections.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use delfin_plugin_api::{Alert, AlertState, TEXT_COLUMNS};
use serde::{Serialize, Serializer};

/// In Delfin's order, without `alert_id`: devices assign a new one each time they
/// report an alert.
const LABELS: [&str; 10] = [
    "alert_name",
    "severity",
    "type",
    "resource_type",
    "location",
    "storage_id",
    "storage_name",
    "vendor",
    "model",
    "serial_number",
];
/// Identifies an alert, together with its name and location, if it has no match key.
const SEQUENCE_NUMBER: &str = "sequence_number";
/// Identifies an alert by itself.
const MATCH_KEY: &str = "match_key";
const UNNAMED: &str = "unnamed";

/// Names and texts of labels.
pub type AlertLabels = BTreeMap<Cow<'static, str>, String>;

/// An element of the body of `POST /api/v2/alerts`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostedAlert<'a> {
    #[serde(skip)]
    row: usize,
    #[serde(skip)]
    has_ended: bool,
    labels: AlertLabels,
    annotations: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc3339")]
    starts_at: Option<SystemTime>,
    #[serde(serialize_with = "rfc3339")]
    ends_at: Option<SystemTime>,
}

impl<'a> PostedAlert<'a> {
    /// The alert of a row. `extra_labels` are the extra fields that are labels. Unless it is a
    /// recovery, it fires until `resolve_after` from `now`, or until it is sent again.
    #[must_use]
    pub fn new(
        (row, alert): (usize, &Alert<'a>),
        extra_labels: &[String],
        now: SystemTime,
        resolve_after: Duration,
    ) -> Self {
        let mut labels = AlertLabels::new();
        let mut annotations = BTreeMap::new();
        let identifying = match non_empty(alert.match_key()) {
            Some(_) => MATCH_KEY,
            None => SEQUENCE_NUMBER,
        };
        for (column, text) in alert.texts().filter(|(_, text)| !text.is_empty()) {
            if LABELS.contains(&column) || column == identifying {
                labels.insert(Cow::Borrowed(column), text.to_owned());
            } else {
                annotations.insert(Cow::Borrowed(column), Cow::Borrowed(text));
            }
        }
        let name = non_empty(alert.alert_name()).or(non_empty(alert.alert_id()));
        let name = name.unwrap_or(UNNAMED).to_owned();
        labels.insert(Cow::Borrowed("alertname"), name);
        let extra = alert.extra();
        for name in extra_labels {
            if let Some(text) = non_empty(extra.get(name)) {
                labels.insert(Cow::Owned(name.clone()), text.to_owned());
            }
        }
        if let Some(description) = annotations.get("description").cloned() {
            annotations.insert(Cow::Borrowed("summary"), description);
        }
        annotate(alert, extra_labels, &mut annotations);
        let occurred = time(alert.occur_time()).map(|occurred| occurred.min(now));
        let has_ended = alert.state() == AlertState::Cleared;
        let (starts_at, ends_at) = if has_ended {
            // Alertmanager keeps the start of the alert that this one ends.
            (None, occurred.unwrap_or(now))
        } else {
            (occurred, now + resolve_after)
        };
        Self {
            row,
            has_ended,
            labels,
            annotations,
            starts_at,
            ends_at: Some(ends_at),
        }
    }

    /// The end of the alert with these labels, sent for the alert of a row.
    pub(super) fn end(row: usize, labels: AlertLabels, now: SystemTime) -> Self {
        Self {
            row,
            has_ended: true,
            labels,
            annotations: BTreeMap::new(),
            starts_at: None,
            ends_at: Some(now),
        }
    }

    pub(super) fn row(&self) -> usize {
        self.row
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub(super) fn labels(&self) -> &AlertLabels {
        &self.labels
    }
}

/// Adds the time of the alert, and its extras that are no labels.
fn annotate<'a>(
    alert: &Alert<'a>,
    extra_labels: &[String],
    annotations: &mut BTreeMap<Cow<'a, str>, Cow<'a, str>>,
) {
    if let Some(occurred) = time(alert.occur_time()) {
        let text = humantime::format_rfc3339_millis(occurred).to_string();
        annotations.insert(Cow::Borrowed("occur_time"), Cow::Owned(text));
    }
    let extras = alert.extra().iter();
    let is_label = |key: &str| extra_labels.iter().any(|label| label == key);
    for (key, text) in extras.filter(|(key, text)| !text.is_empty() && !is_label(key)) {
        let mut name = valid_name(key);
        while annotations.contains_key(&name) {
            name.to_mut().push('_');
        }
        annotations.insert(name, Cow::Borrowed(text));
    }
}

/// The time for milliseconds since the Unix epoch; `None` if it is unset or beyond
/// the year 9999, which RFC 3339 cannot express.
fn time(millis: i64) -> Option<SystemTime> {
    const YEAR_9999_MS: i64 = 253_370_764_800_000;
    let valid = (1..YEAR_9999_MS).contains(&millis);
    valid.then(|| SystemTime::UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs()))
}

/// A key with `_` for each character that the name of an annotation cannot have.
fn valid_name(key: &str) -> Cow<'_, str> {
    let valid = |c: char| c == '_' || c.is_ascii_alphanumeric();
    let start = key.starts_with(|c: char| !c.is_ascii_digit());
    if start && key.chars().all(valid) {
        return Cow::Borrowed(key);
    }
    let start = if start { "" } else { "_" };
    let rest = key.chars().map(|c| if valid(c) { c } else { '_' });
    start.chars().chain(rest).collect()
}

/// Whether an extra field of that name can be a label: Alertmanager takes the name, and
/// alerts have no label of that name already.
pub(super) fn can_be_label(name: &str) -> bool {
    let own = [SEQUENCE_NUMBER, MATCH_KEY, "alertname"];
    let is_own = LABELS.contains(&name) || TEXT_COLUMNS.contains(&name) || own.contains(&name);
    !is_own && !name.is_empty() && !name.starts_with("__") && valid_name(name) == name
}

/// A text unless it is empty.
pub(super) fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn rfc3339<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(&humantime::format_rfc3339_millis(*time)),
        None => serializer.serialize_none(),
    }
}
