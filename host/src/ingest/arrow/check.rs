//! The rules that JSON enforces while it reads, for rows that are already there.

use delfin_plugin_api::{Alert, AlertBatch, Labels, PerformanceBatch, Series};

use super::rows::Faults;
use crate::ingest::{
    ItemError, Limits,
    rules::{MAX_LABELS, NAMELESS_ALERT, TIMES, Times, excerpt, out_of_range},
};

/// Finds the series that break a rule.
pub(super) fn series(batch: &PerformanceBatch, limits: &Limits, faults: &mut Faults<'_>) {
    let mut times = Times::default();
    for (row, series) in batch.series().enumerate() {
        if let Err(error) = check_series(series, &mut times, limits) {
            faults.add(row, error);
        }
    }
}

/// Finds the alerts that break a rule.
pub(super) fn alerts(batch: &AlertBatch, limits: &Limits, faults: &mut Faults<'_>) {
    for (row, alert) in batch.alerts().enumerate() {
        if let Err(error) = check_alert(alert, limits) {
            faults.add(row, error);
        }
    }
}

fn check_series(series: Series<'_>, times: &mut Times, limits: &Limits) -> Result<(), ItemError> {
    if series.name().is_empty() {
        return Err(invalid("name", "is empty".to_owned()));
    }
    check_text("name", series.name(), limits)?;
    check_labels("labels", series.labels(), limits)?;
    times.clear();
    for &time in series.timestamps() {
        if !TIMES.contains(&time) {
            return Err(invalid("timestamps", out_of_range(time)));
        }
        times.push(time);
    }
    match times.repeated() {
        Some(time) => Err(invalid("timestamps", format!("`{time}` comes twice"))),
        None => Ok(()),
    }
}

fn check_alert(alert: Alert<'_>, limits: &Limits) -> Result<(), ItemError> {
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
    if !TIMES.contains(&alert.occur_time()) {
        return Err(invalid("occur_time", out_of_range(alert.occur_time())));
    }
    Ok(())
}

fn check_text(field: &'static str, text: &str, limits: &Limits) -> Result<(), ItemError> {
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

fn check_labels(field: &'static str, labels: Labels<'_>, limits: &Limits) -> Result<(), ItemError> {
    if labels.len() > MAX_LABELS {
        return Err(invalid(field, format!("more than {MAX_LABELS} labels")));
    }
    for (nth, (key, value)) in labels.iter().enumerate() {
        if key.is_empty() {
            return Err(invalid(field, "a label has no name".to_owned()));
        }
        if labels.iter().take(nth).any(|(earlier, _)| earlier == key) {
            let reason = format!("label `{}` comes twice", excerpt(key));
            return Err(invalid(field, reason));
        }
        check_text(field, key, limits)?;
        check_text(field, value, limits)?;
    }
    Ok(())
}

fn invalid(field: &'static str, reason: String) -> ItemError {
    ItemError::Invalid {
        field: Some(field),
        reason,
    }
}
