//! Rows as JSON values, for programs that build a larger document around them.

use serde_json::{Map, Value};

use super::unique_extras;
use crate::{Alert, Series};

/// A series as [`JsonWriter`](super::JsonWriter) writes it in the style
/// [`Compact`](super::Compact). Points that are NaN or infinite are skipped.
#[must_use]
pub fn series_object(series: Series<'_>) -> Map<String, Value> {
    let labels = series.labels().into_iter();
    let labels: Map<_, _> = labels
        .map(|(key, text)| (key.to_owned(), text.into()))
        .collect();
    let points = series.points().filter(|(_, value)| value.is_finite());
    let values: Map<_, _> = points
        .map(|(ms, value)| (ms.to_string(), value.into()))
        .collect();
    Map::from_iter([
        ("name".to_owned(), series.name().into()),
        ("labels".to_owned(), labels.into()),
        ("values".to_owned(), values.into()),
    ])
}

/// An alert as [`JsonWriter`](super::JsonWriter) writes it in the style
/// [`Compact`](super::Compact). Extras with the name of a column that the alert has
/// are skipped.
#[must_use]
pub fn alert_object(alert: Alert<'_>) -> Map<String, Value> {
    let mut object = Map::new();
    for (column, text) in alert.texts() {
        object.insert(column.to_owned(), text.into());
    }
    for (key, text) in unique_extras(alert) {
        object.insert(key.to_owned(), text.into());
    }
    object.insert("occur_time".to_owned(), alert.occur_time().into());
    object
}
