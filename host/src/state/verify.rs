//! Checks every database, record and counter of a state folder or of a backup. Changes nothing.

use std::{io, path::Path};

use delfin_plugin_api::Kind;

use super::{
    archive,
    contents::{
        ACTIVE_ALERTS_FILE, ALERTS_FILE, CLOCK, DATABASES, INVENTORY_FILE, KEPT_FILES, KEY,
        PERFORMANCE_FILE, StateDatabase, require_finished, require_readable,
        require_readable_state,
    },
    error::StateError,
    fault::Fault,
    progress::ProgressListener,
};
use crate::{
    access::TokenFile,
    alert, clock,
    inventory::SecretCheck,
    journal::JournalCheck,
    regular_file,
    sqlite::{DatabaseError, FailureKind, integrity},
};

/// What the host does about a damaged journal, and the operator need not.
const REPLACED: &str = "a record that cannot be read becomes a dead letter, and a damaged part of the file is replaced when the host finds it, with what can be read; to lose nothing, restore a backup";
const REFILLED: &str =
    "the next start of the host moves the file aside, and the next syncs fill it again";

/// What a check counted and found.
#[derive(Debug, Default, serde::Serialize)]
pub struct StateReport {
    pub records: u64,
    pub items: u64,
    pub dead_letters: u64,
    pub cursors: u64,
    pub secrets: u64,
    /// False: there was no key to open the secrets with.
    pub secrets_opened: bool,
    pub faults: Vec<Fault>,
}

/// Checks a state folder. A host may use it. `key` is the key of its inventory.
///
/// # Errors
///
/// The folder has no state, or cannot be read.
pub fn verify_folder(
    state_dir: &Path,
    key: &Path,
    progress: &dyn ProgressListener,
) -> Result<StateReport, StateError> {
    require_finished(state_dir)?;
    require_readable_state(state_dir)?;
    require_readable(key)?;
    let mut report = StateReport::default();
    for database in DATABASES {
        let path = state_dir.join(database.file);
        let Ok(metadata) = path.metadata() else {
            continue;
        };
        progress.begin(&format!("checking {}", database.file), metadata.len());
        let checked = report.check_database(database, &path, key, progress);
        if let Err(error) = checked {
            report.add_error(database.file, &error);
        }
    }
    report.check_table(state_dir);
    report.check_files(state_dir);
    Ok(report)
}

/// Extracts a backup into a temporary folder, and checks it.
///
/// # Errors
///
/// The file cannot be read or is no whole backup, or there is no room to extract it.
pub fn verify_backup(
    file: &Path,
    progress: &dyn ProgressListener,
) -> Result<StateReport, StateError> {
    let folder = tempfile::tempdir().map_err(StateError::of_file(&std::env::temp_dir()))?;
    archive::extract(file, folder.path(), progress)?;
    verify_extracted(folder.path(), &folder.path().join(KEY), progress)
}

/// Checks an extracted backup. The texts name files as the backup does.
pub(super) fn verify_extracted(
    folder: &Path,
    key: &Path,
    progress: &dyn ProgressListener,
) -> Result<StateReport, StateError> {
    let mut report = verify_folder(folder, key, progress)?;
    let folder = format!("{}/", folder.display());
    for fault in &mut report.faults {
        fault.fault = fault.fault.replace(&folder, "");
    }
    Ok(report)
}

impl StateReport {
    fn check_database(
        &mut self,
        StateDatabase { file, database }: &StateDatabase,
        path: &Path,
        key: &Path,
        progress: &dyn ProgressListener,
    ) -> Result<(), DatabaseError> {
        let (connection, version) = database.open_reader(path)?;
        database.is_older(path, version)?;
        let set = |bytes| progress.set(bytes);
        match *file {
            ALERTS_FILE => self.check_journal(path, file, Kind::Alert, &set),
            PERFORMANCE_FILE => self.check_journal(path, file, Kind::Performance, &set),
            INVENTORY_FILE => self.check_inventory(path, key),
            file => {
                let faults = integrity(&connection);
                let faults = faults.map_err(|error| database.error(path, error))?;
                self.add(file, REFILLED, faults);
                Ok(())
            }
        }
    }

    fn check_journal(
        &mut self,
        path: &Path,
        file: &str,
        kind: Kind,
        progress: &dyn Fn(u64),
    ) -> Result<(), DatabaseError> {
        let check = JournalCheck::of(path, kind, progress)?;
        self.records += check.records;
        self.items += check.items;
        self.dead_letters += check.dead_letters;
        self.cursors += check.cursors;
        let more = check.more_faults;
        let more = (more > 0).then(|| format!("{more} faults more"));
        self.add(file, REPLACED, check.faults.into_iter().chain(more));
        Ok(())
    }

    fn check_inventory(&mut self, path: &Path, key: &Path) -> Result<(), DatabaseError> {
        let check = SecretCheck::of(path, key)?;
        self.secrets = check.secrets;
        self.secrets_opened = check.has_key;
        let remedy = "restore the file and its key from a backup, or move the file away and register the storages again";
        self.add(INVENTORY_FILE, remedy, check.faults);
        Ok(())
    }

    /// The alert journal has every record that the table of active alerts does not have yet.
    fn check_table(&mut self, state_dir: &Path) {
        let [table, journal] = [ACTIVE_ALERTS_FILE, ALERTS_FILE].map(|file| state_dir.join(file));
        // The journal is read last, because the table follows it. What cannot be read is a fault
        // already.
        if let Ok(false) = alert::fits_journal(&table, &journal) {
            let fault = "it does not continue where the alert journal ends";
            let remedy = "nothing: the host reads the whole journal at the next start";
            self.add(ACTIVE_ALERTS_FILE, remedy, [fault.to_owned()]);
        }
    }

    fn check_files(&mut self, state_dir: &Path) {
        let [tokens, engine, _] = KEPT_FILES;
        if let Err(error) = clock::check_file(&state_dir.join(CLOCK)) {
            let remedy = "remove the file: the time since the last run then counts as age";
            self.add(CLOCK, remedy, [error.to_string()]);
        }
        if let Err(error) = TokenFile::new(state_dir).read() {
            let remedy = "restore the file, or remove it and add the tokens again";
            self.add(tokens, remedy, [error.to_string()]);
        }
        let remedy = "remove the file: the host gets another identity for SNMP";
        match regular_file::read(&state_dir.join(engine)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.add(engine, remedy, [error.to_string()]),
            Ok(text) => {
                let parsed = serde_json::from_slice::<serde_json::Value>(&text);
                self.add(engine, remedy, parsed.err().map(|error| error.to_string()));
            }
        }
    }

    fn add_error(&mut self, file: &str, error: &DatabaseError) {
        let (fault, remedy) = match error {
            DatabaseError::Version { found, wanted, .. } => (
                format!("it has schema version {found}, this host needs {wanted}"),
                "use the version of the host that wrote it",
            ),
            _ => (error.to_string(), remedy(file, error.kind())),
        };
        self.add(file, remedy, [fault]);
    }

    fn add(&mut self, file: &str, remedy: &str, faults: impl IntoIterator<Item = String>) {
        self.faults.extend(faults.into_iter().map(|fault| Fault {
            file: file.to_owned(),
            fault,
            remedy: remedy.to_owned(),
        }));
    }
}

fn remedy(file: &str, kind: FailureKind) -> &'static str {
    match (kind, file) {
        (FailureKind::Damaged, ALERTS_FILE | PERFORMANCE_FILE) => REPLACED,
        (FailureKind::Damaged, INVENTORY_FILE) => "restore the file and its key from a backup",
        (FailureKind::Damaged, _) => REFILLED,
        (FailureKind::Full | FailureKind::Other, _) => "see the message",
    }
}
