//! The processes of drivers that are plugins: `[drivers]`.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::exporter::{ProcessLimits, read_limits};
use super::read::Section;

/// Limits of the processes of drivers: every storage has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriverLimits {
    common: ProcessLimits,
    /// With the common limits where none is set.
    by_storage: BTreeMap<Uuid, ProcessLimits>,
}

impl DriverLimits {
    /// The limits for the process of a storage.
    #[must_use]
    pub fn of(&self, storage_id: &str) -> ProcessLimits {
        let id = Uuid::try_parse(storage_id).ok();
        let own = id.and_then(|id| self.by_storage.get(&id));
        own.copied().unwrap_or(self.common)
    }
}

pub(super) fn read_driver_limits(mut section: Section<'_>) -> DriverLimits {
    let common = read_limits(section.take_section("limits"));
    let mut by_storage = BTreeMap::new();
    for (name, setting) in section.take_section("storage").take_all() {
        let id = Uuid::try_parse(&name);
        if id.is_err() {
            setting.fail(format!(
                "`{name}` is not the id of a storage (`delfin-host storages list` shows the ids)"
            ));
        }
        let Some(mut table) = setting.section() else {
            continue;
        };
        let own = read_limits(table.take_section("limits"));
        table.finish();
        if let Ok(id) = id {
            let limits = ProcessLimits {
                memory: own.memory.or(common.memory),
                open_files: own.open_files.or(common.open_files),
            };
            by_storage.insert(id, limits);
        }
    }
    section.finish();
    DriverLimits { common, by_storage }
}
