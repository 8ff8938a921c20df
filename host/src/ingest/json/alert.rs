//! Alerts: objects of Delfin's alert model. A field that the model does not have
//! goes to `extra`. A field that is `null` is absent: Delfin writes absent fields so.
//! An alert without a time, or with an empty one, occurred now: its driver could not read
//! the time, and the alert itself counts.

use std::{borrow::Cow, collections::HashSet};

use delfin_plugin_api::{AlertBatch, AlertBatchBuilder, NewAlert};
use serde::de::{DeserializeSeed, Deserializer, Error};
use serde_json::value::RawValue;

use super::{ItemBuilder, object::ObjectSeed, plain::PlainReader, scalar, tracker::ItemTracker};
use crate::ingest::{
    NoteKind, ParsedItems,
    rules::{MAX_LABELS, NAMELESS_ALERT, excerpt},
};

/// Fields up to which comparing a name with each is cheaper than hashing it.
const FEW_FIELDS: usize = 16;

/// Builds an alert batch.
pub(super) struct AlertItemBuilder<'de> {
    batch: AlertBatchBuilder,
    tracker: ItemTracker,
    now_ms: i64,
    occur_time: Option<i64>,
    texts: Vec<(Cow<'de, str>, Cow<'de, str>)>,
    /// The names of `texts`, or of the first of them: filled when there are many.
    names: HashSet<Cow<'de, str>>,
}

impl<'de> AlertItemBuilder<'de> {
    pub(super) fn new(tracker: ItemTracker, now_ms: i64) -> Self {
        Self {
            batch: AlertBatchBuilder::new(),
            tracker,
            now_ms,
            occur_time: None,
            texts: Vec::new(),
            names: HashSet::new(),
        }
    }

    pub(super) fn build(self) -> ParsedItems<AlertBatch> {
        self.tracker.into_items(self.batch.build())
    }

    /// Adds a field, unless its `text` is `null`.
    fn field(
        &mut self,
        key: Cow<'de, str>,
        text: impl FnOnce() -> Result<Option<Cow<'de, str>>, String>,
    ) -> Result<(), String> {
        let refused = |reason: &str| format!("`{}` {reason}", excerpt(&key));
        if key.is_empty() {
            return Err("a field has no name".to_owned());
        }
        if self.texts.len() == MAX_LABELS {
            return Err(format!("has more than {MAX_LABELS} fields"));
        }
        let Some(text) = text().map_err(|reason| refused(&reason))? else {
            return Ok(());
        };
        let is_time = key == "occur_time";
        if self.has_field(&key) || (is_time && self.occur_time.is_some()) {
            return Err(refused("comes twice"));
        }
        if is_time {
            self.occur_time = Some(self.time(&text)?);
            return Ok(());
        }
        self.tracker.check_text(&key, "a key")?;
        self.tracker.check_text(&text, &key)?;
        self.texts.push((key, text));
        Ok(())
    }

    fn has_field(&mut self, key: &str) -> bool {
        if self.texts.len() <= FEW_FIELDS {
            return self.texts.iter().any(|(known, _)| known == key);
        }
        let unnamed = &self.texts[self.names.len()..];
        self.names
            .extend(unnamed.iter().map(|(known, _)| known.clone()));
        self.names.contains(key)
    }

    fn time(&mut self, text: &str) -> Result<i64, String> {
        let text = text.trim();
        if text.is_empty() {
            self.tracker.note(NoteKind::EmptyTime);
            return Ok(self.now_ms);
        }
        let time = self.tracker.time(text);
        time.map_err(|reason| format!("occur_time: {reason}"))
    }

    fn end(&mut self) -> Result<(), &'static str> {
        let texts: Vec<(&str, &str)> = self.texts.iter().map(|(k, v)| (&**k, &**v)).collect();
        let named = |&(key, text): &(&str, &str)| {
            matches!(key, "alert_id" | "alert_name") && !text.is_empty()
        };
        if !texts.iter().any(named) {
            return Err(NAMELESS_ALERT);
        }
        self.batch.alert(NewAlert {
            occur_time: self.occur_time.unwrap_or(self.now_ms),
            texts: &texts,
        });
        Ok(())
    }
}

impl<'de> ItemBuilder<'de> for AlertItemBuilder<'de> {
    fn begin_item(&mut self) {
        self.texts.clear();
        self.names.clear();
        self.occur_time = None;
    }

    fn plain_item(&mut self, text: &'de str) -> Option<usize> {
        let mut json = PlainReader::new(text);
        json.object(|json, key| {
            let text = json.label_text()?;
            self.field(key, || Ok(text)).ok()
        })?;
        self.end().ok()?;
        Some(json.position())
    }

    fn item<D: Deserializer<'de>>(&mut self, item: D) -> Result<(), D::Error> {
        let entries = ObjectSeed {
            expecting: "an alert, an object",
            each: |key, value: &'de RawValue| self.field(key, || scalar::text(value)),
        };
        entries.deserialize(item)?;
        self.end().map_err(D::Error::custom)
    }

    fn memory_bytes(&self) -> usize {
        self.batch.memory_bytes()
    }

    // An alert is added to the batch as a whole, so nothing has to be removed.
    fn discard(&mut self) {}

    fn item_name(&self) -> Option<Cow<'_, str>> {
        let text = |name: &str| {
            let found = self.texts.iter().find(|(key, _)| key == name);
            found
                .map(|(_, text)| &**text)
                .filter(|text| !text.is_empty())
        };
        text("alert_name")
            .or_else(|| text("alert_id"))
            .map(Cow::Borrowed)
    }

    fn tracker(&mut self) -> &mut ItemTracker {
        &mut self.tracker
    }
}
