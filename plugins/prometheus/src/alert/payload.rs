//! What Alertmanager is told of an alert.
//!
//! To Alertmanager, alerts with the same labels are one alert. So labels are what
//! stays the same from the first sighting of an alert to its recovery; all else
//! is an annotation. Promises: names are valid and no value is empty; times are
//! such that Alertmanager takes them, however wrong a device's clock is.
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

/// In Delfin's order.
const LABELS: [&str; 10] = [
    "alert_id",
    "alert_name",
    "severity",
    "type",
    "resource_type",
    "location",
    "storage_id",
    "storage_name",
    "vendor",
    "model",
];
const SERIAL_NUMBER: &str = "serial_number";
const RECOVERY: &str = "Recovery";
const UNNAMED: &str = "unnamed";

/// An alert, as `POST /api/v2/alerts` takes it.
#[derive(Debug, Serialize)]
#[serde(crate = "delfin_plugin_api::serde", rename_all = "camelCase")]
pub(super) struct Posted<'a> {
    labels: BTreeMap<&'static str, &'a str>,
    annotations: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc3339")]
    starts_at: Option<SystemTime>,
    #[serde(serialize_with = "rfc3339")]
    ends_at: Option<SystemTime>,
}

impl<'a> Posted<'a> {
    /// An alert as of `now`. Unless it is a recovery, it fires until
    /// `resolve_after` has passed or it is sent again.
    pub(super) fn new(alert: &Alert<'a>, now: SystemTime, resolve_after: Duration) -> Self {
        let mut labels = BTreeMap::new();
        let mut annotations = BTreeMap::new();
        for (column, text) in alert.texts().filter(|(_, text)| !text.is_empty()) {
            if LABELS.contains(&column) || column == SERIAL_NUMBER {
                labels.insert(column, text);
            } else {
                annotations.insert(Cow::Borrowed(column), Cow::Borrowed(text));
            }
        }
        let name = alert.alert_name().into_iter().chain(alert.alert_id());
        let name = name.into_iter().find(|name| !name.is_empty());
        labels.insert("alertname", name.unwrap_or(UNNAMED));
        if let Some(description) = annotations.get("description").cloned() {
            annotations.insert(Cow::Borrowed("summary"), description);
        }
        annotate(alert, &mut annotations);
        let occurred = time(alert.occur_time()).map(|occurred| occurred.min(now));
        let recovered = alert
            .category()
            .is_some_and(|category| category.eq_ignore_ascii_case(RECOVERY));
        let (starts_at, ends_at) = if recovered {
            // When it began is known to who was told of it then.
            (None, occurred.unwrap_or(now))
        } else {
            (occurred, now + resolve_after)
        };
        Self {
            labels,
            annotations,
            starts_at,
            ends_at: Some(ends_at),
        }
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
