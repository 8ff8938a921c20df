//! The storages that the configuration declares: `[[storage]]`.
//!
//! The id of a storage stays the same as long as vendor, model and name do, so
//! that a receiver sees one storage across restarts and reinstallations.
//!
//! Knows nothing of drivers: whether one exists for a vendor and model, and what
//! its options mean.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::read::Section;
use super::setting::SHORTEST;
use crate::collect::{MAX_STATIC_LABELS, StaticLabels};
use crate::platform::machine_name;

/// The namespace of the ids that are derived from names. It never changes.
const NAMESPACE: Uuid = Uuid::from_u128(0x1c5f_0d3a_9f6e_4b52_8a57_3f0c_6d21_e94b);

const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

/// One storage, as declared.
///
/// Its `Debug` form leaves out the driver's options: they hold passwords.
#[derive(Clone, PartialEq)]
pub struct StorageConfig {
    /// Unique in the host.
    pub id: Uuid,
    /// Default: `host`, or the name of this machine.
    pub name: String,
    /// Vendor and model choose the driver.
    pub vendor: String,
    pub model: String,
    /// The address; `None` for this machine.
    pub host: Option<String>,
    /// Only the driver checks its options.
    pub options: Arc<Map<String, Value>>,
    /// `None`: that of the driver, or of registered storages.
    pub performance_interval: Option<Duration>,
    pub alerts_interval: Duration,
    /// On each of its series and alerts.
    pub labels: Arc<StaticLabels>,
}

impl fmt::Debug for StorageConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageConfig")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("vendor", &self.vendor)
            .field("model", &self.model)
            .field("host", &self.host)
            .field("performance_interval", &self.performance_interval)
            .field("alerts_interval", &self.alerts_interval)
            .finish_non_exhaustive()
    }
}

pub(super) fn read_storages(root: &mut Section<'_>) -> Vec<StorageConfig> {
    let sections = root
        .take("storage")
        .map(|setting| setting.sections())
        .unwrap_or_default();
    let mut storages: Vec<Option<StorageConfig>> = Vec::new();
    for mut section in sections {
        let storage = read_storage(&mut section);
        let same_id = |other: &Option<StorageConfig>| {
            other
                .as_ref()
                .zip(storage.as_ref())
                .is_some_and(|(a, b)| a.id == b.id)
        };
        if let Some(first) = storages.iter().position(same_id) {
            let message = format!(
                "is the same as the id of `storage[{first}]` (give each storage its own `name` or `id`)"
            );
            section.fail("id", &message);
        }
        storages.push(storage);
        section.finish();
    }
    storages.into_iter().flatten().collect()
}

/// Returns `None` if vendor or model is missing, and records the mistake.
fn read_storage(section: &mut Section<'_>) -> Option<StorageConfig> {
    let vendor = section.require_text("vendor");
    let model = section.require_text("model");
    let host = section.take_text("host").map(|text| text.value);
    let name = section.take_text("name").map(|text| text.value);
    let id = read_id(section);
    let options = section.take_json("options");
    let performance_interval = read_interval(section.take_section("performance"));
    let alerts_interval = read_interval(section.take_section("alerts"));
    let alerts_interval = alerts_interval.unwrap_or(DEFAULT_INTERVAL);
    let labels = Arc::new(read_labels(section));
    let (vendor, model) = (vendor?.value, model?.value);
    let name = name.or_else(|| host.clone()).unwrap_or_else(machine_name);
    Some(StorageConfig {
        id: id.unwrap_or_else(|| id_of(&vendor, &model, &name)),
        name,
        vendor,
        model,
        host,
        options: Arc::new(options),
        performance_interval,
        alerts_interval,
        labels,
    })
}

fn read_id(section: &mut Section<'_>) -> Option<Uuid> {
    let id = Uuid::try_parse(&section.take_text("id")?.value).ok();
    if id.is_none() {
        section.fail(
            "id",
            "is not a UUID (remove the key: the host derives the id from vendor, model and name)",
        );
    }
    id
}

fn read_labels(section: &mut Section<'_>) -> StaticLabels {
    let Some(table) = section.take("labels") else {
        return StaticLabels::default();
    };
    let mut labels = BTreeMap::new();
    let settings = table.section().map(|mut section| section.take_all());
    for (name, setting) in settings.unwrap_or_default() {
        let Some(text) = setting.text() else {
            continue;
        };
        let label = BTreeMap::from([(name.clone(), text.value.clone())]);
        match StaticLabels::new(label) {
            Ok(_) => drop(labels.insert(name, text.value)),
            Err(error) => setting.fail(error.to_string()),
        }
    }
    let count = labels.len();
    StaticLabels::new(labels).unwrap_or_else(|error| {
        table.fail(format!("{error} (remove {})", count - MAX_STATIC_LABELS));
        StaticLabels::default()
    })
}

fn read_interval(mut section: Section<'_>) -> Option<Duration> {
    let interval = section.take("interval");
    let interval = interval.and_then(|setting| setting.duration(SHORTEST));
    section.finish();
    interval
}

fn id_of(vendor: &str, model: &str, name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, [vendor, model, name].join("\0").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_derived_from_a_name_never_changes() {
        let id = id_of("linux", "host", "db-7");
        assert_eq!(id.to_string(), "412b26dc-2d50-5472-964f-e78e533cf9cf");
        assert_ne!(id, id_of("linux", "hostdb", "-7"));
    }
}
