use std::sync::Arc;

use delfin_plugin_api::{AlertBatchBuilder, Kind, NewAlert};
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::watch};

use super::*;
use crate::{
    alert,
    batch::NewBatch,
    batch_journal::{BatchJournal, ReadResult},
    delivery::Phase,
    journal::{self, JournalLimits, Journals},
};

const ROUND: Duration = Duration::from_secs(60);

/// A journal of alerts, the table that follows it, and the rounds of an exporter.
struct Setup {
    runtime: Runtime,
    journal: Arc<BatchJournal>,
    alerts: ActiveAlerts,
    rounds: Rounds,
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
        let journal = Arc::new(BatchJournal::new(Kind::Alert, journal, 1 << 20));
        let opened = alert::open(folder.path(), 100, &journal);
        let (alerts, follower) = runtime.block_on(opened).unwrap();
        let phase = watch::Sender::new(Phase::Running);
        runtime.spawn(follower.run(phase.subscribe()));
        let resend = Resend {
            every: ROUND,
            alerts: alerts.clone(),
        };
        Self {
            runtime,
            journal,
            alerts,
            rounds: Rounds::new(Some(resend)),
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
            let ReadResult::Batch(batch) = self.journal.read(seq).await.unwrap() else {
                panic!("no batch {seq}");
            };
            let mut batch = StoredBatch::clone(&batch);
            batch.header.accepted_ms -= i64::try_from(ago.as_millis()).unwrap();
            batch
        })
    }

    fn news_of(&self, batch: StoredBatch) -> (Vec<String>, u64) {
        let alerts = AlertBatch::try_from_arrow(batch.arrow.clone()).unwrap();
        let names = alerts
            .alerts()
            .map(|alert| alert.alert_name().unwrap().to_owned());
        let Some(rows) = self.rounds.news_of(&batch) else {
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
fn of_what_waited_only_what_nothing_overtook_is_sent() {
    let setup = Setup::new();
    let first = setup.accept(&[("fan", "Fault"), ("disk", "Fault")], ROUND);
    let second = setup.accept(&[("fan", "Recovery")], ROUND);
    let third = setup.accept(&[("fan", "Fault")], ROUND);
    assert_eq!(setup.news_of(first), (names(&["disk"]), 1));
    assert_eq!(setup.news_of(second), (names(&[]), 1));
    assert_eq!(setup.news_of(third), (names(&["fan"]), 0));
}

#[test]
fn what_did_not_wait_for_a_round_is_sent_as_it_is() {
    let setup = Setup::new();
    let first = setup.accept(&[("fan", "Fault")], Duration::ZERO);
    setup.accept(&[("fan", "Recovery")], Duration::ZERO);
    assert_eq!(setup.news_of(first), (names(&["fan"]), 0));
}

#[test]
fn what_was_asked_for_once_more_is_sent_as_it_is() {
    let setup = Setup::new();
    let mut replayed = setup.accept(&[("fan", "Fault")], ROUND);
    setup.accept(&[("fan", "Recovery")], ROUND);
    replayed.header.origin = Origin::Replay;
    assert_eq!(setup.news_of(replayed), (names(&["fan"]), 0));
}

#[test]
fn an_exporter_that_asks_for_nothing_gets_everything() {
    let mut setup = Setup::new();
    setup.rounds = Rounds::new(None);
    let first = setup.accept(&[("fan", "Fault")], ROUND);
    setup.accept(&[("fan", "Recovery")], ROUND);
    assert_eq!(setup.news_of(first), (names(&["fan"]), 0));
    assert!(!setup.rounds.is_due(Seq(9), Seq(0)));
    assert!(setup.rounds.begin().is_empty());
}

#[test]
fn a_round_waits_until_exporter_and_table_are_in_step() {
    let mut setup = Setup::new();
    let last = setup.accept(&[("fan", "Fault")], ROUND).seq;
    assert!(!setup.rounds.is_due(last, last), "a batch waits");
    assert!(setup.rounds.is_due(last.next(), last));
    let unknown = last.next().next();
    assert!(!setup.rounds.is_due(unknown, last), "the table is behind");
    assert!(setup.rounds.next(Instant::now() + ROUND) > Instant::now());
}

#[test]
fn a_round_is_the_active_alerts_and_the_next_one_is_later() {
    let mut setup = Setup::new();
    let last = setup
        .accept(&[("fan", "Fault"), ("disk", "Fault")], ROUND)
        .seq;
    let [round] = &*setup.rounds.begin() else {
        panic!("one batch")
    };
    assert_eq!((round.items, round.origin), (2, Origin::Resend));
    assert!(!round.parts[0].header.complete);
    assert!(!setup.rounds.is_due(last.next(), last));
}
