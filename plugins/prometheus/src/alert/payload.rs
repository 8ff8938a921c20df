//! What Alertmanager is told of an alert.
//!
//! To Alertmanager, alerts with the same labels are one alert. So labels are what
//! tells alerts apart for the host, and what else stays the same from the first
//! sighting of an alert to its recovery or is needed to route it; all else is an
//! annotation. Promises: names are valid and no value is empty; times are such
//! that Alertmanager takes them, however wrong a device's clock is.
//!
//! Knows nothing of connections.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use delfin_plugin_api::{
    Alert,
    serde::{Serialize, Serializer},
};

use super::known::filled;

/// In Delfin's order. There is no `alert_id` among them: devices draw a new one at
/// each sighting.
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
/// Tells alerts apart where no driver says what to match by.
const SEQUENCE_NUMBER: &str = "sequence_number";
/// Tells alerts apart alone, where it is there.
const MATCH_KEY: &str = "match_key";
const RECOVERY: &str = "Recovery";
const UNNAMED: &str = "unnamed";

/// What Alertmanager knows an alert by.
pub(super) type Labels = BTreeMap<&'static str, String>;

/// An alert, as `POST /api/v2/alerts` takes it.
#[derive(Debug, Serialize)]
#[serde(crate = "delfin_plugin_api::serde", rename_all = "camelCase")]
pub(super) struct Posted<'a> {
    #[serde(skip)]
    row: usize,
    #[serde(skip)]
    is_over: bool,
    labels: Labels,
    annotations: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc3339")]
    starts_at: Option<SystemTime>,
    #[serde(serialize_with = "rfc3339")]
    ends_at: Option<SystemTime>,
}

impl<'a> Posted<'a> {
    /// The alert of a row as of `now`. Unless it is a recovery, it fires until
    /// `resolve_after` has passed or it is sent again.
    pub(super) fn new(
        (row, alert): (usize, &Alert<'a>),
        now: SystemTime,
        resolve_after: Duration,
    ) -> Self {
        let mut labels = Labels::new();
        let mut annotations = BTreeMap::new();
        let telling = match filled(alert.match_key()) {
            Some(_) => MATCH_KEY,
            None => SEQUENCE_NUMBER,
        };
        for (column, text) in alert.texts().filter(|(_, text)| !text.is_empty()) {
            if LABELS.contains(&column) || column == telling {
                labels.insert(column, text.to_owned());
            } else {
                annotations.insert(Cow::Borrowed(column), Cow::Borrowed(text));
            }
        }
        let name = filled(alert.alert_name()).or(filled(alert.alert_id()));
        labels.insert("alertname", name.unwrap_or(UNNAMED).to_owned());
        if let Some(description) = annotations.get("description").cloned() {
            annotations.insert(Cow::Borrowed("summary"), description);
        }
        annotate(alert, &mut annotations);
        let occurred = time(alert.occur_time()).map(|occurred| occurred.min(now));
        let is_over = alert
            .category()
            .is_some_and(|category| category.eq_ignore_ascii_case(RECOVERY));
        let (starts_at, ends_at) = if is_over {
            // When it began is known to who was told of it then.
            (None, occurred.unwrap_or(now))
        } else {
            (occurred, now + resolve_after)
        };
        Self {
            row,
            is_over,
            labels,
            annotations,
            starts_at,
            ends_at: Some(ends_at),
        }
    }

    /// Whatever fires with these labels is over; it goes with the alert of a row.
    pub(super) fn end(row: usize, labels: Labels, now: SystemTime) -> Self {
        Self {
            row,
            is_over: true,
            labels,
            annotations: BTreeMap::new(),
            starts_at: None,
            ends_at: Some(now),
        }
    }

    /// Which row of the batch it is of.
    pub(super) fn row(&self) -> usize {
        self.row
    }

    /// Whether it says that the alert has ended.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// What it is known by.
    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }
}

/// What else the device said, and when.
fn annotate<'a>(alert: &Alert<'a>, annotations: &mut BTreeMap<Cow<'a, str>, Cow<'a, str>>) {
    if let Some(occurred) = time(alert.occur_time()) {
        let text = humantime::format_rfc3339_millis(occurred).to_string();
        annotations.insert(Cow::Borrowed("occur_time"), Cow::Owned(text));
    }
    for (key, text) in alert.extra().iter().filter(|(_, text)| !text.is_empty()) {
        let mut name = valid_name(key);
        while annotations.contains_key(&name) {
            name.to_mut().push('_');
        }
        annotations.insert(name, Cow::Borrowed(text));
    }
}

/// A time that was told, and that a year of four digits can tell.
fn time(millis: i64) -> Option<SystemTime> {
    const YEAR_9999_MS: i64 = 253_370_764_800_000;
    let told = (1..YEAR_9999_MS).contains(&millis);
    told.then(|| SystemTime::UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs()))
}

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

fn rfc3339<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(&humantime::format_rfc3339_millis(*time)),
        None => serializer.serialize_none(),
    }
}
