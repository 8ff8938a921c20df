//! Checks rows against the rules for items, and the size of all rows together.

use std::collections::HashSet;

use delfin_plugin_api::{Alert, AlertBatch, Labels, PerformanceBatch, Series};

use super::rows::InvalidRows;
use crate::ingest::{
    BodyLimits, IngestError, ItemError,
    guard::ParseGuard,
    rules::{MAX_LABELS, NAMELESS_ALERT, TimestampCheck, excerpt},
    times::{self, out_of_range},
};

/// Labels up to which comparing each name with the others is cheaper than hashing them.
const FEW_LABELS: usize = 16;

/// Rows between two looks at the clock.
const ROWS_PER_CHECK: usize = 64;

/// Bytes of a point: a time and a value.
const POINT_BYTES: u64 = 16;

/// Checks the rows of one stream.
pub(super) struct RowChecks {
    limits: BodyLimits,
    times: TimestampCheck,
    /// Bytes that further rows may have. Rows can share a text in a dictionary, so their
    /// size has no bound in the size of the stream; but exporters write each row by itself.
    bytes_left: u64,
}

impl RowChecks {
    pub(super) fn new(limits: &BodyLimits) -> Self {
        Self {
            limits: *limits,
            times: TimestampCheck::default(),
            bytes_left: limits.max_decompressed_bytes,
        }
    }

    /// # Errors
    ///
    /// The rows so far are too large, or the time is over.
    pub(super) fn series(
        &mut self,
        batch: &PerformanceBatch,
        invalid: &mut InvalidRows<'_>,
        guard: &mut ParseGuard,
    ) -> Result<(), IngestError> {
        for (row, series) in batch.series().enumerate() {
            check_time(row, guard)?;
            let points = series.timestamps().len() as u64 * POINT_BYTES;
            self.spend(points + text_bytes([("", series.name())]))?;
            self.spend(text_bytes(series.labels()))?;
            if let Err(error) = check_series(series, &mut self.times, &self.limits) {
                invalid.add(row, error);
            }
        }
        Ok(())
    }

    /// # Errors
    ///
    /// As for `series`.
    pub(super) fn alerts(
        &mut self,
        batch: &AlertBatch,
        invalid: &mut InvalidRows<'_>,
        guard: &mut ParseGuard,
    ) -> Result<(), IngestError> {
        for (row, alert) in batch.alerts().enumerate() {
            check_time(row, guard)?;
            self.spend(text_bytes(alert.texts().map(|(_, text)| ("", text))))?;
            self.spend(text_bytes(alert.extra()))?;
            if let Err(error) = check_alert(alert, &self.limits) {
                invalid.add(row, error);
            }
        }
        Ok(())
    }

    fn spend(&mut self, bytes: u64) -> Result<(), IngestError> {
        let left = self.bytes_left.checked_sub(bytes);
        let limit = self.limits.max_decompressed_bytes;
        self.bytes_left = left.ok_or(IngestError::TooManyRowBytes { limit })?;
        Ok(())
    }
}

fn check_time(row: usize, guard: &mut ParseGuard) -> Result<(), IngestError> {
    if row.is_multiple_of(ROWS_PER_CHECK) {
        return guard.check_time();
    }
    Ok(())
}

fn text_bytes<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> u64 {
    let bytes = texts
        .into_iter()
        .map(|(key, value)| key.len() + value.len());
    bytes.sum::<usize>() as u64
}

fn check_series(
    series: Series<'_>,
    times: &mut TimestampCheck,
    limits: &BodyLimits,
) -> Result<(), ItemError> {
    if series.name().is_empty() {
        return Err(column_error("name", "is empty".to_owned()));
    }
    limits.check_text("name", series.name())?;
    check_labels("labels", series.labels(), limits)?;
    for &time in series.timestamps() {
        if !times::VALID.contains(&time) {
            return Err(column_error("timestamps", out_of_range(time)));
        }
    }
    match times.repeated(series.timestamps()) {
        Some(time) => Err(column_error("timestamps", format!("`{time}` comes twice"))),
        None => Ok(()),
    }
}

fn check_alert(alert: Alert<'_>, limits: &BodyLimits) -> Result<(), ItemError> {
    for (column, text) in alert.texts() {
        limits.check_text(column, text)?;
    }
    check_labels("extra", alert.extra(), limits)?;
    let names = [alert.alert_id(), alert.alert_name()];
    if names.into_iter().flatten().all(str::is_empty) {
        return Err(ItemError::Invalid {
            field: None,
            reason: NAMELESS_ALERT.to_owned(),
        });
    }
    if !times::VALID.contains(&alert.occur_time()) {
        return Err(column_error("occur_time", out_of_range(alert.occur_time())));
    }
    Ok(())
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
    let mut names = HashSet::new();
    for (nth, (key, value)) in labels.iter().enumerate() {
        if key.is_empty() {
            return Err(column_error(field, "a label has no name".to_owned()));
        }
        let is_repeated = if labels.len() <= FEW_LABELS {
            labels.iter().take(nth).any(|(earlier, _)| earlier == key)
        } else {
            !names.insert(key)
        };
        if is_repeated {
            let reason = format!("label `{}` comes twice", excerpt(key));
            return Err(column_error(field, reason));
        }
        limits.check_text(field, key)?;
        limits.check_text(field, value)?;
    }
    Ok(())
}

fn column_error(field: &'static str, reason: String) -> ItemError {
    ItemError::Invalid {
        field: Some(field),
        reason,
    }
}
