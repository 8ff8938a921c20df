//! Series: `{"name", "labels", "values": {"<ms>": number}}`, or an array
//! `[name, labels, values]`, the form in which Delfin writes series to Kafka. A label that is
//! `null` is absent.

use std::{borrow::Cow, fmt};

use delfin_plugin_api::{PerformanceBatch, PerformanceBatchBuilder};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    ItemBuilder,
    object::{KeySeed, ObjectSeed},
    plain::PlainReader,
    scalar,
    tracker::ItemTracker,
};
use crate::ingest::{
    ParsedItems,
    rules::{MAX_LABELS, TimestampCheck, excerpt},
};

/// Points between two looks at the clock and the memory.
const POINTS_PER_CHECK: usize = 4096;

/// Times of a series that are compared with those of the next one.
const MAX_KNOWN_TIMES: usize = 64;

/// Builds a performance batch.
///
/// Neighbouring series mostly have the same labels and times in the same order. So the text of
/// each is compared with the one in the same place of the previous series, and is read only if it differs.
pub(super) struct SeriesItemBuilder<'de> {
    batch: PerformanceBatchBuilder,
    tracker: ItemTracker,
    times: TimestampCheck,
    labels: usize,
    /// Points so far.
    points: usize,
    /// The name of the current series; empty if it was not read.
    name: String,
    /// The text of each label that the last series in the batch has; empty if it must be read.
    known_labels: Vec<&'de str>,
    /// The texts of times without a note, and what they mean.
    known_times: Vec<(&'de str, i64)>,
}

impl<'de> SeriesItemBuilder<'de> {
    pub(super) fn new(tracker: ItemTracker) -> Self {
        Self {
            batch: PerformanceBatchBuilder::new(),
            tracker,
            times: TimestampCheck::default(),
            labels: 0,
            points: 0,
            name: String::new(),
            known_labels: Vec::new(),
            known_times: Vec::new(),
        }
    }

    pub(super) fn build(self) -> ParsedItems<PerformanceBatch> {
        self.tracker.into_items(self.batch.build())
    }

    fn name(&mut self, raw: &'de RawValue) -> Result<Cow<'de, str>, String> {
        self.tracker.enter(Some("name"));
        if !raw.get().starts_with('"') {
            return Err(format!("`{}` is not a text", excerpt(raw.get())));
        }
        let name = scalar::text(raw)?.unwrap_or_default();
        self.check_name(&name)?;
        self.name.push_str(&name);
        self.tracker.enter(None);
        Ok(name)
    }

    fn check_name(&mut self, name: &str) -> Result<(), String> {
        if name.is_empty() {
            return Err("is empty".to_owned());
        }
        self.tracker.check_text(name, "name")
    }

    /// Adds a label, unless its `value` is `null`.
    fn label(
        &mut self,
        key: &str,
        value: impl FnOnce() -> Result<Option<Cow<'de, str>>, String>,
    ) -> Result<(), String> {
        let refused = |reason: &str| format!("label `{}` {reason}", excerpt(key));
        if key.is_empty() {
            return Err("a label has no name".to_owned());
        }
        if self.batch.has_label(key) {
            return Err(refused("comes twice"));
        }
        if self.labels == MAX_LABELS {
            return Err(format!("has more than {MAX_LABELS} labels"));
        }
        let Some(value) = value().map_err(|reason| refused(&reason))? else {
            return Ok(());
        };
        self.tracker.check_text(key, "labels")?;
        self.tracker.check_text(&value, "labels")?;
        self.batch.label(key, &value);
        self.labels += 1;
        Ok(())
    }

    fn point(
        &mut self,
        key: &str,
        value: impl FnOnce() -> Result<f64, String>,
    ) -> Result<(), String> {
        let time = self.tracker.time(key);
        let time = time.map_err(|reason| format!("timestamp {reason}"))?;
        self.add_point(time, value()?)
    }

    fn add_point(&mut self, time: i64, value: f64) -> Result<(), String> {
        self.batch.point(time, value);
        self.points += 1;
        if self.points.is_multiple_of(POINTS_PER_CHECK) {
            let memory = self.memory_bytes();
            return self.tracker.check_within_item(memory);
        }
        Ok(())
    }

    fn end_points(&mut self) -> Result<(), String> {
        match self.times.repeated(self.batch.timestamps()) {
            Some(time) => Err(format!("timestamp `{time}` comes twice")),
            None => Ok(()),
        }
    }

    fn plain_object(&mut self, json: &mut PlainReader<'de>) -> Option<Cow<'de, str>> {
        let (mut name, mut labels, mut values) = (None, false, false);
        json.object(|json, key| match &*key {
            "name" if name.is_none() => {
                name = Some(self.plain_name(json)?);
                Some(())
            }
            "labels" if !labels => {
                labels = true;
                self.plain_labels(json)
            }
            "values" if !values => {
                values = true;
                self.plain_values(json)
            }
            _ => None,
        })?;
        name.filter(|_| labels && values)
    }

    fn plain_array(&mut self, json: &mut PlainReader<'de>) -> Option<Cow<'de, str>> {
        json.expect(b'[')?;
        let name = self.plain_name(json)?;
        json.expect(b',')?;
        self.plain_labels(json)?;
        json.expect(b',')?;
        self.plain_values(json)?;
        json.expect(b']')?;
        Some(name)
    }

    fn plain_name(&mut self, json: &mut PlainReader<'de>) -> Option<Cow<'de, str>> {
        let name = json.string()?;
        self.check_name(&name).ok()?;
        Some(name)
    }

    fn plain_labels(&mut self, json: &mut PlainReader<'de>) -> Option<()> {
        json.members(|json| {
            let index = self.labels;
            let known = self.known_labels.get(index);
            if known.is_some_and(|known| !known.is_empty() && json.take_known(known)) {
                self.labels += 1;
                return self.batch.repeat_label().then_some(());
            }
            let start = json.position();
            let key = json.string()?;
            json.expect(b':')?;
            let value = json.label_text()?;
            self.label(&key, || Ok(value)).ok()?;
            if self.labels > index {
                // Only a quote is certainly the end of a value.
                let text = json.since(start);
                let known = if text.ends_with('"') { text } else { "" };
                set(&mut self.known_labels, index, known);
            }
            Some(())
        })?;
        self.known_labels.truncate(self.labels);
        Some(())
    }

    fn plain_values(&mut self, json: &mut PlainReader<'de>) -> Option<()> {
        json.members(|json| {
            let index = self.batch.timestamps().len();
            let time = match self.known_times.get(index) {
                Some((text, time)) if json.take_known(text) => *time,
                _ => self.plain_time(json, index)?,
            };
            json.expect(b':')?;
            let value = json.number()?;
            self.add_point(time, value).ok()
        })?;
        self.end_points().ok()
    }

    fn plain_time(&mut self, json: &mut PlainReader<'de>, index: usize) -> Option<i64> {
        let start = json.position();
        let text = json.string()?;
        let time = self.tracker.time(&text).ok()?;
        if index < MAX_KNOWN_TIMES && index <= self.known_times.len() && !self.tracker.has_notes() {
            set(&mut self.known_times, index, (json.since(start), time));
        }
        Some(time)
    }
}

/// Sets an element, which can be the one after the last.
fn set<T>(elements: &mut Vec<T>, index: usize, element: T) {
    match elements.get_mut(index) {
        Some(present) => *present = element,
        None => elements.push(element),
    }
}

impl<'de> ItemBuilder<'de> for SeriesItemBuilder<'de> {
    fn begin_item(&mut self) {
        self.labels = 0;
        self.name.clear();
    }

    fn plain_item(&mut self, text: &'de str) -> Option<usize> {
        let mut json = PlainReader::new(text);
        let name = match json.peek()? {
            b'[' => self.plain_array(&mut json)?,
            _ => self.plain_object(&mut json)?,
        };
        self.batch.end_series(&name).ok()?;
        Some(json.position())
    }

    fn item<D: Deserializer<'de>>(&mut self, item: D) -> Result<(), D::Error> {
        let name = item.deserialize_any(SeriesVisitor(self))?;
        self.batch.end_series(&name).map_err(D::Error::custom)
    }

    fn memory_bytes(&self) -> usize {
        self.batch.memory_bytes() + self.times.memory_bytes()
    }

    fn discard(&mut self) {
        self.batch.discard_series();
        self.known_labels.clear();
    }

    fn item_name(&self) -> Option<Cow<'_, str>> {
        (!self.name.is_empty()).then_some(Cow::Borrowed(&self.name))
    }

    fn tracker(&mut self) -> &mut ItemTracker {
        &mut self.tracker
    }
}

/// Adds labels and points to the batch, and returns the name.
struct SeriesVisitor<'i, 'de>(&'i mut SeriesItemBuilder<'de>);

impl<'de> Visitor<'de> for SeriesVisitor<'_, 'de> {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a series, {"name", "labels", "values"} or [name, labels, values]"#)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let items = self.0;
        let (mut name, mut labels, mut values) = (None, false, false);
        while let Some(key) = map.next_key_seed(KeySeed)? {
            match &*key {
                "name" if name.is_none() => {
                    name = Some(items.name(map.next_value()?).map_err(A::Error::custom)?);
                }
                "labels" if !labels => {
                    map.next_value_seed(LabelsSeed(items))?;
                    labels = true;
                }
                "values" if !values => {
                    map.next_value_seed(ValuesSeed(items))?;
                    values = true;
                }
                known @ ("name" | "labels" | "values") => {
                    return Err(A::Error::custom(format!("field `{known}` comes twice")));
                }
                other => return Err(unknown_field(other)),
            }
        }
        match (name, labels, values) {
            (Some(name), true, true) => Ok(name),
            (None, _, _) => Err(missing("name")),
            (_, false, _) => Err(missing("labels")),
            (_, _, false) => Err(missing("values")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let items = self.0;
        let name = seq.next_element()?.ok_or_else(|| missing("name"))?;
        let name = items.name(name).map_err(A::Error::custom)?;
        let labels = seq.next_element_seed(LabelsSeed(items))?;
        labels.ok_or_else(|| missing("labels"))?;
        let values = seq.next_element_seed(ValuesSeed(items))?;
        values.ok_or_else(|| missing("values"))?;
        if seq.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("has more than [name, labels, values]"));
        }
        Ok(name)
    }
}

struct LabelsSeed<'i, 'de>(&'i mut SeriesItemBuilder<'de>);

impl<'de> DeserializeSeed<'de> for LabelsSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, object: D) -> Result<(), D::Error> {
        let items = self.0;
        items.tracker.enter(Some("labels"));
        let entries = ObjectSeed {
            expecting: "an object of labels",
            each: |key: Cow<'de, str>, value: &'de RawValue| {
                items.label(&key, || scalar::text(value))
            },
        };
        entries.deserialize(object)?;
        items.tracker.enter(None);
        Ok(())
    }
}

struct ValuesSeed<'i, 'de>(&'i mut SeriesItemBuilder<'de>);

impl<'de> DeserializeSeed<'de> for ValuesSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, object: D) -> Result<(), D::Error> {
        let items = self.0;
        items.tracker.enter(Some("values"));
        let entries = ObjectSeed {
            expecting: "an object of timestamps and numbers",
            each: |key: Cow<'de, str>, value: &'de RawValue| {
                items.point(&key, || scalar::number(value))
            },
        };
        entries.deserialize(object)?;
        items.end_points().map_err(D::Error::custom)?;
        items.tracker.enter(None);
        Ok(())
    }
}

fn missing<E: Error>(field: &str) -> E {
    E::custom(format!("`{field}` is missing"))
}

fn unknown_field<E: Error>(field: &str) -> E {
    let field = excerpt(field);
    E::custom(format!(
        "unknown field `{field}` (a series has `name`, `labels` and `values`)"
    ))
}
