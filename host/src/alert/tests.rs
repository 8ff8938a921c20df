//! The table with a real journal: active alerts after batches and restarts.

mod model;

use std::{path::Path, sync::Arc, time::Duration};

use delfin_plugin_api::{Alert, AlertBatch, AlertBatchBuilder, Batch, Kind, NewAlert, Origin};
use tempfile::TempDir;
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};
use uuid::Uuid;

use super::{ActiveAlerts, Follower, TrackedAlert};
use crate::{
    batch::{NewBatch, Seq},
    batch_journal::BatchJournal,
    clock::{HostClock, millis, now_ms},
    config::AlertsConfig,
    journal::{self, JournalLimits, Journals, Receipt},
    lifecycle::Phase,
    memory::MemoryBudget,
};

const MANY: usize = 1000;

/// An alert journal and its follower, in a folder of their own.
struct Host {
    runtime: Runtime,
    folder: TempDir,
    _journals: Journals,
    journal: Arc<BatchJournal>,
    alerts: ActiveAlerts,
    follower: Follower,
    phase: watch::Sender<Phase>,
}

/// A row of an alert batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct AlertRow {
    storage: &'static str,
    name: &'static str,
    is_recovery: bool,
}

const fn fault(storage: &'static str, name: &'static str) -> AlertRow {
    AlertRow {
        storage,
        name,
        is_recovery: false,
    }
}

const fn recovery(storage: &'static str, name: &'static str) -> AlertRow {
    AlertRow {
        storage,
        name,
        is_recovery: true,
    }
}

impl Host {
    fn start(max_active: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let limits = JournalLimits {
            retention: Duration::from_hours(2),
            ..JournalLimits::unlimited()
        };
        let journals = journal::open(&folder.path().join("journal"), &limits).unwrap();
        let journal = Arc::clone(journals.of(Kind::Alert));
        let journal = Arc::new(BatchJournal::new(
            Kind::Alert,
            journal,
            &MemoryBudget::new(1 << 20),
        ));
        let (alerts, follower) = open(&runtime, folder.path(), max_active, &journal);
        Self {
            runtime,
            folder,
            _journals: journals,
            journal,
            alerts,
            follower,
            phase: watch::Sender::new(Phase::Running),
        }
    }

    /// A start of the host after it was killed.
    fn restart(&mut self) {
        self.restart_with(MANY);
    }

    fn restart_with(&mut self, max_active: usize) {
        (self.alerts, self.follower) =
            open(&self.runtime, self.folder.path(), max_active, &self.journal);
    }

    fn accept(&self, batch: AlertBatch, complete_for: Option<&str>) -> Receipt {
        let new = NewBatch {
            rows: batch.into(),
            origin: if complete_for.is_some() {
                Origin::Sync
            } else {
                Origin::Ingest
            },
            storage_id: complete_for.map(str::to_owned),
            complete: complete_for.is_some(),
        };
        let accepted = self.journal.accept(new, None);
        self.runtime.block_on(accepted).unwrap()
    }

    fn ingest(&self, alerts: &[AlertRow]) -> Receipt {
        self.accept(batch(alerts), None)
    }

    /// A complete list of a storage's alerts.
    fn sync(&self, storage: &'static str, names: &[&'static str]) -> Receipt {
        let alerts: Vec<AlertRow> = names.iter().map(|name| fault(storage, name)).collect();
        self.accept(batch(&alerts), Some(storage))
    }

    fn follow(&mut self) {
        let mut phase = self.phase.subscribe();
        while self.runtime.block_on(self.follower.advance(&mut phase)) == Ok(true) {}
    }

    fn active(&self) -> Vec<(String, String)> {
        let named = |alert: &Arc<TrackedAlert>| {
            let [storage_id, _, name, ..] = alert.identity.texts();
            (storage_id.to_owned(), name.to_owned())
        };
        self.alerts.list().iter().map(named).collect()
    }

    /// The recoveries that the follower appended: batch ids and alerts.
    fn own_recoveries(&self) -> Vec<(Uuid, Vec<String>)> {
        let mut found = Vec::new();
        let mut next = Seq(0);
        while let Some(entry) = self.journal.backend().read(next).unwrap() {
            next = entry.seq.next();
            if BatchJournal::is_derived(entry.header.batch_id) {
                assert_eq!(entry.header.origin, Origin::Sync);
                assert!(!entry.header.complete);
                let batch = entry.payload.decode().unwrap();
                let batch = AlertBatch::try_from_arrow(batch).unwrap();
                let name = |alert: Alert<'_>| {
                    assert_eq!(alert.category(), Some("Recovery"));
                    assert_eq!(alert.description(), Some("the description"));
                    alert.alert_name().unwrap().to_owned()
                };
                found.push((entry.header.batch_id, batch.alerts().map(name).collect()));
            }
        }
        found
    }
}

fn open(
    runtime: &Runtime,
    folder: &Path,
    max_active: usize,
    journal: &Arc<BatchJournal>,
) -> (ActiveAlerts, Follower) {
    runtime
        .block_on(super::open(folder, None, &limits(max_active), journal))
        .unwrap()
}

fn limits(max_active: usize) -> AlertsConfig {
    AlertsConfig {
        max_active,
        ..AlertsConfig::default()
    }
}

fn batch(alerts: &[AlertRow]) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for row in alerts {
        batch.alert(NewAlert {
            occur_time: 7,
            texts: &[
                ("storage_id", row.storage),
                ("alert_name", row.name),
                (
                    "category",
                    if row.is_recovery { "Recovery" } else { "Fault" },
                ),
                ("severity", "Major"),
                ("description", "the description"),
                ("rack", "r1"),
            ],
        });
    }
    batch.build()
}

fn named(storage: &str, name: &str) -> (String, String) {
    (storage.to_owned(), name.to_owned())
}

#[test]
fn a_fault_is_active_until_its_recovery() {
    let mut host = Host::start(MANY);
    host.ingest(&[fault("s", "fan"), fault("s", "disk")]);
    host.follow();
    assert_eq!(host.active(), [named("s", "disk"), named("s", "fan")]);
    host.ingest(&[recovery("s", "fan"), recovery("t", "disk")]);
    host.follow();
    assert_eq!(host.active(), [named("s", "disk")]);
}

#[test]
fn an_alert_that_is_absent_from_a_complete_sync_has_ended_and_its_recovery_is_appended() {
    let mut host = Host::start(MANY);
    host.sync("s", &["fan", "disk"]);
    host.sync("t", &["fan"]);
    let last = host.sync("s", &["disk"]);
    host.follow();
    assert_eq!(host.active(), [named("s", "disk"), named("t", "fan")]);
    let name = Uuid::new_v5(&last.batch_id, b"follows");
    assert_eq!(host.own_recoveries(), [(name, vec!["fan".to_owned()])]);
    let empty = host.sync("s", &[]);
    host.follow();
    assert_eq!(host.active(), [named("t", "fan")]);
    let name = Uuid::new_v5(&empty.batch_id, b"follows");
    assert_eq!(host.own_recoveries()[1], (name, vec!["disk".to_owned()]));
}

#[test]
fn an_alert_that_is_absent_from_an_ingested_batch_has_not_ended() {
    let mut host = Host::start(MANY);
    host.ingest(&[fault("s", "fan")]);
    host.ingest(&[fault("s", "disk")]);
    host.follow();
    assert_eq!(host.active().len(), 2);
    assert_eq!(host.own_recoveries(), []);
}

#[test]
fn the_alerts_of_one_storage_are_counted_without_those_that_have_ended() {
    let mut host = Host::start(MANY);
    host.ingest(&[fault("r", "fan"), fault("s", "fan"), fault("s", "disk")]);
    host.ingest(&[fault("t", "fan"), recovery("s", "fan")]);
    host.follow();
    let counts = host.alerts.counts_of("s");
    assert_eq!((counts["Major"], counts["Fatal"]), (1, 0));
    assert_eq!(host.alerts.counts_of("unknown")["Major"], 0);
}

#[test]
fn the_table_survives_a_restart() {
    let mut host = Host::start(MANY);
    host.ingest(&[fault("s", "fan")]);
    host.follow();
    let before = host.alerts.list();
    host.restart();
    assert_eq!(host.alerts.list(), before);
    assert_eq!(before[0].text("rack"), Some("r1"));
    // Accepted but not applied before the restart.
    host.ingest(&[recovery("s", "fan"), fault("s", "disk")]);
    host.restart();
    host.follow();
    assert_eq!(host.active(), [named("s", "disk")]);
}

#[test]
fn an_active_alert_keeps_its_first_seen_time_and_one_that_ended_gets_a_new_one() {
    let mut host = Host::start(MANY);
    host.ingest(&[fault("s", "fan")]);
    host.follow();
    let first = host.alerts.list()[0].clone();
    host.ingest(&[fault("s", "fan")]);
    host.follow();
    let again = host.alerts.list()[0].clone();
    assert_eq!(again.first_seen_ms, first.first_seen_ms);
    assert!(again.last_seq > first.last_seq);
    host.ingest(&[recovery("s", "fan"), fault("s", "fan")]);
    host.follow();
    let reopened = host.alerts.list()[0].clone();
    assert_eq!(reopened.first_seen_ms, reopened.last_seen_ms);
}

#[test]
fn a_full_table_drops_the_oldest_alert_and_counts_it() {
    let mut host = Host::start(2);
    for name in ["a", "b", "c"] {
        host.ingest(&[fault("s", name)]);
    }
    host.follow();
    assert_eq!(host.active().len(), 2);
    assert_eq!(host.alerts.stats().dropped, 1);
    assert_eq!(host.alerts.stats().active["Major"], 2);
    host.restart_with(1);
    assert_eq!(host.active().len(), 1);
}

#[test]
fn an_end_is_sent_again_for_15_minutes_with_the_texts_of_its_alert() {
    let mut host = Host::start(MANY);
    host.ingest(&[fault("s", "fan")]);
    host.ingest(&[recovery("s", "fan"), recovery("s", "unknown")]);
    host.follow();
    host.restart();
    let now = now_ms();
    let clock = HostClock::manual(now);
    let batches = host.alerts.resend_batches(&clock, 10);
    let alert = batches[0].alerts().next().unwrap();
    assert_eq!((batches.len(), batches[0].items()), (1, 1));
    assert_eq!(alert.category(), Some("Recovery"));
    assert_eq!(alert.extra().get("rack"), Some("r1"));
    clock.pass(Duration::from_mins(16), now - 1_000);
    assert!(host.alerts.resend_batches(&clock, 10).is_empty());
}

#[test]
fn resent_alerts_come_in_batches_of_bounded_size() {
    let mut host = Host::start(MANY);
    host.ingest(&["a", "b", "c", "d", "e"].map(|name| fault("s", name)));
    host.follow();
    let batches = host.alerts.resend_batches(&HostClock::new(), 2);
    let sizes: Vec<u64> = batches.iter().map(Batch::items).collect();
    assert_eq!(sizes, [2, 2, 1]);
}

#[test]
fn a_row_is_outdated_if_a_later_batch_contains_its_alert() {
    let mut host = Host::start(MANY);
    let rows = [fault("s", "fan"), fault("s", "disk")];
    let first = host.ingest(&rows);
    let end = host.ingest(&[recovery("s", "fan")]);
    let current = |host: &Host, receipt: &Receipt, rows: &[AlertRow]| {
        host.alerts.current_rows(receipt.seq, &batch(rows))
    };
    assert_eq!(current(&host, &first, &rows), [0, 1]);
    assert!(!host.alerts.has_applied_before(end.seq));
    host.follow();
    assert!(host.alerts.has_applied_before(end.seq.next()));
    assert_eq!(current(&host, &first, &rows), [1]);
    assert_eq!(current(&host, &end, &[recovery("s", "fan")]), [0]);
}

#[test]
fn an_up_to_date_table_holds_no_records_in_the_journal() {
    let mut host = Host::start(MANY);
    host.sync("s", &["fan"]);
    host.follow();
    let journal = Arc::clone(host.journal.backend());
    let counts = || journal.counts(":active-alerts").unwrap().unwrap();
    assert_eq!(journal.cursors().unwrap(), []);
    let mut phase = host.phase.subscribe();
    host.phase.send_replace(Phase::Aborting);
    let follower = std::mem::replace(
        &mut host.follower,
        open(&host.runtime, host.folder.path(), MANY, &host.journal).1,
    );
    phase.mark_unchanged();
    host.runtime.block_on(follower.run(phase));
    assert_eq!((counts().pending, counts().unaccounted()), (0, 0));
}

#[test]
fn a_damaged_table_is_moved_aside_and_filled_again_from_the_journal() {
    let mut host = Host::start(MANY);
    host.ingest(&[fault("s", "fan")]);
    host.follow();
    let path = host.folder.path().join("alerts-active.db");
    for companion in ["alerts-active.db-wal", "alerts-active.db-shm"] {
        // The file may not exist.
        let _ = std::fs::remove_file(host.folder.path().join(companion));
    }
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    host.restart();
    assert_eq!(host.active(), []);
    host.follow();
    assert_eq!(host.active(), [named("s", "fan")]);
    let names = std::fs::read_dir(host.folder.path()).unwrap();
    let aside = names
        .filter_map(Result::ok)
        .any(|entry| entry.file_name().to_string_lossy().contains(".corrupt-"));
    assert!(aside);
}

#[test]
fn a_table_of_a_newer_host_is_refused_in_one_line() {
    let host = Host::start(MANY);
    let path = host.folder.path().join("alerts-active.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 9).unwrap();
    let limits = limits(MANY);
    let opened = super::open(host.folder.path(), None, &limits, &host.journal);
    let error = host.runtime.block_on(opened).unwrap_err().to_string();
    assert!(
        error.contains("has schema version 9, this host needs 2"),
        "{error}"
    );
}

impl Host {
    /// Ingests alerts of storage `s` with these names and categories.
    fn ingest_categories(&self, alerts: &[(&str, &str)]) -> Receipt {
        let mut batch = AlertBatchBuilder::new();
        for (name, category) in alerts {
            batch.alert(NewAlert {
                occur_time: 7,
                texts: &[
                    ("storage_id", "s"),
                    ("alert_name", name),
                    ("category", category),
                ],
            });
        }
        self.accept(batch.build(), None)
    }

    /// Ends what is too old on this clock.
    fn expire(&mut self, clock: &HostClock) {
        let mut phase = self.phase.subscribe();
        let expired = self.follower.expire(clock, &mut phase);
        assert_eq!(self.runtime.block_on(expired), Ok(()));
        self.follow();
    }

    fn recovered(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut next = Seq(0);
        while let Some(record) = self.journal.backend().read(next).unwrap() {
            next = record.seq.next();
            let batch = record.payload.decode().unwrap();
            let batch = AlertBatch::try_from_arrow(batch).unwrap();
            let recoveries = batch.alerts().filter(|a| a.category() == Some("Recovery"));
            found.extend(recoveries.map(|alert| alert.alert_name().unwrap().to_owned()));
        }
        found
    }
}

#[test]
fn an_event_is_never_active_and_ends_no_fault() {
    let mut host = Host::start(MANY);
    host.ingest_categories(&[("fan", "Fault"), ("login", "Event"), ("fan", "event")]);
    host.follow();
    assert_eq!(host.active(), [named("s", "fan")]);
}

/// A clock that starts after everything that the test has accepted.
fn clock_after_test() -> (HostClock, i64) {
    let wall_ms = now_ms() + 1_000;
    (HostClock::manual(wall_ms), wall_ms)
}

#[test]
fn an_alert_that_may_be_no_fault_ends_when_it_is_not_seen_again() {
    let mut host = Host::start(MANY);
    host.ingest_categories(&[("fan", "Fault"), ("trap", "NotSpecified")]);
    host.follow();
    let (clock, wall_ms) = clock_after_test();
    let minute_ms = millis(Duration::from_mins(1));
    clock.pass(Duration::from_mins(58), wall_ms + 58 * minute_ms);
    host.expire(&clock);
    assert_eq!(host.active().len(), 2);
    clock.pass(Duration::from_mins(2), wall_ms + 60 * minute_ms);
    host.expire(&clock);
    assert_eq!(host.active(), [named("s", "fan")]);
    assert_eq!(host.recovered(), ["trap"]);
    host.restart();
    host.follow();
    assert_eq!(host.active(), [named("s", "fan")]);
}

#[test]
fn a_step_of_the_clock_ends_no_alert() {
    let mut host = Host::start(MANY);
    host.ingest_categories(&[("trap", "NotSpecified")]);
    host.follow();
    let (clock, wall_ms) = clock_after_test();
    clock.pass(
        Duration::from_mins(1),
        wall_ms + millis(Duration::from_hours(24 * 365)),
    );
    host.expire(&clock);
    assert_eq!(host.active(), [named("s", "trap")]);
}

#[test]
fn a_full_table_drops_alerts_that_may_be_no_faults_first() {
    let mut host = Host::start(2);
    host.ingest_categories(&[("fan", "Fault"), ("trap", "NotSpecified")]);
    host.ingest_categories(&[("disk", "Fault"), ("trap-2", "NotSpecified")]);
    host.follow();
    assert_eq!(host.active(), [named("s", "disk"), named("s", "fan")]);
}

#[test]
fn an_alert_that_another_host_has_collected_counts_as_ingested() {
    let mut host = Host::start(MANY);
    host.sync("s", &["fan"]);
    let forwarded = NewBatch {
        rows: batch(&[fault("t", "disk")]).into(),
        origin: Origin::Sync,
        storage_id: Some("t".to_owned()),
        complete: true,
    };
    let accepted = host.journal.accept_forwarded(forwarded, None);
    host.runtime.block_on(accepted).unwrap();
    host.follow();
    let alerts = host.alerts.list();
    let is_ingested = |storage: &str| {
        let alert = alerts
            .iter()
            .find(|alert| alert.identity.storage_id() == storage);
        alert.unwrap().is_ingested
    };
    // Otherwise it would end as soon as this host starts without the storage.
    assert!(is_ingested("t") && !is_ingested("s"));
}

#[test]
fn an_ingested_alert_ends_at_its_maximum_age_and_a_collected_one_does_not() {
    let mut host = Host::start(MANY);
    let limits = AlertsConfig {
        ingested_max_age: Some(Duration::from_mins(10)),
        ..AlertsConfig::default()
    };
    let opened = super::open(host.folder.path(), None, &limits, &host.journal);
    (host.alerts, host.follower) = host.runtime.block_on(opened).unwrap();
    host.ingest(&[fault("s", "fan")]);
    host.sync("t", &["disk"]);
    host.follow();
    let (clock, wall_ms) = clock_after_test();
    clock.pass(
        Duration::from_mins(10),
        wall_ms + millis(Duration::from_mins(10)),
    );
    host.expire(&clock);
    assert_eq!(host.active(), [named("t", "disk")]);
    assert_eq!(host.recovered(), ["fan"]);
}

#[test]
fn a_table_of_version_1_is_migrated() {
    let mut host = Host::start(MANY);
    host.sync("s", &["fan"]);
    host.follow();
    let path = host.folder.path().join("alerts-active.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch("ALTER TABLE alerts DROP COLUMN is_ingested; PRAGMA user_version = 1;")
        .unwrap();
    drop(connection);
    host.restart();
    let alerts = host.alerts.list();
    assert_eq!(alerts.len(), 1);
    // Who sent it is unknown.
    assert!(alerts[0].is_ingested);
}
