//! Backup and restore of a folder, step by step.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    sync::Arc,
};

use delfin_plugin_api::{Kind, Origin, PerformanceBatchBuilder};
use serde_json::json;
use tempfile::TempDir;

use super::{
    contents::StateDatabase,
    migration,
    progress::NoListener,
    restore::{RestoreSummary, finish},
    *,
};
use crate::{
    batch::NewBatch,
    batch_journal::BatchJournal,
    journal::{JOURNAL, JournalLimits, Journals, OpenError, StartFrom},
    memory::MemoryBudget,
    sqlite::Database,
};

const EXPORTER: &str = "acme";

/// The SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A journal as a newer host writes it.
const NEWER_JOURNAL: Database = Database {
    version: JOURNAL.version + 1,
    migrations: &[
        "",
        "",
        "",
        "",
        "ALTER TABLE totals ADD COLUMN extra INTEGER;",
    ],
    ..JOURNAL
};

struct Folder {
    folder: TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Folder {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
        }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn journals(&self) -> Journals {
        let lock = open(&self.state()).unwrap();
        journal::open_locked(
            &self.state(),
            lock.into(),
            &JournalLimits::unlimited(),
            None,
        )
        .unwrap()
    }

    /// Accepts a batch that is pending for the exporter.
    fn accept(&self, journals: &Journals) {
        let mut batch = PerformanceBatchBuilder::new();
        let points = [(1_000, 1.0), (2_000, 2.0), (3_000, 3.0)];
        batch.series("iops", [("storage_id", "s")], points).unwrap();
        let batch = NewBatch {
            rows: batch.build().into(),
            origin: Origin::Ingest,
            storage_id: None,
            complete: false,
        };
        let backend = Arc::clone(&journals.performance);
        self.runtime.block_on(async {
            backend
                .open_cursor(EXPORTER, StartFrom::Earliest)
                .await
                .unwrap();
            let journal = BatchJournal::new(Kind::Performance, backend, &MemoryBudget::new(0));
            journal.accept(batch, None).await.unwrap();
        });
    }

    fn pending(&self) -> i64 {
        let journals = self.journals();
        let counts = journals.performance.counts(EXPORTER).unwrap().unwrap();
        assert_eq!((counts.unaccounted(), &*counts.dropped), (0, &[][..]));
        assert_eq!(journals.performance.stats().unwrap().lost, 0);
        counts.pending
    }

    /// A state with this many batches, and files of an exporter.
    fn with_batches(batches: u32) -> Self {
        let folder = Self::new();
        let journals = folder.journals();
        for _ in 0..batches {
            folder.accept(&journals);
        }
        let exporter = folder.state().join("exporters").join(EXPORTER);
        fs::create_dir_all(&exporter).unwrap();
        fs::write(exporter.join("batches"), batches.to_string()).unwrap();
        fs::write(
            folder.state().join("tokens.json"),
            r#"{"version":1,"tokens":[]}"#,
        )
        .unwrap();
        folder
    }

    fn back_up(&self, name: &str) -> PathBuf {
        let file = self.path(name);
        back_up(&self.state(), &file, Keys::LeftOut, &NoListener).unwrap();
        file
    }

    fn faults(&self) -> Vec<String> {
        let state = self.state();
        let report = verify_folder(&state, &state.join("inventory.key"), &NoListener).unwrap();
        let faults = report.faults.into_iter();
        faults
            .map(|fault| format!("{}: {}", fault.file, fault.fault))
            .collect()
    }
}

/// Restores a backup without faults.
fn restore(file: &Path, state_dir: &Path, replace: bool) -> Result<RestoreSummary, StateError> {
    let request = RestoreRequest {
        file,
        state_dir,
        key: &state_dir.join("inventory.key"),
        replace,
        accept_faults: false,
    };
    super::restore(request, &NoListener)
}

/// Paths and contents of all files, without those that a host changes at each start, and that a
/// reader of a database makes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = archive::files(folder).unwrap().into_iter();
    files
        .map(|(path, _)| {
            (
                path.strip_prefix(folder).unwrap().to_owned(),
                fs::read(path).unwrap(),
            )
        })
        .filter(|(path, _)| {
            let name = path.to_string_lossy();
            name != "lock" && !name.ends_with("-wal") && !name.ends_with("-shm")
        })
        .collect()
}

#[test]
fn the_copy_before_a_migration_takes_the_host_from_before_back() {
    let folder = Folder::with_batches(4);
    let state = folder.state();
    let newer = [StateDatabase {
        file: "performance.db",
        database: &NEWER_JOURNAL,
    }];
    // N + 1: copies, migrates, and copies no second time.
    let copy = migration::copy_before(&state, &newer).unwrap().unwrap();
    let (connection, ()) = NEWER_JOURNAL
        .open(&state.join("performance.db"), |_| Ok(()))
        .unwrap();
    drop(connection);
    assert_eq!(migration::copy_before(&state, &newer).unwrap(), None);
    // N: refuses the state, restores the copy, and has everything.
    let error = journal::open(&state, &JournalLimits::unlimited())
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("has schema version 6, this host needs 5"),
        "{error}"
    );
    let newer_backup = folder.back_up("newer.tar.zst");
    restore(&copy, &state, true).unwrap();
    assert_eq!(folder.pending(), 4 * 3);
    assert_eq!(folder.faults(), Vec::<String>::new());
    // A backup of N + 1 is refused, and changes nothing.
    let before = files(&state);
    let error = restore(&newer_backup, &state, true).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("whose `performance.db` this host cannot use: it has schema version 6, this host needs 5"),
        "{error}"
    );
    let report = verify_backup(&newer_backup, &NoListener).unwrap();
    let [fault] = &*report.faults else {
        panic!("{report:?}");
    };
    assert_eq!(
        (&*fault.file, &*fault.fault),
        (
            "performance.db",
            "it has schema version 6, this host needs 5"
        )
    );
    assert_eq!(files(&state), before);
}

#[test]
fn only_the_newest_copies_before_migrations_are_kept() {
    let folder = Folder::with_batches(1);
    let newer = [StateDatabase {
        file: "performance.db",
        database: &NEWER_JOURNAL,
    }];
    let copies = folder.state().join("migration-copies");
    let mut made = Vec::new();
    for _ in 0..migration::KEPT_COPIES + 2 {
        made.push(
            migration::copy_before(&folder.state(), &newer)
                .unwrap()
                .unwrap(),
        );
    }
    let kept: Vec<PathBuf> = archive::files(&copies)
        .unwrap()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(kept, made[made.len() - migration::KEPT_COPIES..]);
}

#[test]
fn a_restore_is_no_loss_and_sequence_numbers_go_on() {
    let folder = Folder::with_batches(2);
    let backup = folder.back_up("backup");
    let journals = folder.journals();
    folder.accept(&journals);
    drop(journals);
    assert_eq!(folder.pending(), 9);
    restore(&backup, &folder.state(), true).unwrap();
    assert_eq!(folder.pending(), 6);
    let journals = folder.journals();
    folder.accept(&journals);
    drop(journals);
    assert_eq!(folder.pending(), 9);
    // The same journal without a restore is noticed: the backup is older than the mark.
    let extracted = folder.path("extracted");
    fs::create_dir(&extracted).unwrap();
    archive::extract(&backup, &extracted, &NoListener).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(folder.state().join(format!("performance.db{suffix}")));
    }
    fs::copy(
        extracted.join("performance.db"),
        folder.state().join("performance.db"),
    )
    .unwrap();
    let faults = folder.faults();
    assert_eq!(
        faults,
        ["performance.db: 1 acknowledged records are missing at its end"]
    );
}

#[test]
fn a_restore_that_is_interrupted_anywhere_leaves_the_old_state_or_the_new_one() {
    let newer = Folder::with_batches(3);
    let backup = newer.back_up("backup");
    let steps = [
        "partial",
        "ready",
        "some removed",
        "all removed",
        "moving",
        "some moved",
    ];
    for (number, step) in steps.into_iter().enumerate() {
        let folder = Folder::with_batches(1);
        let state = folder.state();
        let before = files(&state);
        let name = ["restore.partial", "restore.ready", "restore.moving"];
        let new = state.join(match number {
            0 => name[0],
            1..4 => name[1],
            _ => name[2],
        });
        fs::create_dir(&new).unwrap();
        archive::extract(&backup, &new, &NoListener).unwrap();
        let old = [
            "performance.db",
            "performance.mark",
            "alerts.db",
            "exporters",
            "calls",
        ];
        let removed = match number {
            2 => &old[..2],
            3.. => &old[..],
            _ => &[],
        };
        for name in removed {
            workspace::remove(&state.join(name)).unwrap();
        }
        if number == 5 {
            for name in ["performance.db", "exporters"] {
                fs::rename(new.join(name), state.join(name)).unwrap();
            }
        }
        let refused = back_up(&state, &folder.path("no"), Keys::LeftOut, &NoListener);
        let is_refused = matches!(refused, Err(StateError::Unfinished { .. }));
        assert_eq!(is_refused, number > 0, "{step}");
        // Its message says to repeat the restore.
        if number == 4 {
            restore(&backup, &state, false).unwrap();
            assert!(!new.exists());
            let error = restore(&backup, &state, false).unwrap_err();
            assert!(matches!(error, StateError::NotEmpty { .. }), "{error}");
            assert_eq!(folder.pending(), 9);
            continue;
        }
        assert_eq!(finish(&state).unwrap(), number > 0, "{step}");
        assert!(!new.exists(), "{step}");
        if number == 0 {
            assert_eq!(files(&state), before, "{step}");
        }
        let batches = if number == 0 { 1 } else { 3 };
        assert_eq!(folder.pending(), batches * 3, "{step}");
        let file = state.join("exporters").join(EXPORTER).join("batches");
        assert_eq!(
            fs::read_to_string(file).unwrap(),
            batches.to_string(),
            "{step}"
        );
    }
}

#[test]
fn a_backup_that_was_cut_off_or_changed_is_refused_and_the_old_state_stays() {
    let folder = Folder::with_batches(2);
    let backup = folder.back_up("backup");
    let whole = fs::read(&backup).unwrap();
    let before = files(&folder.state());
    for (at, len) in [
        (None, 0),
        (None, 10),
        (None, whole.len() / 2),
        (None, whole.len() - 3),
        (Some(whole.len() / 2), whole.len()),
    ] {
        let mut bytes = whole[..len].to_vec();
        if let Some(at) = at {
            bytes[at] ^= 0x10;
        }
        let torn = folder.path("torn");
        fs::write(&torn, bytes).unwrap();
        let error = restore(&torn, &folder.state(), true).unwrap_err();
        assert!(
            matches!(error, StateError::Unsound { .. }),
            "{len}: {error}"
        );
        assert!(verify_backup(&torn, &NoListener).is_err());
        assert_eq!(files(&folder.state()), before);
    }
}

#[test]
fn no_archive_writes_outside_of_the_folder() {
    let folder = Folder::with_batches(1);
    for name in ["../evil", "/evil", "evil", "exporters/../../evil"] {
        let path = folder.path("hostile");
        let encoder = zstd::Encoder::new(fs::File::create(&path).unwrap(), 1).unwrap();
        let mut archive = tar::Builder::new(encoder);
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(1);
        header.set_cksum();
        archive.append(&header, &b"x"[..]).unwrap();
        archive.into_inner().unwrap().finish().unwrap();
        let error = restore(&path, &folder.state(), true).unwrap_err();
        assert!(
            error.to_string().contains("which no backup has"),
            "{name}: {error}"
        );
        assert!(!folder.path("evil").exists() && !folder.state().join("evil").exists());
    }
}

#[test]
fn an_archive_has_what_its_manifest_says_and_a_database() {
    let folder = Folder::with_batches(1);
    let empty = json!({"bytes": 0, "sha256": EMPTY});
    for (name, listed, reason) in [
        ("clock.json", "clock.json", "has no database"),
        (
            "alerts.db",
            "clock.json",
            "`alerts.db` is not in its manifest",
        ),
    ] {
        let path = folder.path("hostile");
        let encoder = zstd::Encoder::new(fs::File::create(&path).unwrap(), 1).unwrap();
        let mut archive = tar::Builder::new(encoder);
        let manifest = json!({
            "format": 1, "host_version": "0.1.0", "created_ms": 0, "has_key": false,
            "files": {listed: empty},
        });
        for (name, content) in [(name, ""), ("manifest.json", &*manifest.to_string())] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o600);
            let appended = archive.append_data(&mut header, name, content.as_bytes());
            appended.unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
        let error = restore(&path, &folder.state(), true).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(folder.state().join("alerts.db").exists());
    }
}

#[test]
fn a_state_is_replaced_only_on_request_and_what_revokes_stays() {
    let folder = Folder::with_batches(1);
    let state = folder.state();
    fs::write(state.join("inventory.key"), [7; 32]).unwrap();
    fs::set_permissions(
        state.join("inventory.key"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    let backup = folder.back_up("backup");
    let with_key = folder.path("with-key");
    assert!(
        back_up(&state, &with_key, Keys::Included, &NoListener)
            .unwrap()
            .has_key
    );
    assert_eq!(
        with_key.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    let error = back_up(&state, &backup, Keys::LeftOut, &NoListener).unwrap_err();
    assert!(matches!(error, StateError::Exists { .. }), "{error}");
    let error = restore(&backup, &state, false).unwrap_err();
    assert!(matches!(error, StateError::NotEmpty { .. }), "{error}");
    let tokens = r#"{"version":1, "tokens":[]}"#;
    fs::write(state.join("tokens.json"), tokens).unwrap();
    restore(&backup, &state, true).unwrap();
    assert_eq!(
        fs::read_to_string(state.join("tokens.json")).unwrap(),
        tokens
    );
    assert_eq!(fs::read(state.join("inventory.key")).unwrap(), [7; 32]);
    // A new folder gets everything that the backup has.
    let other = folder.path("other");
    assert!(!restore(&backup, &other, false).unwrap().has_key);
    assert!(other.join("tokens.json").exists());
    let third = folder.path("third");
    assert!(restore(&with_key, &third, false).unwrap().has_key);
    assert_eq!(fs::read(third.join("inventory.key")).unwrap(), [7; 32]);
    let host = folder.journals();
    let error = restore(&backup, &state, true).unwrap_err();
    assert!(
        matches!(error, StateError::Folder(OpenError::InUse { .. })),
        "{error}"
    );
    drop(host);
}

#[test]
fn root_gives_what_it_restores_to_the_owner_of_the_folder() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = Folder::with_batches(1);
    let backup = folder.back_up("backup");
    let other = folder.path("other");
    fs::create_dir(&other).unwrap();
    chown(&other, Some(65_534), Some(65_534)).unwrap();
    restore(&backup, &other, false).unwrap();
    let mut folders = vec![other];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            assert_eq!(metadata.uid(), 65_534, "{:?}", entry.path());
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
}

#[test]
fn root_restores_only_into_a_folder_and_a_lock_of_its_owner() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = Folder::with_batches(1);
    let backup = folder.back_up("backup");
    let other = folder.path("other");
    fs::create_dir(&other).unwrap();
    chown(&other, Some(65_534), Some(65_534)).unwrap();
    let victim = folder.path("victim");
    fs::write(&victim, "precious").unwrap();
    fs::hard_link(&victim, other.join("lock")).unwrap();
    let reason = |error: StateError| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        source.unwrap_or_default()
    };
    let error = restore(&backup, &other, false).unwrap_err();
    assert!(reason(error).contains("has a second name, as a hard link"));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(victim.metadata().unwrap().uid(), 0);
    fs::remove_file(other.join("lock")).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o777)).unwrap();
    let error = restore(&backup, &other, false).unwrap_err();
    assert!(reason(error).contains("other users can write it"));
}

#[test]
fn a_backup_with_faults_is_restored_only_on_request() {
    let folder = Folder::with_batches(3);
    let state = folder.state();
    let journal = rusqlite::Connection::open(state.join("performance.db")).unwrap();
    let damage = "UPDATE batches SET payload = zeroblob(bytes) WHERE seq = 2;";
    journal.execute_batch(damage).unwrap();
    drop(journal);
    let backup = folder.back_up("backup");
    let other = folder.path("other");
    let error = restore(&backup, &other, false).unwrap_err();
    let StateError::Faulty { faults, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].fault.starts_with("record 2: "), "{faults:?}");
    assert!(!contents::has_state(&other).unwrap());
    let request = RestoreRequest {
        file: &backup,
        state_dir: &other,
        key: &other.join("inventory.key"),
        replace: false,
        accept_faults: true,
    };
    let restored = super::restore(request, &NoListener).unwrap();
    assert_eq!(restored.faults, faults);
    assert!(contents::has_state(&other).unwrap());
}

#[test]
fn the_texts_of_a_check_name_the_files_of_the_backup_one_line_for_each_fault() {
    let folder = Folder::with_batches(1);
    let name = folder.state().join("resources.db");
    let resources = rusqlite::Connection::open(&name).unwrap();
    let many = "PRAGMA page_size = 512; PRAGMA application_id = 1; CREATE TABLE a (text TEXT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        INSERT INTO a SELECT hex(randomblob(40)) FROM n;";
    resources.execute_batch(many).unwrap();
    let sound = crate::sqlite::integrity(&resources).unwrap();
    assert_eq!(sound, Vec::<String>::new());
    drop(resources);
    let backup = folder.path("backup");
    let extracted = folder.path("extracted");
    fs::create_dir(&extracted).unwrap();
    fs::copy(&name, extracted.join("resources.db")).unwrap();
    let manifest = archive::BackupManifest::new(0, false);
    archive::write(&extracted, &backup, manifest, &NoListener).unwrap();
    let report = verify_backup(&backup, &NoListener).unwrap();
    let [fault] = &*report.faults else {
        panic!("{report:?}");
    };
    assert!(
        fault.fault.starts_with("`resources.db` is not "),
        "{fault:?}"
    );
    // Pages without a meaning.
    let mut bytes = fs::read(&name).unwrap();
    bytes[2 * 512..].fill(0x55);
    fs::write(&name, bytes).unwrap();
    let resources = rusqlite::Connection::open(&name).unwrap();
    let faults = crate::sqlite::integrity(&resources).unwrap();
    assert!(faults.len() > 1, "{faults:?}");
    for fault in faults {
        assert!(
            !fault.contains('\n') && !fault.starts_with("***"),
            "{fault}"
        );
    }
}

#[test]
fn each_damaged_record_counter_and_file_is_named() {
    let folder = Folder::with_batches(3);
    let state = folder.state();
    assert_eq!(folder.faults(), Vec::<String>::new());
    let change = |statement: &str| {
        let file = rusqlite::Connection::open(state.join("performance.db")).unwrap();
        file.execute_batch(statement).unwrap();
    };
    change(
        "UPDATE batches SET payload = zeroblob(bytes) WHERE seq = 2; UPDATE batches SET items = items - 1 WHERE seq = 3;",
    );
    change("UPDATE cursors SET delivered = 5, next_seq = 9;");
    change("INSERT INTO collected_windows VALUES ('one', 1, zeroblob(16), 9, 1, 1);");
    fs::write(state.join("clock.json"), "{").unwrap();
    fs::write(state.join("tokens.json"), "[").unwrap();
    fs::write(state.join("resources.db"), vec![b'x'; 8192]).unwrap();
    let faults = folder.faults().join("\n");
    for named in [
        "performance.db: record 2: ",
        "performance.db: record 3: its counts differ from its content",
        "performance.db: the newest records are missing",
        "performance.db: cursor of `acme`: it is at 9, and the newest record is 3",
        "performance.db: cursor of `acme`: 4 items are unaccounted for",
        "performance.db: last window of storage `one`: its record 9 was not given out yet",
        "clock.json: ",
        "tokens.json: ",
        "resources.db: ",
    ] {
        assert!(faults.contains(named), "{named} is not in:\n{faults}");
    }
}
