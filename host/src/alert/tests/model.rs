//! The table against a model, over random sequences of batches, restarts and crashes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use proptest::prelude::*;
use uuid::Uuid;

use super::{AlertRow, Host, MANY, fault};
use crate::clock::{HostClock, millis, now_ms};

const STORAGES: [&str; 2] = ["s", "t"];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const FILES: [&str; 3] = [
    "alerts-active.db",
    "alerts-active.db-wal",
    "alerts-active.db-shm",
];

#[derive(Clone, Debug)]
enum Step {
    Ingest(Vec<AlertRow>),
    Sync(&'static str, BTreeSet<&'static str>),
    Follow,
    /// Starts again with the files as they are. Batches that were accepted and not applied
    /// are like a crash in between.
    Restart,
    /// Copies the file of the table.
    CopyTable,
    /// Starts again with the copy: later writes of the table never reached the disk, but the
    /// recoveries that were appended to the journal did.
    Crash,
}

#[derive(Default)]
struct Model {
    active: BTreeSet<(String, String)>,
    recoveries: BTreeMap<Uuid, Vec<String>>,
}

impl Model {
    fn ingest(&mut self, alerts: &[AlertRow]) {
        for row in alerts {
            let key = (row.storage.to_owned(), row.name.to_owned());
            if row.is_recovery {
                self.active.remove(&key);
            } else {
                self.active.insert(key);
            }
        }
    }

    fn sync(&mut self, batch_id: Uuid, storage: &str, names: &BTreeSet<&str>) {
        let absent = |(of, name): &(String, String)| of == storage && !names.contains(&**name);
        let ended: Vec<_> = self
            .active
            .iter()
            .filter(|key| absent(key))
            .cloned()
            .collect();
        self.active.retain(|key| !absent(key));
        for name in names {
            self.active.insert((storage.to_owned(), (*name).to_owned()));
        }
        if !ended.is_empty() {
            let id = Uuid::new_v5(&batch_id, b"follows");
            let names = ended.into_iter().map(|(_, name)| name).collect();
            self.recoveries.insert(id, names);
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let row = (0..STORAGES.len(), 0..NAMES.len(), any::<bool>()).prop_map(|(s, n, is_recovery)| {
        AlertRow {
            is_recovery,
            ..fault(STORAGES[s], NAMES[n])
        }
    });
    let names = prop::collection::btree_set(prop::sample::select(&NAMES[..]), 0..4);
    prop_oneof![
        4 => prop::collection::vec(row, 0..4).prop_map(Step::Ingest),
        4 => (prop::sample::select(&STORAGES[..]), names).prop_map(|(s, names)| Step::Sync(s, names)),
        4 => Just(Step::Follow),
        2 => Just(Step::Restart),
        1 => Just(Step::CopyTable),
        1 => Just(Step::Crash),
    ]
}

/// Copies the files of the table from one folder to another.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    for name in FILES {
        // A file that is missing in `from` must be missing in `to`.
        let _ = fs::remove_file(to.join(name));
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(delfin_tests::soak(24)))]

    #[test]
    fn the_table_is_what_the_journal_says(steps in prop::collection::vec(step(), 1..24)) {
        let mut host = Host::start(MANY);
        let copied = tempfile::tempdir().unwrap();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Ingest(alerts) => {
                    host.ingest(&alerts);
                    model.ingest(&alerts);
                }
                Step::Sync(storage, names) => {
                    let list: Vec<&str> = names.iter().copied().collect();
                    let receipt = host.sync(storage, &list);
                    model.sync(receipt.batch_id, storage, &names);
                }
                Step::Follow => host.follow(),
                Step::Restart => host.restart(),
                Step::CopyTable => copy(host.folder.path(), copied.path()),
                Step::Crash => {
                    copy(copied.path(), host.folder.path());
                    host.restart();
                }
            }
        }
        host.follow();
        let active: BTreeSet<_> = host.active().into_iter().collect();
        prop_assert_eq!(&active, &model.active);
        let own = host.own_recoveries();
        prop_assert_eq!(own.len(), model.recoveries.len(), "each once");
        let own: BTreeMap<_, _> = own.into_iter().collect();
        prop_assert_eq!(own, model.recoveries);
        let later = HostClock::manual(now_ms() + millis(Duration::from_hours(1)));
        let again: BTreeSet<_> = host.alerts.resend_batches(&later, MANY).iter()
            .flat_map(|batch| batch.alerts().map(|a| (a.storage_id().unwrap().to_owned(),
                                                       a.alert_name().unwrap().to_owned())).collect::<Vec<_>>())
            .collect();
        prop_assert_eq!(again, active, "a resend is what is active");
    }
}
