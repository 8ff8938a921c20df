use std::sync::Arc;

use delfin_plugin_api::{AlertBatchBuilder, Kind, NewAlert};
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::watch};

use super::*;
use crate::{
    alert,
    batch::NewBatch,
    batch_journal::{BatchJournal, JournalReader, ReadForm, ReadResult},
    config::AlertsConfig,
    delivery::Phase,
    journal::{self, JournalLimits, Journals, StartFrom},
    memory::MemoryBudget,
    plugin::DeathCause,
};

const INTERVAL: Duration = Duration::from_secs(60);

/// A journal of alerts, the table of active alerts, and the resend schedule of an exporter.
struct Setup {
    runtime: Runtime,
    journal: Arc<BatchJournal>,
    alerts: ActiveAlerts,
    schedule: ResendSchedule,
    _phase: watch::Sender<Phase>,
    _journals: Journals,
    _folder: TempDir,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let limits = JournalLimits {
            retention: Duration::from_hours(2),
            ..JournalLimits::unlimited()
        };
        let journals = journal::open(folder.path(), &limits).unwrap();
        let journal = Arc::clone(journals.of(Kind::Alert));
        let journal = Arc::new(BatchJournal::new(
            Kind::Alert,
            journal,
            &MemoryBudget::new(1 << 20),
        ));
        let limits = AlertsConfig::default();
        let opened = alert::open(folder.path(), None, &limits, &journal);
        let (alerts, follower) = runtime.block_on(opened).unwrap();
        let phase = watch::Sender::new(Phase::Running);
        runtime.spawn(follower.run(phase.subscribe()));
        let resend = Resend {
            interval: INTERVAL,
            alerts: alerts.clone(),
        };
        Self {
            runtime,
            journal,
            alerts,
            schedule: ResendSchedule::new(Some(resend), HostClock::new()),
            _phase: phase,
            _journals: journals,
            _folder: folder,
        }
    }

    /// Accepts alerts, each a name and a category: the batch as an exporter
    /// would read it, and accepted that long ago.
    fn accept(&self, alerts: &[(&str, &str)], ago: Duration) -> StoredBatch {
        let mut batch = AlertBatchBuilder::new();
        for (name, category) in alerts {
            batch.alert(NewAlert {
                occur_time: 1,
                texts: &[("alert_name", name), ("category", category)],
            });
        }
        let batch = batch.build();
        let new = NewBatch {
            rows: batch.into(),
            origin: Origin::Ingest,
            storage_id: Some("s".to_owned()),
            complete: true,
        };
        self.runtime.block_on(async {
            let seq = self.journal.accept(new, None).await.unwrap().seq;
            while !self.alerts.has_applied_before(seq.next()) {
                tokio::task::yield_now().await;
            }
            let mut reader =
                JournalReader::new(&self.journal, "reader", StartFrom::Now, ReadForm::Rows);
            let ReadResult::Batch(batch) = reader.read(seq).await.unwrap() else {
                panic!("no batch {seq}");
            };
            let ago = i64::try_from(ago.as_millis()).unwrap();
            let header = Header {
                accepted_ms: batch.header.accepted_ms - ago,
                ..batch.header.clone()
            };
            let payload = Arc::clone(&batch.payload);
            StoredBatch::new(seq, header, batch.arrow.clone(), payload)
        })
    }

    fn wanted(&self, batch: StoredBatch) -> (Vec<String>, u64) {
        let alerts = AlertBatch::try_from_arrow(batch.arrow.clone()).unwrap();
        let names = alerts
            .alerts()
            .map(|alert| alert.alert_name().unwrap().to_owned());
        let Some(rows) = self.schedule.wanted_rows(&batch) else {
            return (names.collect(), 0);
        };
        let all: Vec<String> = names.collect();
        let news = rows.iter().map(|&row| all[row as usize].clone());
        (news.collect(), (all.len() - rows.len()) as u64)
    }
}

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn superseded_rows_that_waited_are_not_sent() {
    let setup = Setup::new();
    let first = setup.accept(&[("fan", "Fault"), ("disk", "Fault")], INTERVAL);
    let second = setup.accept(&[("fan", "Recovery")], INTERVAL);
    let third = setup.accept(&[("fan", "Fault")], INTERVAL);
    assert_eq!(setup.wanted(first), (names(&["disk"]), 1));
    assert_eq!(setup.wanted(second), (names(&[]), 1));
    assert_eq!(setup.wanted(third), (names(&["fan"]), 0));
}

#[test]
fn rows_that_waited_less_than_the_interval_are_sent() {
    let setup = Setup::new();
    let first = setup.accept(&[("fan", "Fault")], Duration::ZERO);
    setup.accept(&[("fan", "Recovery")], Duration::ZERO);
    assert_eq!(setup.wanted(first), (names(&["fan"]), 0));
}

#[test]
fn replayed_rows_are_sent() {
    let setup = Setup::new();
    let mut replayed = setup.accept(&[("fan", "Fault")], INTERVAL);
    setup.accept(&[("fan", "Recovery")], INTERVAL);
    replayed.header.origin = Origin::Replay;
    assert_eq!(setup.wanted(replayed), (names(&["fan"]), 0));
}

#[test]
fn an_exporter_without_resend_gets_every_row() {
    let mut setup = Setup::new();
    setup.schedule = ResendSchedule::new(None, HostClock::new());
    let first = setup.accept(&[("fan", "Fault")], INTERVAL);
    setup.accept(&[("fan", "Recovery")], INTERVAL);
    assert_eq!(setup.wanted(first), (names(&["fan"]), 0));
    assert!(!setup.schedule.is_due(Seq(9), Seq(0)));
    assert!(setup.schedule.start().is_empty());
}

#[test]
fn a_resend_waits_until_exporter_and_table_have_caught_up() {
    let mut setup = Setup::new();
    let last = setup.accept(&[("fan", "Fault")], INTERVAL).seq;
    assert!(!setup.schedule.is_due(last, last), "a batch is pending");
    assert!(setup.schedule.is_due(last.next(), last));
    let unknown = last.next().next();
    assert!(!setup.schedule.is_due(unknown, last), "the table is behind");
    assert!(setup.schedule.next_due().is_some());
}

#[test]
fn a_resend_is_the_active_alerts_and_the_next_one_is_an_interval_later() {
    let mut setup = Setup::new();
    let last = setup
        .accept(&[("fan", "Fault"), ("disk", "Fault")], INTERVAL)
        .seq;
    let [request] = &*setup.schedule.start() else {
        panic!("one batch")
    };
    assert_eq!((request.items, request.origin), (2, Origin::Resend));
    assert!(!request.parts[0].header.complete);
    assert!(!setup.schedule.is_due(last.next(), last));
}

/// The alerts of a resend that arrive at an exporter whose process ends with `poison`, and how
/// often it ends.
fn resend(schedule: &mut ResendSchedule) -> (Vec<String>, u32) {
    let death = ProcessDeath {
        cause: DeathCause::Exit(1),
        in_call: true,
    };
    let (mut arrived, mut deaths) = (Vec::new(), 0);
    schedule.requests = schedule.start();
    while let Some(request) = schedule.requests.pop() {
        let alerts = AlertBatch::try_from_arrow(request.arrow.clone()).unwrap();
        assert_eq!(request.items, alerts.items());
        let alerts = alerts.alerts();
        let names: Vec<String> = alerts.map(|a| a.alert_name().unwrap().to_owned()).collect();
        if names.iter().any(|name| name.starts_with("poison")) {
            schedule.on_death(&request, &death);
            deaths += 1;
        } else {
            arrived.extend(names);
        }
    }
    arrived.sort();
    (arrived, deaths)
}

#[test]
fn an_alert_that_ends_the_process_is_left_out_and_the_others_arrive() {
    let mut setup = Setup::new();
    let sent = ["a", "poison-1", "b", "c", "poison-2", "d"].map(|name| (name, "Fault"));
    setup.accept(&sent, INTERVAL);
    let (arrived, deaths) = resend(&mut setup.schedule);
    assert_eq!(arrived, names(&["a", "b", "c", "d"]));
    assert!((6..20).contains(&deaths), "{deaths}");
    assert_eq!(resend(&mut setup.schedule), (arrived, 0));
}
