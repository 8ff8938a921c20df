//! Series: `{"name", "labels", "values": {"<ms>": number}}`, or the same three as
//! an array `[name, labels, values]`, which is how Delfin writes them to Kafka.

use std::{borrow::Cow, fmt};

use delfin_plugin_api::{PerformanceBatch, PerformanceBatchBuilder};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    Items,
    entries::{Entries, Key},
    leaf,
    trail::Trail,
};
use crate::ingest::{
    Limits, Rejected,
    rules::{MAX_LABELS, Times, excerpt},
};

/// Puts series into a performance batch.
pub(super) struct SeriesItems {
    batch: PerformanceBatchBuilder,
    trail: Trail,
    times: Times,
    labels: usize,
}

impl SeriesItems {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            batch: PerformanceBatchBuilder::new(),
            trail: Trail::new(limits),
            times: Times::default(),
            labels: 0,
        }
    }

    pub(super) fn build(self) -> (PerformanceBatch, Rejected) {
        (self.batch.build(), self.trail.into_rejected())
    }

    fn name<'de>(&mut self, raw: &'de RawValue) -> Result<Cow<'de, str>, String> {
        self.trail.enter(Some("name"));
        if !raw.get().starts_with('"') {
            return Err(format!("`{}` is not a text", excerpt(raw.get())));
        }
        let name = leaf::text(raw)?.unwrap_or_default();
        if name.is_empty() {
            return Err("is empty".to_owned());
        }
        self.trail.check_text(&name, "name")?;
        self.trail.enter(None);
        Ok(name)
    }

    fn label(&mut self, key: &str, raw: &RawValue) -> Result<(), String> {
        let refused = |reason: &str| format!("label `{}` {reason}", excerpt(key));
        if key.is_empty() {
            return Err("a label has no name".to_owned());
        }
        if self.batch.has_label(key) {
            return Err(refused("comes twice"));
        }
        if self.labels == MAX_LABELS {
            return Err(format!("more than {MAX_LABELS} labels"));
        }
        let value = leaf::text(raw)
            .map_err(|reason| refused(&reason))?
            .ok_or_else(|| refused("is null (leave it out)"))?;
        self.trail.check_text(key, "labels")?;
        self.trail.check_text(&value, "labels")?;
        self.batch.label(key, &value);
        self.labels += 1;
        Ok(())
    }

    fn point(&mut self, key: &str, raw: &RawValue) -> Result<(), String> {
        let time = leaf::time(key).map_err(|reason| format!("timestamp {reason}"))?;
        let value = leaf::number(raw)?;
        self.times.push(time);
        self.batch.point(time, value);
        Ok(())
    }

    fn end_points(&mut self) -> Result<(), String> {
        match self.times.repeated() {
            Some(time) => Err(format!("timestamp `{time}` comes twice")),
            None => Ok(()),
        }
    }
}

impl<'de> Items<'de> for SeriesItems {
    fn item<D: Deserializer<'de>>(&mut self, item: D) -> Result<(), D::Error> {
        self.labels = 0;
        self.times.clear();
        let name = item.deserialize_any(SeriesVisitor(self))?;
        self.batch.end_series(&name).map_err(D::Error::custom)
    }

    fn discard(&mut self) {
        self.batch.discard_series();
    }

    fn trail(&mut self) -> &mut Trail {
        &mut self.trail
    }
}

/// Puts labels and points into the batch, and gives back the name.
struct SeriesVisitor<'i>(&'i mut SeriesItems);

impl<'de> Visitor<'de> for SeriesVisitor<'_> {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a series, {"name", "labels", "values"} or [name, labels, values]"#)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let items = self.0;
        let (mut name, mut labels, mut values) = (None, false, false);
        while let Some(key) = map.next_key_seed(Key)? {
            match &*key {
                "name" if name.is_none() => {
                    name = Some(items.name(map.next_value()?).map_err(A::Error::custom)?);
                }
                "labels" if !labels => {
                    map.next_value_seed(Labels(items))?;
                    labels = true;
                }
                "values" if !values => {
                    map.next_value_seed(Values(items))?;
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
        let labels = seq.next_element_seed(Labels(items))?;
        labels.ok_or_else(|| missing("labels"))?;
        let values = seq.next_element_seed(Values(items))?;
        values.ok_or_else(|| missing("values"))?;
        if seq.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("more than [name, labels, values]"));
        }
        Ok(name)
    }
}

struct Labels<'i>(&'i mut SeriesItems);

impl<'de> DeserializeSeed<'de> for Labels<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, object: D) -> Result<(), D::Error> {
        let items = self.0;
        items.trail.enter(Some("labels"));
        let entries = Entries {
            expecting: "an object of labels",
            each: |key: Cow<'de, str>, value| items.label(&key, value),
        };
        entries.deserialize(object)?;
        items.trail.enter(None);
        Ok(())
    }
}

struct Values<'i>(&'i mut SeriesItems);

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, object: D) -> Result<(), D::Error> {
        let items = self.0;
        items.trail.enter(Some("values"));
        let entries = Entries {
            expecting: "an object of timestamps and numbers",
            each: |key: Cow<'de, str>, value| items.point(&key, value),
        };
        entries.deserialize(object)?;
        items.end_points().map_err(D::Error::custom)?;
        items.trail.enter(None);
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
