//! The family and the labels of a series on the page.
//!
//! Promises: every name is valid and every value is escaped; no label occurs twice;
//! no label is empty, because Prometheus treats an empty label as absent. A series
//! has the same text in any order of its labels. Series that differ and have the same
//! text have different identities.

use std::hash::{DefaultHasher, Hash, Hasher};

use delfin_plugin_api::{Labels, Series};

/// Delfin's labels in their order on the page: the start of their text, and their
/// default. [`delfin_label`] has their keys in a batch.
const DELFIN_LABELS: [(&str, &str); 8] = [
    ("storage_id=\"", ""),
    ("storage_name=\"", ""),
    ("storage_sn=\"", ""),
    ("resource_type=\"", ""),
    ("resource_id=\"", ""),
    ("type=\"", "RAW"),
    ("unit=\"", ""),
    ("value_type=\"", "gauge"),
];
const RESOURCE_TYPE: usize = 3;

/// The index of Delfin's label with that key.
fn delfin_label(key: &str) -> Option<usize> {
    Some(match key {
        "storage_id" => 0,
        "name" => 1,
        "serial_number" => 2,
        "resource_type" => RESOURCE_TYPE,
        "resource_id" => 4,
        "type" => 5,
        "unit" => 6,
        "value_type" => 7,
        _ => return None,
    })
}

/// The text of one series at a time; its buffers serve the next series too.
#[derive(Debug, Default)]
pub(crate) struct SeriesText {
    family: String,
    labels: String,
    /// The end of each label in `labels`.
    ends: Vec<u32>,
    /// Labels other than Delfin's: the start of their text, and their value.
    others: Vec<(String, String)>,
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
        self.others.clear();
        let mut values = DELFIN_LABELS.map(|(_, default)| default);
        let mut changed = self.split_labels(series.labels(), &mut values);
        for ((start, _), value) in DELFIN_LABELS.into_iter().zip(values) {
            changed |= push_label(&mut self.labels, &mut self.ends, start, value);
        }
        changed |= self.push_others();
        self.family.clear();
        let resource = values[RESOURCE_TYPE];
        if !resource.is_empty() {
            changed |= push_name(&mut self.family, resource, true);
            self.family.push('_');
        }
        let start = self.family.is_empty();
        changed |= push_name(&mut self.family, series.name(), start);
        self.identity = if changed {
            SeriesIdentity::Changed(hash(series))
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

    /// Puts Delfin's labels into `values`, and the others into `others`. Returns whether
    /// the name of a label changed.
    fn split_labels<'a>(
        &mut self,
        labels: Labels<'a>,
        values: &mut [&'a str; DELFIN_LABELS.len()],
    ) -> bool {
        let mut changed = false;
        for (key, value) in labels {
            match delfin_label(key) {
                Some(_) | None if value.is_empty() => {}
                Some(index) => values[index] = value,
                None => {
                    let mut name = String::new();
                    // Prometheus does the same to labels that clash with its own.
                    if DELFIN_LABELS
                        .iter()
                        .any(|(start, _)| start.trim_end_matches("=\"") == key)
                    {
                        name.push_str("exported_");
                        changed = true;
                    }
                    let start = name.is_empty();
                    changed |= push_label_name(&mut name, key, start);
                    name.push_str("=\"");
                    self.others.push((name, value.to_owned()));
                }
            }
        }
        changed
    }

    /// Returns whether a value changed.
    fn push_others(&mut self) -> bool {
        let mut changed = false;
        if self.others.is_empty() {
            return changed;
        }
        self.others.sort_unstable();
        let mut others = self.others.chunk_by(|one, other| one.0 == other.0);
        while let Some([(name, first), more @ ..]) = others.next() {
            if more.is_empty() {
                changed |= push_label(&mut self.labels, &mut self.ends, name, first);
                continue;
            }
            changed = true;
            // Different keys became the same name: keep all values.
            let mut joined = first.clone();
            for (_, value) in more {
                joined.push(';');
                joined.push_str(value);
            }
            push_label(&mut self.labels, &mut self.ends, name, &joined);
        }
        changed
    }
}

/// A hash of the name and the labels, in any order.
fn hash(series: &Series<'_>) -> u64 {
    let hash = |value: (&str, &str)| {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    };
    let labels = series.labels().into_iter();
    let labels = labels.filter(|(_, value)| !value.is_empty()).map(hash);
    labels.fold(hash((series.name(), "")), u64::wrapping_add)
}

/// Appends a label unless it is empty. `start` is its name, `=` and a quote. Returns
/// whether the value changed.
fn push_label(labels: &mut String, ends: &mut Vec<u32>, start: &str, value: &str) -> bool {
    if value.is_empty() {
        return false;
    }
    labels.push_str(start);
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

/// Appends a label name. Names with two leading underscores belong to Prometheus:
/// one of the underscores is kept. Returns whether the name changed.
fn push_label_name(to: &mut String, key: &str, start: bool) -> bool {
    let own = start && key.starts_with("__");
    let key = if own {
        key.trim_start_matches('_')
    } else {
        key
    };
    if own {
        to.push('_');
    }
    let changed = push_name(to, key, start && !own);
    if to.is_empty() {
        to.push('_');
    }
    own || changed
}

/// Appends a name with `_` for each character that a name cannot have. Returns whether
/// the name changed.
fn push_name(to: &mut String, name: &str, start: bool) -> bool {
    let mut changed = false;
    if start && name.starts_with(|c: char| c.is_ascii_digit()) {
        to.push('_');
        changed = true;
    }
    if name
        .bytes()
        .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
    {
        to.push_str(name);
    } else {
        changed = true;
        let valid = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        to.extend(name.chars().map(valid));
    }
    if to.is_empty() {
        to.push('_');
        changed = true;
    }
    changed
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
    fn the_labels_of_delfin_have_its_names_and_order() {
        check(
            "readIops",
            &[
                ("unit", "IOPS"),
                ("storage_id", "s"),
                ("resource_type", "volume"),
                ("resource_id", "volume_0"),
                ("name", "fake_driver"),
                ("serial_number", "sn"),
                ("type", "AGGREGATED"),
                ("value_type", "gauge"),
            ],
            "volume_readIops{storage_id=\"s\",storage_name=\"fake_driver\",storage_sn=\"sn\",\
         resource_type=\"volume\",resource_id=\"volume_0\",type=\"AGGREGATED\",unit=\"IOPS\",\
         value_type=\"gauge\"}",
        );
    }

    #[test]
    fn a_missing_label_has_the_default_of_delfin_or_is_left_out() {
        let defaults = "type=\"RAW\",value_type=\"gauge\"";
        check("iops", &[], &format!("iops{{{defaults}}}"));
        check(
            "iops",
            &[("unit", ""), ("rack", "")],
            &format!("iops{{{defaults}}}"),
        );
    }

    #[test]
    fn other_labels_are_kept_in_order_and_each_name_occurs_once() {
        let defaults = "type=\"RAW\",value_type=\"gauge\"";
        check(
            "iops",
            &[
                ("zone", "1"),
                ("a-b", "x"),
                ("a.b", "y"),
                ("storage_name", "clash"),
                ("__name__", "evil"),
                ("7th", "digit"),
                ("größe", "utf"),
            ],
            &format!(
                "iops{{{defaults},_7th=\"digit\",_name__=\"evil\",a_b=\"x;y\",\
             exported_storage_name=\"clash\",gr__e=\"utf\",zone=\"1\"}}"
            ),
        );
    }

    #[test]
    fn values_are_escaped_and_names_are_made_valid() {
        let defaults = "type=\"RAW\",value_type=\"gauge\"";
        check(
            "read iops/s",
            &[("resource_type", "9 disks"), ("x", "a\"b\\c\nd\0e\tf 数")],
            &format!(
                "_9_disks_read_iops_s{{resource_type=\"9 disks\",{defaults},\
             x=\"a\\\"b\\\\c\\nd\u{fffd}e\tf 数\"}}"
            ),
        );
        check("", &[], &format!("_{{{defaults}}}"));
        check("", &[("", "v")], &format!("_{{{defaults},_=\"v\"}}"));
    }
}
