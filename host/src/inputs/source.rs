//! A series as a protocol has it.

use std::borrow::Cow;

use crate::{ingest::MAX_LABELS, notification::MappedInput};

/// Names of values that are no labels, but that mapping files can use.
pub(super) const NAME: &str = "__name__";
pub(super) const UNIT: &str = "__unit__";
pub(super) const TYPE: &str = "__type__";
/// Of the line protocol.
pub(super) const MEASUREMENT: &str = "__measurement__";
pub(super) const FIELD: &str = "__field__";
pub(super) const BUCKET: &str = "__bucket__";

const META: [&str; 6] = [NAME, UNIT, TYPE, MEASUREMENT, FIELD, BUCKET];

/// So many values are kept. A series with more has more labels than a series may have.
const MAX_VALUES: usize = 2 * MAX_LABELS;

/// Labels of a series, and what else is known of it. Reused from series to series.
#[derive(Debug, Default)]
pub struct SourceSeries<'a> {
    values: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> SourceSeries<'a> {
    /// Starts the next series.
    pub fn clear(&mut self) {
        self.values.clear();
    }

    /// Removes what was added after `count` values.
    pub fn truncate(&mut self, count: usize) {
        self.values.truncate(count);
    }

    /// Adds a label of a protocol that has name, unit and type apart. One with their names is left out.
    pub fn push_label(&mut self, name: &'a str, text: impl Into<Cow<'a, str>>) {
        if !META.contains(&name) {
            self.push(name, text);
        }
    }

    /// Adds a label, or a value with one of the names in `META`. An empty text is as none, as in Prometheus. Of two with
    /// one name, the first counts for mappings.
    pub fn push(&mut self, name: impl Into<Cow<'a, str>>, text: impl Into<Cow<'a, str>>) {
        let text = text.into();
        if !text.is_empty() && self.values.len() < MAX_VALUES {
            self.values.push((name.into(), text));
        }
    }

    /// The number of values.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len()
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.values.iter();
        values.find_map(|(key, text)| (key == name).then_some(&**text))
    }

    /// Whether the client gave two names.
    pub(super) fn has_two_names(&self) -> bool {
        let names = self.values.iter().filter(|(key, _)| key == NAME);
        names.count() > 1
    }

    /// The name of a value that is longer than `limit`, and its length.
    pub(super) fn too_long(&self, limit: u64) -> Option<(&str, usize)> {
        let mut values = self.values.iter();
        values.find_map(|(key, text)| {
            let bytes = key.len().max(text.len());
            (bytes as u64 > limit).then_some((&**key, bytes))
        })
    }

    /// All values, as texts of their own.
    pub(super) fn to_owned(&self) -> Vec<(String, String)> {
        let values = self.values.iter();
        values
            .map(|(key, text)| (key.to_string(), text.to_string()))
            .collect()
    }

    /// The labels.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let values = self.values.iter().map(|(key, text)| (&**key, &**text));
        values.filter(|(key, _)| !META.contains(key))
    }
}

impl MappedInput for SourceSeries<'_> {
    type Field = String;

    fn text(&self, name: &String) -> Option<String> {
        self.get(name).map(str::to_owned)
    }
}
