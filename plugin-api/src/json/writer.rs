//! Writes series and alerts.
//!
//! Labels and times repeat from row to row. What was written last at a place is
//! kept, and copied when the same comes again.

use std::{convert::Infallible, marker::PhantomData};

use super::Style;
use crate::{Alert, Labels, LeftOut, Series};

/// Of how many places the times are kept.
const KEPT_TIMES: usize = 1024;

/// Writes rows, one after the other. What is between them is the caller's.
pub struct Writer<'a, S> {
    labels: Vec<Label<'a>>,
    times: Vec<Time>,
    left_out: LeftOut,
    style: PhantomData<S>,
}

/// A label as it was written last at its place, with the comma before it.
struct Label<'a> {
    key: &'a str,
    value: &'a str,
    text: Vec<u8>,
}

/// A time as it was written last at its place, with the comma before it and the
/// colon after it.
struct Time {
    ms: i64,
    text: [u8; 32],
    len: u8,
}

impl<S: Style> Default for Writer<'_, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, S: Style> Writer<'a, S> {
    /// A writer that has written nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            labels: Vec::new(),
            times: Vec::new(),
            left_out: LeftOut::default(),
            style: PhantomData,
        }
    }

    /// What it could not write so far.
    #[must_use]
    pub fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// Writes a series.
    pub fn series(&mut self, series: Series<'a>, out: &mut Vec<u8>) {
        let Ok(()) = self.series_through(series, out, &mut keep);
    }

    /// Writes a series, and has `drain` empty `out` now and then.
    ///
    /// # Errors
    ///
    /// That of `drain`.
    pub fn series_through<E>(
        &mut self,
        series: Series<'a>,
        out: &mut Vec<u8>,
        drain: &mut impl FnMut(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let [open, labels, values, close] = S::SERIES.map(str::as_bytes);
        out.extend_from_slice(open);
        S::text(series.name(), out);
        out.extend_from_slice(labels);
        self.labels(series.labels(), out, drain)?;
        out.extend_from_slice(values);
        self.points(series.points(), out, drain)?;
        out.extend_from_slice(close);
        Ok(())
    }

    /// Writes an alert.
    pub fn alert(&mut self, alert: Alert<'a>, out: &mut Vec<u8>) {
        let Ok(()) = self.alert_through(alert, out, &mut keep);
    }

    /// Writes an alert, and has `drain` empty `out` now and then.
    ///
    /// # Errors
    ///
    /// That of `drain`.
    pub fn alert_through<E>(
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
        for (key, text) in alert.extra() {
            if has_column(alert, key) {
                self.left_out.clashing_extras += 1;
                continue;
            }
            drain(out)?;
            out.extend_from_slice(S::COMMA.as_bytes());
            member::<S>(key, text, out);
        }
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
        for (place, (key, value)) in labels.iter().enumerate() {
            drain(out)?;
            if place == self.labels.len() {
                self.labels.push(Label::new::<S>(key, value));
            }
            let label = &mut self.labels[place];
            // Both are texts of a dictionary: the same text is at the same address.
            if !(std::ptr::eq(label.key, key) && std::ptr::eq(label.value, value)) {
                label.set::<S>(key, value);
            }
            let comma = if place == 0 { S::COMMA.len() } else { 0 };
            out.extend_from_slice(&label.text[comma..]);
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
        for (place, (ms, value)) in points.enumerate() {
            if !value.is_finite() {
                self.left_out.non_finite_points += 1;
                continue;
            }
            drain(out)?;
            let time = self.time(place, ms);
            out.extend_from_slice(&time.text[comma..usize::from(time.len)]);
            S::number(value, out);
            comma = 0;
        }
        out.push(b'}');
        Ok(())
    }

    fn time(&mut self, place: usize, ms: i64) -> &Time {
        // Of a series of a million points not every time is kept.
        let place = place % KEPT_TIMES;
        // A point that was left out leaves its place open.
        while self.times.len() <= place {
            self.times.push(Time::new::<S>(ms));
        }
        let time = &mut self.times[place];
        if time.ms != ms {
            *time = Time::new::<S>(ms);
        }
        time
    }
}

impl<'a> Label<'a> {
    fn new<S: Style>(key: &'a str, value: &'a str) -> Self {
        let mut label = Self {
            key,
            value,
            text: Vec::new(),
        };
        label.set::<S>(key, value);
        label
    }

    fn set<S: Style>(&mut self, key: &'a str, value: &'a str) {
        self.text.clear();
        self.text.extend_from_slice(S::COMMA.as_bytes());
        member::<S>(key, value, &mut self.text);
        (self.key, self.value) = (key, value);
    }
}

impl Time {
    fn new<S: Style>(ms: i64) -> Self {
        let mut time = Self {
            ms,
            text: [0; 32],
            len: 0,
        };
        let mut digits = itoa::Buffer::new();
        // At most 2 + 1 + 20 + 1 + 2 bytes.
        for part in [S::COMMA, "\"", digits.format(ms), "\"", S::COLON] {
            let start = usize::from(time.len);
            time.text[start..start + part.len()].copy_from_slice(part.as_bytes());
            time.len += part.len() as u8;
        }
        time
    }
}

fn keep(_: &mut Vec<u8>) -> Result<(), Infallible> {
    Ok(())
}

fn member<S: Style>(key: &str, value: &str, out: &mut Vec<u8>) {
    S::text(key, out);
    out.extend_from_slice(S::COLON.as_bytes());
    S::text(value, out);
}

fn has_column(alert: Alert<'_>, key: &str) -> bool {
    key == "occur_time" || alert.texts().any(|(column, _)| column == key)
}
