//! The names of series in Prometheus: on a page that it scrapes, and in remote write.
//!
//! Promises: every name is valid; no label occurs twice; no label is empty, because
//! Prometheus treats an empty label as absent. A series has the same name and labels in
//! any order of its labels.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::{Labels, Series};

/// Delfin's labels in their order: the name in Prometheus, and the default.
/// [`delfin_label`] has their keys in a batch.
const DELFIN_LABELS: [(&str, &str); 8] = [
    ("storage_id", ""),
    ("storage_name", ""),
    ("storage_sn", ""),
    ("resource_type", ""),
    ("resource_id", ""),
    ("type", "RAW"),
    ("unit", ""),
    ("value_type", "gauge"),
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

/// Names one series at a time; its buffer serves the next series too.
#[derive(Debug, Default)]
pub struct SeriesNames {
    /// Labels other than Delfin's.
    others: Vec<(String, String)>,
}

impl SeriesNames {
    /// Replaces `family` by the name of a series, and passes each of its labels on: first
    /// Delfin's, then the others, ordered by their names.
    ///
    /// Returns whether a name differs from the one that the series has. Then other series can
    /// have the same name and labels.
    pub fn read(
        &mut self,
        series: &Series<'_>,
        family: &mut String,
        mut label: impl FnMut(&str, &str),
    ) -> bool {
        self.others.clear();
        let mut values = DELFIN_LABELS.map(|(_, default)| default);
        let mut changed = self.split_labels(series.labels(), &mut values);
        for ((name, _), value) in DELFIN_LABELS.into_iter().zip(values) {
            if !value.is_empty() {
                label(name, value);
            }
        }
        changed |= self.pass_others(label);
        family.clear();
        let resource = values[RESOURCE_TYPE];
        if !resource.is_empty() {
            changed |= push_name(family, resource, true);
            family.push('_');
        }
        let start = family.is_empty();
        push_name(family, series.name(), start) || changed
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
                    if DELFIN_LABELS.iter().any(|(delfin, _)| *delfin == key) {
                        name.push_str("exported_");
                        changed = true;
                    }
                    let start = name.is_empty();
                    changed |= push_label_name(&mut name, key, start);
                    self.others.push((name, value.to_owned()));
                }
            }
        }
        changed
    }

    /// Returns whether values were joined.
    fn pass_others(&mut self, mut label: impl FnMut(&str, &str)) -> bool {
        let mut changed = false;
        self.others.sort_unstable();
        let mut others = self.others.chunk_by(|one, other| one.0 == other.0);
        while let Some([(name, first), more @ ..]) = others.next() {
            if more.is_empty() {
                label(name, first);
                continue;
            }
            changed = true;
            // Different keys became the same name: keep all values.
            let mut joined = first.clone();
            for (_, value) in more {
                joined.push(';');
                joined.push_str(value);
            }
            label(name, &joined);
        }
        changed
    }
}

/// A hash of the name and the labels of a series, in any order. Labels that are empty do not
/// count.
#[must_use]
pub fn series_hash(series: &Series<'_>) -> u64 {
    let hash = |value: (&str, &str)| {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    };
    let labels = series.labels().into_iter();
    let labels = labels.filter(|(_, value)| !value.is_empty()).map(hash);
    labels.fold(hash((series.name(), "")), u64::wrapping_add)
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
    use super::*;
    use crate::PerformanceBatchBuilder;

    fn check(name: &str, labels: &[(&str, &str)], expected: &str) {
        let mut batch = PerformanceBatchBuilder::new();
        let labels = labels.iter().copied();
        batch.series(name, labels, [(0, 0.0)]).unwrap();
        let batch = batch.build();
        let mut family = String::new();
        let mut labels = Vec::new();
        for series in batch.series() {
            SeriesNames::default().read(&series, &mut family, |name, value| {
                labels.push(format!("{name}={value:?}"));
            });
        }
        let text = format!("{family}{{{}}}", labels.join(","));
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
    fn names_are_made_valid_and_values_are_kept() {
        let defaults = "type=\"RAW\",value_type=\"gauge\"";
        check(
            "read iops/s",
            &[("resource_type", "9 disks"), ("x", "a\"b\\c\nd\0e\tf 数")],
            &format!(
                "_9_disks_read_iops_s{{resource_type=\"9 disks\",{defaults},\
             x=\"a\\\"b\\\\c\\nd\\0e\\tf 数\"}}"
            ),
        );
        check("", &[], &format!("_{{{defaults}}}"));
        check("", &[("", "v")], &format!("_{{{defaults},_=\"v\"}}"));
    }

    #[test]
    fn the_hash_of_a_series_does_not_depend_on_the_order_of_its_labels() {
        let hash = |labels: &[(&str, &str)]| {
            let mut batch = PerformanceBatchBuilder::new();
            batch.series("iops", labels.iter().copied(), []).unwrap();
            let batch = batch.build();
            batch
                .series()
                .map(|series| series_hash(&series))
                .collect::<Vec<_>>()
        };
        let one = hash(&[("a", "1"), ("b", "2"), ("c", "")]);
        assert_eq!(one, hash(&[("b", "2"), ("a", "1")]));
        assert_ne!(one, hash(&[("a", "2"), ("b", "1")]));
    }
}
