//! The family and the labels of a series on the page.
//!
//! Promises: every value is escaped. A series has the same text in any order of its labels.
//! Series that differ and have the same text have different identities.

use delfin_plugin_api::{
    Series,
    prometheus::{SeriesNames, series_hash},
};

/// The text of one series at a time; its buffers serve the next series too.
#[derive(Debug, Default)]
pub(crate) struct SeriesText {
    family: String,
    labels: String,
    /// The end of each label in `labels`.
    ends: Vec<u32>,
    names: SeriesNames,
    identity: SeriesIdentity,
}

/// Tells series with the same text apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SeriesIdentity {
    /// The text comes from the page, so the series is not known.
    #[default]
    Unknown,
    /// The text has every name as the series has it.
    SameAsText,
    /// A hash of the series, because the text has other names.
    Changed(u64),
}

impl SeriesText {
    /// Replaces the text by that of a series.
    pub(crate) fn set(&mut self, series: &Series<'_>) {
        self.labels.clear();
        self.ends.clear();
        let (labels, ends) = (&mut self.labels, &mut self.ends);
        let mut changed = false;
        let renamed = self.names.read(series, &mut self.family, |name, value| {
            changed |= push_label(labels, ends, name, value);
        });
        self.identity = if renamed || changed {
            SeriesIdentity::Changed(series_hash(series))
        } else {
            SeriesIdentity::SameAsText
        };
    }

    /// Replaces the text by one that is rendered already.
    pub(crate) fn set_parts<'a>(&mut self, family: &str, labels: impl Iterator<Item = &'a str>) {
        self.family.clear();
        self.family.push_str(family);
        self.identity = SeriesIdentity::Unknown;
        self.labels.clear();
        self.ends.clear();
        for label in labels {
            self.labels.push_str(label);
            self.ends.push(self.labels.len() as u32);
        }
    }

    pub(crate) fn family(&self) -> &str {
        &self.family
    }

    pub(crate) fn identity(&self) -> SeriesIdentity {
        self.identity
    }

    /// All labels, without separators.
    pub(crate) fn joined_labels(&self) -> &str {
        &self.labels
    }

    /// Each label, escaped: `name="value"`.
    pub(crate) fn labels(&self) -> impl ExactSizeIterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let label = &self.labels[start..end as usize];
            start = end as usize;
            label
        })
    }
}

/// Appends a label. Returns whether the value changed.
fn push_label(labels: &mut String, ends: &mut Vec<u32>, name: &str, value: &str) -> bool {
    labels.push_str(name);
    labels.push_str("=\"");
    let changed = push_escaped(labels, value);
    labels.push('"');
    ends.push(labels.len() as u32);
    changed
}

/// Appends a label's value, escaped as both formats require. A NUL ends a text for
/// parsers written in C, so it becomes the replacement character. Returns whether there
/// was one.
fn push_escaped(to: &mut String, value: &str) -> bool {
    let special = |byte: &u8| matches!(byte, b'\\' | b'"' | b'\n' | 0);
    // Values rarely need an escape. A fold over all bytes is vectorized, which makes
    // it faster than a search that stops at the first match.
    let any = value.bytes().fold(false, |any, byte| any | special(&byte));
    if !any {
        to.push_str(value);
        return false;
    }
    let mut rest = value;
    while let Some(at) = rest.as_bytes().iter().position(special) {
        to.push_str(&rest[..at]);
        to.push_str(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'"' => "\\\"",
            b'\n' => "\\n",
            _ => "\u{fffd}",
        });
        rest = &rest[at + 1..];
    }
    to.push_str(rest);
    value.contains('\0')
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::PerformanceBatchBuilder;

    use super::*;

    fn check(name: &str, labels: &[(&str, &str)], expected: &str) {
        let mut batch = PerformanceBatchBuilder::new();
        let labels = labels.iter().copied();
        batch.series(name, labels, [(0, 0.0)]).unwrap();
        let batch = batch.build();
        let mut text = SeriesText::default();
        for series in batch.series() {
            text.set(&series);
        }
        let labels: Vec<_> = text.labels().collect();
        let text = format!("{}{{{}}}", text.family(), labels.join(","));
        assert_eq!(text, expected);
    }

    #[test]
    fn values_are_escaped() {
        check(
            "iops",
            &[("x", "a\"b\\c\nd\0e\tf 数")],
            "iops{type=\"RAW\",value_type=\"gauge\",x=\"a\\\"b\\\\c\\nd\u{fffd}e\tf 数\"}",
        );
    }
}
