//! The rules that JSON enforces while it reads, for rows that are already there.

use delfin_plugin_api::{AlertBatch, Labels, PerformanceBatch};

use crate::ingest::{
    IngestError, Limits,
    rules::{MAX_LABELS, NAMELESS_ALERT, TIMES, Times, excerpt, out_of_range},
};

/// Checks each series of a part that begins at `first_row` of the body.
pub(super) fn series(
    batch: &PerformanceBatch,
    first_row: usize,
    limits: &Limits,
) -> Result<(), IngestError> {
    let mut times = Times::default();
    for (row, series) in batch.series().enumerate() {
        let row = Row {
            index: first_row + row,
            limits,
        };
        if series.name().is_empty() {
            return Err(row.invalid("name", "is empty".to_owned()));
        }
        row.check_text("name", series.name())?;
        row.check_labels("labels", series.labels())?;
        times.clear();
        for &time in series.timestamps() {
            if !TIMES.contains(&time) {
                return Err(row.invalid("timestamps", out_of_range(time)));
            }
            times.push(time);
        }
        if let Some(time) = times.repeated() {
            return Err(row.invalid("timestamps", format!("`{time}` comes twice")));
        }
    }
    Ok(())
}

/// Checks each alert of a part that begins at `first_row` of the body.
pub(super) fn alerts(
    batch: &AlertBatch,
    first_row: usize,
    limits: &Limits,
) -> Result<(), IngestError> {
    for (row, alert) in batch.alerts().enumerate() {
        let row = Row {
            index: first_row + row,
            limits,
        };
        for (column, text) in alert.texts() {
            row.check_text(column, text)?;
        }
        row.check_labels("extra", alert.extra())?;
        let names = [alert.alert_id(), alert.alert_name()];
        if names.into_iter().flatten().all(str::is_empty) {
            return Err(IngestError::Invalid {
                index: row.index,
                field: None,
                reason: NAMELESS_ALERT.to_owned(),
            });
        }
        if !TIMES.contains(&alert.occur_time()) {
            return Err(row.invalid("occur_time", out_of_range(alert.occur_time())));
        }
    }
    Ok(())
}

struct Row<'l> {
    index: usize,
    limits: &'l Limits,
}

impl Row<'_> {
    fn check_text(&self, field: &'static str, text: &str) -> Result<(), IngestError> {
        let (bytes, limit) = (text.len(), self.limits.max_string_bytes);
        if bytes as u64 <= limit {
            return Ok(());
        }
        Err(IngestError::TextTooLong {
            index: self.index,
            field: field.to_owned(),
            bytes,
            limit,
        })
    }

    fn check_labels(&self, field: &'static str, labels: Labels<'_>) -> Result<(), IngestError> {
        if labels.len() > MAX_LABELS {
            return Err(self.invalid(field, format!("more than {MAX_LABELS} labels")));
        }
        for (nth, (key, value)) in labels.iter().enumerate() {
            if key.is_empty() {
                return Err(self.invalid(field, "a label has no name".to_owned()));
            }
            if labels.iter().take(nth).any(|(earlier, _)| earlier == key) {
                let reason = format!("label `{}` comes twice", excerpt(key));
                return Err(self.invalid(field, reason));
            }
            self.check_text(field, key)?;
            self.check_text(field, value)?;
        }
        Ok(())
    }

    fn invalid(&self, field: &'static str, reason: String) -> IngestError {
        IngestError::Invalid {
            index: self.index,
            field: Some(field),
            reason,
        }
    }
}
