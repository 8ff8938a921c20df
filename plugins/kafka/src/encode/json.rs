//! Rows as JSON.
//!
//! Labels and times repeat from row to row. What was written last at a place is
//! kept, and copied when the same comes again.

use std::{marker::PhantomData, ops::Range};

use delfin_plugin_api::{Alert, Labels, LeftOut, Series};

use super::{Limits, Payload, Row, Style};

/// Writes rows, one after the other.
pub(crate) struct Writer<'a, S> {
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

/// Writes rows, and hands over what fits into a message.
pub(super) fn encode<'a, S: Style, R: Row<'a>, E>(
    rows: &[R],
    limits: Limits,
    out: &mut Vec<u8>,
    mut take: impl FnMut(Payload<'_>) -> Result<(), E>,
) -> Result<LeftOut, E> {
    let array = S::ALWAYS_ARRAY || limits.rows > 1;
    let (open, close): (&[u8], &[u8]) = if array { (b"[", b"]") } else { (b"", b"") };
    let mut writer = Writer::<S>::new();
    let mut held = 0..0;
    let mut spare = Vec::new();
    for (index, &row) in rows.iter().enumerate() {
        let end = out.len();
        out.extend_from_slice(if held.is_empty() {
            open
        } else {
            S::COMMA.as_bytes()
        });
        let start = out.len();
        row.write(&mut writer, out);
        let full = out.len() + close.len() > limits.bytes || held.len() == limits.rows;
        if full && !held.is_empty() {
            spare.clear();
            spare.extend_from_slice(&out[start..]);
            out.truncate(end);
            hand_over(held, out, close, &mut take)?;
            out.extend_from_slice(open);
            out.extend_from_slice(&spare);
            held = index..index;
        }
        held.end = index + 1;
    }
    if !held.is_empty() {
        hand_over(held, out, close, &mut take)?;
    }
    Ok(writer.left_out)
}

fn hand_over<E>(
    rows: Range<usize>,
    out: &mut Vec<u8>,
    close: &[u8],
    take: &mut impl FnMut(Payload<'_>) -> Result<(), E>,
) -> Result<(), E> {
    out.extend_from_slice(close);
    let taken = take((rows, Ok(out)));
    out.clear();
    taken
}

impl<'a, S: Style> Writer<'a, S> {
    fn new() -> Self {
        Self {
            labels: Vec::new(),
            times: Vec::new(),
            left_out: LeftOut::default(),
            style: PhantomData,
        }
    }

    /// Writes a series.
    pub(super) fn series(&mut self, series: Series<'a>, out: &mut Vec<u8>) {
        let [open, labels, values, close] = S::SERIES.map(str::as_bytes);
        out.extend_from_slice(open);
        S::text(series.name(), out);
        out.extend_from_slice(labels);
        self.labels(series.labels(), out);
        out.extend_from_slice(values);
        self.points(series.points(), out);
        out.extend_from_slice(close);
    }

    /// Writes an alert.
    pub(super) fn alert(&mut self, alert: Alert<'a>, out: &mut Vec<u8>) {
        out.push(b'{');
        for (column, text) in alert.texts() {
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
            out.extend_from_slice(S::COMMA.as_bytes());
            member::<S>(key, text, out);
        }
        out.push(b'}');
    }

    fn labels(&mut self, labels: Labels<'a>, out: &mut Vec<u8>) {
        out.push(b'{');
        for (place, (key, value)) in labels.iter().enumerate() {
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
    }

    fn points(&mut self, points: impl Iterator<Item = (i64, f64)>, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut comma = S::COMMA.len();
        for (place, (ms, value)) in points.enumerate() {
            if !value.is_finite() {
                self.left_out.non_finite_points += 1;
                continue;
            }
            let time = self.time(place, ms);
            out.extend_from_slice(&time.text[comma..usize::from(time.len)]);
            S::number(value, out);
            comma = 0;
        }
        out.push(b'}');
    }

    fn time(&mut self, place: usize, ms: i64) -> &Time {
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

fn member<S: Style>(key: &str, value: &str, out: &mut Vec<u8>) {
    S::text(key, out);
    out.extend_from_slice(S::COLON.as_bytes());
    S::text(value, out);
}

fn has_column(alert: Alert<'_>, key: &str) -> bool {
    key == "occur_time" || alert.texts().any(|(column, _)| column == key)
}
