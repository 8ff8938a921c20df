//! Labels that the operator gives a storage, as its site: on each of its series and alerts.

use std::collections::BTreeMap;

use delfin_plugin_api::TEXT_COLUMNS;
use serde::{Deserialize, Serialize};

use super::info_labels::{SERIES_LABELS, is_info_label};

/// How many labels a storage can have. Each is a part of every series.
pub const MAX_STATIC_LABELS: usize = 16;
/// The longest name, in bytes.
pub const MAX_STATIC_LABEL_NAME: usize = 64;
/// The longest value, in characters.
pub const MAX_STATIC_LABEL_VALUE: usize = 256;

/// What a name looks like, as a regular expression.
pub const STATIC_LABEL_NAME_PATTERN: &str = "^([A-Za-z]|_(?!_))[A-Za-z0-9_]{0,63}$";

/// Further names that alerts have, or that receivers set.
const RESERVED: [&str; 10] = [
    "storage_name",
    "storage_sn",
    "occur_time",
    "summary",
    "alertname",
    "instance",
    "job",
    "le",
    "quantile",
    "state",
];

/// The label whose storages share a limit of concurrent calls.
pub const SITE: &str = "site";

/// Checked labels by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StaticLabels(BTreeMap<String, String>);

/// Why labels cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StaticLabelError {
    #[error("{count} labels are more than {MAX_STATIC_LABELS}")]
    TooMany { count: usize },
    #[error(
        "`{name}` is not the name of a label (write A-Z, a-z, 0-9 and `_`, no digit and no `__` first, at most \
         {MAX_STATIC_LABEL_NAME} characters)"
    )]
    Name { name: String },
    #[error("`{name}` is a label that series or alerts have already (choose another name)")]
    Reserved { name: String },
    #[error(
        "the value of `{name}` is empty, longer than {MAX_STATIC_LABEL_VALUE} characters, or has control characters"
    )]
    Value { name: String },
}

impl StaticLabels {
    /// Checks labels.
    ///
    /// # Errors
    ///
    /// A name or a value cannot be used, or there are too many.
    pub fn new(labels: BTreeMap<String, String>) -> Result<Self, StaticLabelError> {
        if labels.len() > MAX_STATIC_LABELS {
            return Err(StaticLabelError::TooMany {
                count: labels.len(),
            });
        }
        for (name, value) in &labels {
            if !is_name(name) {
                return Err(StaticLabelError::Name { name: name.clone() });
            }
            if is_reserved(name) {
                return Err(StaticLabelError::Reserved { name: name.clone() });
            }
            let is_value = (1..=MAX_STATIC_LABEL_VALUE).contains(&value.chars().count())
                && !value.chars().any(char::is_control);
            if !is_value {
                return Err(StaticLabelError::Value { name: name.clone() });
            }
        }
        Ok(Self(labels))
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn is_name(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=MAX_STATIC_LABEL_NAME).contains(&name.len())
        && name.bytes().all(is_word)
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.starts_with("__")
}

fn is_reserved(name: &str) -> bool {
    SERIES_LABELS.contains(&name)
        || RESERVED.contains(&name)
        || TEXT_COLUMNS.contains(&name)
        || is_info_label(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> Result<StaticLabels, StaticLabelError> {
        StaticLabels::new([(name.to_owned(), value.to_owned())].into())
    }

    #[test]
    fn names_and_values_are_checked() {
        let long = "x".repeat(MAX_STATIC_LABEL_VALUE + 1);
        for (name, value) in [("site", "Hong Kong"), ("_x9", "ü"), ("datacenter", "1")] {
            let labels = check(name, value).unwrap();
            assert_eq!(labels.get(name), Some(value));
        }
        for name in [
            "",
            "9a",
            "a-b",
            "__a",
            "ä",
            &"n".repeat(MAX_STATIC_LABEL_NAME + 1),
        ] {
            let name = name.to_owned();
            assert_eq!(check(&name, "x"), Err(StaticLabelError::Name { name }));
        }
        for value in ["", "a\nb", &long] {
            let name = "site".to_owned();
            assert_eq!(check("site", value), Err(StaticLabelError::Value { name }));
        }
        let many = (0..=MAX_STATIC_LABELS).map(|n| (format!("l{n}"), "x".to_owned()));
        let count = MAX_STATIC_LABELS + 1;
        let error = StaticLabels::new(many.collect());
        assert_eq!(error, Err(StaticLabelError::TooMany { count }));
    }

    #[test]
    fn no_label_of_the_model_can_be_replaced() {
        for name in [
            "storage_id",
            "unit",
            "storage_sn",
            "severity",
            "pool_name",
            "firmware",
            "job",
        ] {
            let name = name.to_owned();
            assert_eq!(check(&name, "x"), Err(StaticLabelError::Reserved { name }));
        }
    }
}
