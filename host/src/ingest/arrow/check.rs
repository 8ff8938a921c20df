//! Checks rows against the rules for items.

use delfin_plugin_api::{Alert, AlertBatch, Labels, PerformanceBatch, Series};

use super::rows::InvalidRows;
use crate::ingest::{
    BodyLimits, ItemError,
    rules::{MAX_LABELS, NAMELESS_ALERT, TimestampCheck, VALID_TIMES, excerpt, out_of_range},
};

pub(super) fn series(batch: &PerformanceBatch, limits: &BodyLimits, invalid: &mut InvalidRows<'_>) {
    let mut times = TimestampCheck::default();
    for (row, series) in batch.series().enumerate() {
        if let Err(error) = check_series(series, &mut times, limits) {
            invalid.add(row, error);
        }
    }
}

pub(super) fn alerts(batch: &AlertBatch, limits: &BodyLimits, invalid: &mut InvalidRows<'_>) {
    for (row, alert) in batch.alerts().enumerate() {
        if let Err(error) = check_alert(alert, limits) {
            invalid.add(row, error);
        }
    }
}

fn check_series(
    series: Series<'_>,
    times: &mut TimestampCheck,
    limits: &BodyLimits,
) -> Result<(), ItemError> {
    if series.name().is_empty() {
        return Err(column_error("name", "is empty".to_owned()));
    }
    check_text("name", series.name(), limits)?;
    check_labels("labels", series.labels(), limits)?;
    times.clear();
    for &time in series.timestamps() {
        if !VALID_TIMES.contains(&time) {
            return Err(column_error("timestamps", out_of_range(time)));
        }
        times.push(time);
    }
    match times.repeated() {
        Some(time) => Err(column_error("timestamps", format!("`{time}` comes twice"))),
        None => Ok(()),
    }
}

fn check_alert(alert: Alert<'_>, limits: &BodyLimits) -> Result<(), ItemError> {
    for (column, text) in alert.texts() {
        check_text(column, text, limits)?;
    }
    check_labels("extra", alert.extra(), limits)?;
    let names = [alert.alert_id(), alert.alert_name()];
    if names.into_iter().flatten().all(str::is_empty) {
        return Err(ItemError::Invalid {
            field: None,
            reason: NAMELESS_ALERT.to_owned(),
        });
    }
    if !VALID_TIMES.contains(&alert.occur_time()) {
        return Err(column_error("occur_time", out_of_range(alert.occur_time())));
    }
    Ok(())
}

fn check_text(field: &'static str, text: &str, limits: &BodyLimits) -> Result<(), ItemError> {
    let (bytes, limit) = (text.len(), limits.max_string_bytes);
    if bytes as u64 <= limit {
        return Ok(());
    }
    Err(ItemError::TextTooLong {
        field: field.to_owned(),
        bytes,
        limit,
    })
}

fn check_labels(
    field: &'static str,
    labels: Labels<'_>,
    limits: &BodyLimits,
) -> Result<(), ItemError> {
    if labels.len() > MAX_LABELS {
        return Err(column_error(
            field,
            format!("has more than {MAX_LABELS} labels"),
        ));
    }
    for (nth, (key, value)) in labels.iter().enumerate() {
        if key.is_empty() {
            return Err(column_error(field, "a label has no name".to_owned()));
        }
        if labels.iter().take(nth).any(|(earlier, _)| earlier == key) {
            let reason = format!("label `{}` comes twice", excerpt(key));
            return Err(column_error(field, reason));
        }
        check_text(field, key, limits)?;
        check_text(field, value, limits)?;
    }
    Ok(())
}

fn column_error(field: &'static str, reason: String) -> ItemError {
    ItemError::Invalid {
        field: Some(field),
        reason,
    }
}
