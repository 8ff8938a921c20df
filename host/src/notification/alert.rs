//! The alert of a notification: by a rule, or raw.

use delfin_plugin_api::{AlertBatchBuilder, NewAlert};

use super::mapping::{MappedInput, MappingRule};
use crate::storages::StorageView;

/// An alert without its storage.
#[derive(Debug, PartialEq, Eq)]
pub struct NotificationAlert {
    /// Columns and extra texts.
    pub texts: Vec<(String, String)>,
    pub occur_time_ms: i64,
    /// The rule that has made it; `None`: it is raw.
    pub rule: Option<String>,
}

impl NotificationAlert {
    /// The alert that a rule makes.
    pub fn mapped<I: MappedInput>(
        rule: &MappingRule<I::Field>,
        input: &I,
        received_ms: i64,
    ) -> Self {
        let texts = rule.texts(input).into_iter();
        Self {
            texts: texts
                .map(|(column, text)| (column.to_owned(), text))
                .collect(),
            occur_time_ms: rule.occur_time_ms(input).unwrap_or(received_ms),
            rule: Some(rule.origin.clone()),
        }
    }

    /// An alert of a notification that no rule is for.
    #[must_use]
    pub fn raw(occur_time_ms: i64) -> Self {
        let mut alert = Self {
            texts: Vec::new(),
            occur_time_ms,
            rule: None,
        };
        alert.add("category", "NotSpecified".to_owned());
        alert.add("type", "NotSpecified".to_owned());
        alert
    }

    /// Adds what every alert has.
    pub fn add_defaults(&mut self) {
        for (column, default) in [
            ("severity", "NotSpecified"),
            ("category", "Fault"),
            ("type", "EquipmentAlarm"),
            ("resource_type", "Storage"),
        ] {
            self.add_default(column, || default.to_owned());
        }
    }

    /// Adds a text unless the alert has one in this column.
    pub fn add_default(&mut self, column: &str, text: impl FnOnce() -> String) {
        if !self.texts.iter().any(|(key, _)| key == column) {
            self.add(column, text());
        }
    }

    pub fn add(&mut self, column: &str, text: String) {
        self.texts.push((column.to_owned(), text));
    }

    /// The text of a column.
    #[must_use]
    pub fn text(&self, column: &str) -> Option<&str> {
        let mut texts = self.texts.iter();
        texts.find_map(|(key, text)| (key == column).then_some(&**text))
    }

    /// Adds the alert to a batch, as one of the storage that its rule names.
    pub fn add_as_it_is(&self, batch: &mut AlertBatchBuilder) {
        let texts = self.texts.iter().map(|(key, text)| (&**key, &**text));
        let texts: Vec<(&str, &str)> = texts.collect();
        batch.alert(NewAlert {
            occur_time: self.occur_time_ms,
            texts: &texts,
        });
    }

    /// Adds the alert to a batch, as one of a storage, also if its rule names another one.
    pub fn add_to(&self, batch: &mut AlertBatchBuilder, storage: &StorageView) {
        let (id, info) = (storage.id.to_string(), &storage.info);
        let named =
            |(key, _): &&(String, String)| !["storage_id", "storage_name"].contains(&&**key);
        let own = self.texts.iter().filter(named);
        let mut texts: Vec<(&str, &str)> = own.map(|(key, text)| (&**key, &**text)).collect();
        texts.extend([
            ("storage_id", id.as_str()),
            ("storage_name", &info.name),
            ("vendor", &info.vendor),
            ("model", &info.model),
            ("serial_number", &info.serial_number),
        ]);
        texts.extend(storage.labels.iter());
        batch.alert(NewAlert {
            occur_time: self.occur_time_ms,
            texts: &texts,
        });
    }
}
