//! Writes rows one after the other.
//!
//! Labels and times repeat from row to row. The writer keeps the texts of some labels,
//! and of the time that it wrote last at each index, and copies them when the same label or
//! time comes again.

use std::{convert::Infallible, marker::PhantomData};

use super::{JsonRow, Style, unique_extras};
use crate::{Alert, Labels, Series, Skipped};

/// The number of points of a series whose times are kept. It bounds the memory for
/// a series of a million points.
const KEPT_TIMES: usize = 1024;

/// How many labels are kept. They take 8 KiB.
const KEPT_LABELS: usize = 64;

/// Writes rows, one after the other. The caller writes what is between them.
pub struct JsonWriter<'a, S> {
    /// Labels that were written, by [`index_of`] their codes.
    labels: Vec<LabelText>,
    /// Of the last series, whose codes `labels` has.
    last_labels: Option<Labels<'a>>,
    times: Vec<TimeText>,
    skipped: Skipped,
    style: PhantomData<S>,
}

/// A label, with the comma before it.
#[derive(Clone)]
struct LabelText {
    codes: (i32, i32),
    text: [u8; Self::MAX],
    /// 0: none, or one that is longer.
    len: u8,
}

/// The time that was written last at an index, with the comma before it and the
/// colon after it.
struct TimeText {
    ms: i64,
    text: [u8; 32],
    len: u8,
}

impl<S: Style> Default for JsonWriter<'_, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, S: Style> JsonWriter<'a, S> {
    /// A writer that has written nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            labels: Vec::new(),
            last_labels: None,
            times: Vec::new(),
            skipped: Skipped::default(),
            style: PhantomData,
        }
    }

    /// What the writer has skipped so far.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// Appends a series or an alert to `out`.
    pub fn write(&mut self, row: impl JsonRow<'a>, out: &mut Vec<u8>) {
        let mut keep = |_: &mut Vec<u8>| Ok::<_, Infallible>(());
        let Ok(()) = row.write_draining(self, out, &mut keep);
    }

    /// Appends a series or an alert to `out`, and calls `drain` at least once for
    /// each label, point and column. `drain` may empty `out`, so that memory stays
    /// bounded however long a row is.
    ///
    /// # Errors
    ///
    /// The error of `drain`. The row is then written in part.
    pub fn write_draining<E>(
        &mut self,
        row: impl JsonRow<'a>,
        out: &mut Vec<u8>,
        drain: &mut impl FnMut(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        row.write_draining(self, out, drain)
    }

    pub(super) fn write_series<E>(
        &mut self,
        series: Series<'a>,
        out: &mut Vec<u8>,
        drain: &mut impl FnMut(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let [open, labels, values, close] = S::SERIES;
        out.extend_from_slice(open.as_bytes());
        S::text(series.name(), out);
        out.extend_from_slice(labels.as_bytes());
        self.labels(series.labels(), out, drain)?;
        out.extend_from_slice(values.as_bytes());
        self.points(series.points(), out, drain)?;
        out.extend_from_slice(close.as_bytes());
        Ok(())
    }

    pub(super) fn write_alert<E>(
        &mut self,
        alert: Alert<'a>,
        out: &mut Vec<u8>,
        drain: &mut impl FnMut(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        out.push(b'{');
        for (column, text) in alert.texts() {
            drain(out)?;
            member::<S>(column, text, out);
            out.extend_from_slice(S::COMMA.as_bytes());
        }
        S::text("occur_time", out);
        out.extend_from_slice(S::COLON.as_bytes());
        out.extend_from_slice(itoa::Buffer::new().format(alert.occur_time()).as_bytes());
        let mut clashing = alert.extra().len();
        for (key, text) in unique_extras(alert) {
            drain(out)?;
            out.extend_from_slice(S::COMMA.as_bytes());
            member::<S>(key, text, out);
            clashing -= 1;
        }
        self.skipped.clashing_extras += clashing as u64;
        out.push(b'}');
        Ok(())
    }

    fn labels<E>(
        &mut self,
        labels: Labels<'a>,
        out: &mut Vec<u8>,
        drain: &mut impl FnMut(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        out.push(b'{');
        let last = self.last_labels.replace(labels);
        if !last.is_some_and(|last| last.has_codes_of(&labels)) {
            self.labels.clear();
            self.labels.resize(KEPT_LABELS, LabelText::NONE);
        }
        for (index, codes) in labels.codes().enumerate() {
            drain(out)?;
            let label = &mut self.labels[index_of(codes)];
            if label.codes == codes && label.len > 0 {
                let comma = if index == 0 { S::COMMA.len() } else { 0 };
                out.extend_from_slice(&label.text[comma..usize::from(label.len)]);
                continue;
            }
            if index > 0 {
                out.extend_from_slice(S::COMMA.as_bytes());
            }
            let start = out.len();
            let (key, value) = labels.text(codes);
            member::<S>(key, value, out);
            label.set::<S>(codes, &out[start..]);
        }
        out.push(b'}');
        Ok(())
    }

    fn points<E>(
        &mut self,
        points: impl Iterator<Item = (i64, f64)>,
        out: &mut Vec<u8>,
        drain: &mut impl FnMut(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        out.push(b'{');
        let mut comma = S::COMMA.len();
        for (index, (ms, value)) in points.enumerate() {
            if !value.is_finite() {
                self.skipped.non_finite_points += 1;
                continue;
            }
            drain(out)?;
            let time = self.time(index, ms);
            out.extend_from_slice(&time.text[comma..usize::from(time.len)]);
            S::number(value, out);
            comma = 0;
        }
        out.push(b'}');
        Ok(())
    }

    /// The text of a time. Series of one collection mostly have the same times, so
    /// the point at the same index of the series before had mostly the same one.
    fn time(&mut self, index: usize, ms: i64) -> &TimeText {
        let index = index % KEPT_TIMES;
        // A loop, because points before this one may have been skipped.
        while self.times.len() <= index {
            self.times.push(TimeText::new::<S>(ms));
        }
        let time = &mut self.times[index];
        if time.ms != ms {
            *time = TimeText::new::<S>(ms);
        }
        time
    }
}

impl LabelText {
    const MAX: usize = 119;

    const NONE: Self = Self {
        codes: (0, 0),
        text: [0; Self::MAX],
        len: 0,
    };

    /// Keeps a label, unless its text is too long.
    fn set<S: Style>(&mut self, codes: (i32, i32), text: &[u8]) {
        let (comma, end) = (S::COMMA.len(), S::COMMA.len() + text.len());
        self.codes = codes;
        self.len = 0;
        if let Some(kept) = self.text.get_mut(..end) {
            kept[..comma].copy_from_slice(S::COMMA.as_bytes());
            kept[comma..].copy_from_slice(text);
            self.len = end as u8;
        }
    }
}

/// Where a label is kept. The values of a label have consecutive codes, and few labels have the same value.
fn index_of((key, value): (i32, i32)) -> usize {
    (key.wrapping_mul(5).wrapping_add(value) as usize) % KEPT_LABELS
}

impl TimeText {
    fn new<S: Style>(ms: i64) -> Self {
        let mut time = Self {
            ms,
            text: [0; 32],
            len: 0,
        };
        let mut digits = itoa::Buffer::new();
        // A style's comma and colon have at most 2 bytes, a number at most 20 digits:
        // 2 + 1 + 20 + 1 + 2 bytes fit.
        for part in [S::COMMA, "\"", digits.format(ms), "\"", S::COLON] {
            let start = usize::from(time.len);
            time.text[start..start + part.len()].copy_from_slice(part.as_bytes());
            time.len += part.len() as u8;
        }
        time
    }
}

fn member<S: Style>(key: &str, value: &str, out: &mut Vec<u8>) {
    S::text(key, out);
    out.extend_from_slice(S::COLON.as_bytes());
    S::text(value, out);
}
