//! The settings of the configuration file that are in force.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::plan::Reloaded;
use crate::clock::now_ms;

/// Settings by their key, without secrets.
pub(super) type ShownSettings = Map<String, Value>;

/// The settings that are in force.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AppliedSettings {
    /// The file that they are from.
    pub source: String,
    /// When they were applied, in milliseconds since the Unix epoch.
    pub applied_ms: i64,
    /// Every setting that the file has; others have their defaults. Placeholders are shown as
    /// they are written, and secrets as `<redacted>`.
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
}

impl AppliedSettings {
    /// What is in force after a reload: parts that need a restart, and refused exporters that go
    /// on as before, keep their settings.
    pub(super) fn after<'a>(
        &self,
        mut new: ShownSettings,
        reloaded: &Reloaded,
        refused: impl Iterator<Item = &'a str>,
    ) -> Self {
        for part in &reloaded.needs_restart {
            keep(&self.settings, &mut new, part);
        }
        let old = self.settings.get("exporter").and_then(Value::as_object);
        let exporters = new
            .entry("exporter")
            .or_insert_with(|| Value::Object(Map::new()));
        if let Some(exporters) = exporters.as_object_mut() {
            for name in refused {
                keep(old.unwrap_or(&Map::new()), exporters, name);
            }
        }
        Self {
            source: self.source.clone(),
            applied_ms: now_ms(),
            settings: new,
        }
    }
}

fn keep(old: &ShownSettings, new: &mut ShownSettings, key: &str) {
    match old.get(key) {
        Some(value) => new.insert(key.to_owned(), value.clone()),
        None => new.remove(key),
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_needs_a_restart_or_was_refused_keeps_its_settings() {
        let settings = |value: Value| value.as_object().cloned().unwrap_or_default();
        let old = AppliedSettings {
            source: "file".to_owned(),
            applied_ms: 0,
            settings: settings(
                json!({"log": {"level": "info"}, "exporter": {"a": {"n": 1}, "b": {"n": 1}}}),
            ),
        };
        let new = json!({
            "log": {"level": "debug"}, "journal": {"max_age": "1h"},
            "exporter": {"a": {"n": 2}, "b": {"n": 2}, "c": {"n": 2}},
        });
        let reloaded = Reloaded {
            needs_restart: vec!["log", "journal"],
            ..Reloaded::default()
        };
        let after = old.after(settings(new), &reloaded, ["b", "c"].into_iter());
        assert_eq!(
            Value::Object(after.settings),
            json!({"log": {"level": "info"}, "exporter": {"a": {"n": 2}, "b": {"n": 1}}})
        );
    }
}
