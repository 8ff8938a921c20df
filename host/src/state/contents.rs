//! What belongs to the state, and what does not.
//!
//! Left out, because the host makes them again: locks, sockets, marks and reserves of journals,
//! copies of plugins. Calls in progress are left out too: after a restore they would look like
//! those of a crash.

use std::{io, path::Path};

use super::error::StateError;
use crate::{
    alert::ACTIVE_ALERTS,
    cluster::FOLDER_ID,
    inventory::{INVENTORY, RESOURCES},
    journal::JOURNAL,
    regular_file,
    sqlite::Database,
};

/// A database of the state folder.
#[derive(Clone, Copy)]
pub(super) struct StateDatabase {
    pub(super) file: &'static str,
    pub(super) database: &'static Database,
}

/// In the order of a backup. The table of active alerts follows the alert journal, and a host that
/// starts reads what is missing in the table from the journal: so the table is copied first.
pub(super) const DATABASES: &[StateDatabase] = &[
    StateDatabase {
        file: ACTIVE_ALERTS_FILE,
        database: &ACTIVE_ALERTS,
    },
    StateDatabase {
        file: ALERTS_FILE,
        database: &JOURNAL,
    },
    StateDatabase {
        file: PERFORMANCE_FILE,
        database: &JOURNAL,
    },
    StateDatabase {
        file: INVENTORY_FILE,
        database: &INVENTORY,
    },
    StateDatabase {
        file: "resources.db",
        database: &RESOURCES,
    },
];

pub(super) const ACTIVE_ALERTS_FILE: &str = "alerts-active.db";
pub(super) const ALERTS_FILE: &str = "alerts.db";
pub(super) const PERFORMANCE_FILE: &str = "performance.db";
pub(super) const INVENTORY_FILE: &str = "inventory.db";

/// The key of the inventory, in a backup only if it was asked for.
pub(super) const KEY: &str = "inventory.key";

pub(super) const CLOCK: &str = "clock.json";

/// Files that a restore does not replace. A token that was revoked after the backup stays revoked,
/// the count of the host's starts, by which SNMP detects old messages, does not go back, and a folder keeps the id by which a
/// cluster knows it.
pub(super) const KEPT_FILES: [&str; 3] = ["tokens.json", "snmp-engine.json", FOLDER_ID];

/// Folders: exporters that are paused, and files of exporters and drivers. A backup has them after
/// the journals, so that no exporter's files are older than its cursor: what an exporter has done
/// and not committed, it gets again, as after a crash.
pub(super) const FOLDERS: [&str; 3] = ["paused", "exporters", "drivers"];

/// What a host with its state in the database of a cluster has there, or on Kafka, and not in its folder.
pub(super) const IN_DATABASE: [&str; 6] = [
    ALERTS_FILE,
    PERFORMANCE_FILE,
    ACTIVE_ALERTS_FILE,
    INVENTORY_FILE,
    "tokens.json",
    "paused",
];

/// What a restore removes, and no backup has.
pub(super) const TRANSIENT: [&str; 5] = [
    "calls",
    "alerts.mark",
    "alerts.reserve",
    "performance.mark",
    "performance.reserve",
];

/// Folders in which a restore has the new state while it replaces the old one.
pub(super) const READY: &str = "restore.ready";
pub(super) const MOVING: &str = "restore.moving";

/// Whether a backup may contain a path, by its first part.
pub(super) fn is_known(name: &str) -> bool {
    DATABASES.iter().any(|database| database.file == name)
        || name == KEY
        || name == CLOCK
        || KEPT_FILES.contains(&name)
        || FOLDERS.contains(&name)
}

/// Whether a folder has what a host works with. A key and tokens alone are no state.
pub(super) fn has_state(state_dir: &Path) -> Result<bool, StateError> {
    for name in databases().chain([CLOCK]).chain(FOLDERS) {
        let path = state_dir.join(name);
        match path.symlink_metadata() {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StateError::reading(&path, error)),
        }
    }
    Ok(false)
}

/// Refuses a folder without a state, and one whose files this user cannot read: they would look
/// damaged.
pub(super) fn require_readable_state(state_dir: &Path) -> Result<(), StateError> {
    if !has_state(state_dir)? {
        return Err(StateError::Empty {
            path: state_dir.to_owned(),
        });
    }
    let mut names = databases().chain([CLOCK]).chain(KEPT_FILES);
    names.try_for_each(|name| require_readable(&state_dir.join(name)))
}

/// Refuses a file that exists and that this user cannot read.
pub(super) fn require_readable(path: &Path) -> Result<(), StateError> {
    match regular_file::open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(StateError::reading(path, error))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Refuses a folder whose new state is not in its place yet.
pub(super) fn require_finished(state_dir: &Path) -> Result<(), StateError> {
    if [READY, MOVING]
        .iter()
        .any(|name| state_dir.join(name).exists())
    {
        return Err(StateError::Unfinished {
            path: state_dir.to_owned(),
        });
    }
    Ok(())
}

fn databases() -> impl Iterator<Item = &'static str> {
    DATABASES.iter().map(|database| database.file)
}
