//! The tests of every journal, and what is special to one on Kafka, with a real broker and a real database.

use std::slice;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use delfin_plugin_api::setting::Secret;
use delfin_plugin_api::tls::Tls;
use delfin_tests::receivers::{KafkaBroker, Relay};
use delfin_tests::{PATIENCE, wait_for};
use kafka_protocol::records::Compression;

use super::client::encode;
use super::entry::{BatchEntry, Term};
use super::*;
use crate::journal::conformance::{Medium, after, journal_conformance, limits, record};
use crate::postgres;

static GUARD: WriteGuard = WriteGuard::new();

/// The servers of all tests.
struct TestServers {
    broker: KafkaBroker,
    /// The port of PostgreSQL.
    postgres: u16,
}

/// A journal of its own, which has a new owner each time that it is opened.
#[derive(Clone)]
struct KafkaMedium {
    cluster: String,
    brokers: String,
    tls: Option<Tls>,
    sasl: Option<SaslLogin>,
    postgres: u16,
    guard: &'static WriteGuard,
}

/// `None` where one of the servers is missing.
fn servers() -> Option<&'static TestServers> {
    static SERVERS: OnceLock<Option<TestServers>> = OnceLock::new();
    let start = || {
        Some(TestServers {
            broker: KafkaBroker::start()?.throw_away(),
            postgres: postgres::testing::port()?,
        })
    };
    SERVERS.get_or_init(start).as_ref()
}

impl KafkaMedium {
    fn new() -> Option<Self> {
        static JOURNALS: AtomicI64 = AtomicI64::new(0);
        let servers = servers()?;
        Some(Self {
            cluster: format!("test-{}", JOURNALS.fetch_add(1, Ordering::Relaxed)),
            brokers: servers.broker.servers(),
            tls: None,
            sasl: None,
            postgres: servers.postgres,
            guard: &GUARD,
        })
    }

    fn topic(&self) -> String {
        format!("{}.alerts", self.cluster)
    }

    fn open_of(&self, epoch: i64, limits: JournalLimits) -> Result<KafkaJournal, OpenError> {
        let tls = self.tls.as_ref().map(|tls| Arc::new(tls.config().unwrap()));
        let topics = KafkaTopics {
            bootstrap_servers: vec![self.brokers.clone()],
            tls,
            sasl: self.sasl.clone(),
            replicas: 1,
            cluster: self.cluster.clone(),
        };
        let journals = KafkaJournals {
            topics,
            database: self.database(),
            epoch,
        };
        KafkaJournal::open(&journals, "alerts", self.guard, limits, &HostClock::new())
    }

    /// Opens the journal as the owner of the next epoch.
    fn try_open(&self, limits: JournalLimits) -> Result<KafkaJournal, OpenError> {
        static EPOCHS: AtomicI64 = AtomicI64::new(1);
        self.open_of(EPOCHS.fetch_add(1, Ordering::Relaxed), limits)
    }

    fn database(&self) -> ClusterDatabase {
        postgres::testing::database_at(self.postgres)
    }

    /// A client apart from the journal.
    fn partition(&self) -> PartitionClient {
        PartitionClient::new(PartitionName {
            brokers: vec![self.brokers.clone()],
            tls: None,
            sasl: None,
            topic: self.topic(),
            partition: 0,
        })
    }

    /// As a host does, waits for a broker that a busy machine keeps from its work.
    fn wait_for_owner(&self, limits: &JournalLimits) -> KafkaJournal {
        wait_for("an open journal", || match self.try_open(limits.clone()) {
            Err(OpenError::Remote { may_pass: true, .. }) => None,
            opened => Some(opened.unwrap()),
        })
    }

    fn owner(&self) -> KafkaJournal {
        self.wait_for_owner(&limits())
    }
}

impl Medium for KafkaMedium {
    fn open(&self, limits: JournalLimits) -> Arc<dyn Journal> {
        Arc::new(self.wait_for_owner(&limits))
    }

    fn after_crash(&self) -> Box<dyn Medium> {
        Box::new(self.clone())
    }
}

fn new_medium() -> Box<dyn Medium> {
    Box::new(KafkaMedium::new().unwrap())
}

// A change waits for two servers, so that these are fewer cases than for a file.
journal_conformance!(new_medium, servers().is_some(), 8);

#[tokio::test(flavor = "multi_thread")]
async fn the_database_tells_what_is_pending_although_nothing_is_committed() {
    let Some(medium) = KafkaMedium::new() else {
        return;
    };
    let journal = medium.owner();
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    for _ in 0..3 {
        journal.append(record(2), None).await.unwrap();
    }
    let client = medium.database().connect().await.unwrap();
    let noted = async {
        loop {
            let cursors = summarize_cursors(&client, slice::from_ref(&medium.cluster)).await;
            if cursors.unwrap()[0].pending == Some(6) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, noted).await.unwrap();
}

/// The reason of an append that was refused for now.
async fn refused(journal: &dyn Journal, record: NewRecord) -> String {
    match journal.append(record, None).await {
        Err(AppendError::Remote { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

fn items(journal: &dyn Journal) -> Vec<(u64, u64)> {
    let all = ReadLimit {
        records: u32::MAX,
        bytes: usize::MAX,
    };
    let records = journal.read_many(Seq(0), all).unwrap();
    let items = records
        .iter()
        .map(|record| (record.seq.0, record.header.items));
    items.collect()
}

#[tokio::test]
async fn a_former_owner_appends_and_commits_nothing() {
    let Some(medium) = KafkaMedium::new() else {
        return;
    };
    let former = medium.owner();
    former.open_cursor("a", StartFrom::Now).await.unwrap();
    former.append(record(1), None).await.unwrap();
    let owner = medium.owner();
    let reason = refused(&former, record(2)).await;
    assert!(reason.contains("a member with the later term"), "{reason}");
    let committed = former
        .commit("a", Commit::delivered(after(Seq(1)), 1))
        .await;
    assert_eq!(
        committed,
        Err(CursorError::Unavailable {
            reason: "a member with a later epoch is the owner (if the table `delfin_leases` was restored, set \
                     `epoch` in it above those in `delfin_states` and `delfin_journals`)"
                .to_owned()
        })
    );
    // It stays so, and the owner has a journal without gaps.
    refused(&former, record(3)).await;
    assert_eq!(owner.append(record(4), None).await.unwrap().seq, Seq(2));
    assert_eq!(items(&owner), [(1, 1), (2, 4)]);
    let counts = owner.counts("a").unwrap().unwrap();
    assert_eq!((counts.delivered, counts.pending), (0, 5));
    drop(owner);
    let later = medium.owner();
    assert_eq!(items(&later), [(1, 1), (2, 4)]);
}

#[tokio::test]
async fn a_write_of_a_former_owner_that_arrives_late_does_not_count() {
    let Some(medium) = KafkaMedium::new() else {
        return;
    };
    let term = Term {
        epoch: 0,
        session: 1,
    };
    let former = medium.open_of(term.epoch, limits()).unwrap();
    former.append(record(1), None).await.unwrap();
    let owner = medium.owner();
    let late = BatchEntry {
        term,
        seq: Seq(2),
        ..BatchEntry::new(record(2), 1, None)
    };
    let batch = encode(vec![late.to_log(vec![1].into())], Compression::None).unwrap();
    medium.partition().produce(batch).await.unwrap();
    assert_eq!(owner.append(record(3), None).await.unwrap().seq, Seq(2));
    assert_eq!(items(&owner), [(1, 1), (2, 3)]);
    drop(owner);
    assert_eq!(items(&medium.owner()), [(1, 1), (2, 3)]);
}

#[tokio::test]
async fn an_owner_that_is_paused_within_a_transaction_does_not_keep_the_next_one_waiting() {
    let Some(medium) = KafkaMedium::new() else {
        return;
    };
    drop(medium.owner());
    let paused = medium.database().connect().await.unwrap();
    let held = format!(
        "BEGIN; UPDATE delfin_journals SET head_seq = 1000 WHERE name = '{}'",
        medium.topic()
    );
    paused.batch_execute(&held).await.unwrap();
    let owner = medium.owner();
    assert_eq!(owner.append(record(1), None).await.unwrap().seq, Seq(1));
    paused.batch_execute("COMMIT").await.unwrap_err();
}

#[tokio::test]
async fn an_append_whose_answer_is_lost_is_in_the_journal_once() {
    let Some(mut medium) = KafkaMedium::new() else {
        return;
    };
    let relay = Relay::start(servers().unwrap().broker.port());
    medium.brokers = relay.address();
    let journal = medium.owner();
    journal.append(record(1), None).await.unwrap();
    relay.lose_next_answer();
    let key = Some("once".to_owned());
    let receipt = journal.append(record(2), key.clone()).await.unwrap();
    assert_eq!((receipt.seq, receipt.repeated), (Seq(2), false));
    let again = journal.append(record(3), key).await.unwrap();
    assert_eq!((again.seq, again.repeated), (Seq(2), true));
    assert_eq!(items(&journal), [(1, 1), (2, 2)]);
}

#[tokio::test]
async fn without_a_broker_appends_are_refused_and_with_it_they_go_on() {
    let Some(mut medium) = KafkaMedium::new() else {
        return;
    };
    let relay = Relay::start(servers().unwrap().broker.port());
    medium.brokers = relay.address();
    let journal = medium.owner();
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let seq = journal.append(record(1), None).await.unwrap().seq;
    relay.cut();
    let reason = refused(&journal, record(2)).await;
    let expected = format!("broker `{}`: connection refused (", relay.address());
    assert!(reason.starts_with(&expected), "{reason}");
    assert!(journal.stats().unwrap().fault.is_some());
    // The database has the cursors.
    let delivered = Commit::delivered(after(seq), 1);
    journal.commit("a", delivered).await.unwrap();
    relay.restore();
    let again = tokio::time::timeout(PATIENCE, async {
        loop {
            // A refusal says nothing about later ones: the client sends its batch again.
            if let Ok(receipt) = journal.append(record(3), None).await {
                return receipt;
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(again.await.unwrap().seq, Seq(2));
    assert_eq!(items(&journal), [(2, 3)]);
    assert_eq!(journal.stats().unwrap().fault, None);
}

#[tokio::test]
async fn without_a_database_commits_are_refused_and_with_it_they_go_on() {
    let Some(mut medium) = KafkaMedium::new() else {
        return;
    };
    let relay = Relay::start(servers().unwrap().postgres);
    medium.postgres = relay.port();
    let journal = medium.owner();
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let seq = journal.append(record(1), None).await.unwrap().seq;
    relay.cut();
    let delivered = || Commit::delivered(after(seq), 1);
    let refused = journal.commit("a", delivered()).await.unwrap_err();
    let CursorError::Unavailable { reason } = refused else {
        panic!("{refused:?}");
    };
    assert!(
        reason.starts_with(&format!("`{}`: ", relay.address())),
        "{reason}"
    );
    assert_eq!(journal.counts("a").unwrap().unwrap().pending, 1);
    // Records need no database. Whether a key is known is in it.
    let (keyed, other) = tokio::join!(
        journal.append(record(1), Some("key".to_owned())),
        journal.append(record(2), None)
    );
    assert!(
        matches!(keyed, Err(AppendError::Remote { .. })),
        "{keyed:?}"
    );
    other.unwrap();
    relay.restore();
    let committed = tokio::time::timeout(PATIENCE, async {
        while journal.commit("a", delivered()).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    committed.await.unwrap();
    let counts = journal.counts("a").unwrap().unwrap();
    assert_eq!((counts.delivered, counts.pending), (1, 2));
}

#[tokio::test]
async fn after_the_lease_nothing_is_acknowledged() {
    let Some(mut medium) = KafkaMedium::new() else {
        return;
    };
    medium.guard = Box::leak(Box::new(WriteGuard::new()));
    let journal = medium.owner();
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    let seq = journal.append(record(1), None).await.unwrap().seq;
    medium.guard.close();
    let reason = refused(&journal, record(2)).await;
    assert_eq!(reason, "the lease of this host is over");
    let committed = journal.commit("a", Commit::delivered(after(seq), 1)).await;
    assert_eq!(committed, Err(CursorError::Unavailable { reason }));
    assert_eq!(journal.counts("a").unwrap().unwrap().delivered, 0);
}

#[test]
fn a_journal_that_cannot_be_opened_says_why() {
    let Some(medium) = KafkaMedium::new() else {
        return;
    };
    let error = |medium: KafkaMedium| medium.try_open(limits()).err().unwrap().to_string();
    let name = KafkaMedium {
        cluster: "a topic".to_owned(),
        ..medium.clone()
    };
    let text = error(name);
    assert!(
        text.starts_with("cannot open journal `a topic.alerts`: topic `a topic.alerts`: "),
        "{text}"
    );
    let closed = KafkaMedium {
        brokers: "127.0.0.1:1".to_owned(),
        ..medium.clone()
    };
    let text = error(closed);
    assert!(
        text.contains("broker `127.0.0.1:1`: connection refused ("),
        "{text}"
    );
    // A database listens there.
    let database = KafkaMedium {
        brokers: format!("127.0.0.1:{}", medium.postgres),
        ..medium
    };
    let text = error(database);
    assert!(
        text.contains("(check that the port is that of a broker of Kafka)"),
        "{text}"
    );
}

#[tokio::test]
async fn records_that_are_missing_in_the_topic_are_noticed_when_the_journal_is_opened() {
    let Some(medium) = KafkaMedium::new() else {
        return;
    };
    let journal = medium.owner();
    journal.open_cursor("a", StartFrom::Now).await.unwrap();
    for items in 1..=3 {
        journal.append(record(items), None).await.unwrap();
    }
    drop(journal);
    // The first record is behind the fence.
    medium.partition().delete_before(3).await.unwrap();
    let error = medium.try_open(limits()).err().unwrap().to_string();
    assert!(
        error.contains("record 1 is missing, and the database expects it ("),
        "{error}"
    );
}

#[tokio::test]
async fn connections_to_brokers_are_encrypted_if_that_is_configured() {
    let (Some(medium), Some(servers)) = (KafkaMedium::new(), servers()) else {
        return;
    };
    let trusted = Tls {
        ca_certificate: Some(servers.broker.ca().into()),
        client_certificate: None,
    };
    let with = |brokers: String, tls: Option<Tls>| KafkaMedium {
        brokers,
        tls,
        ..medium.clone()
    };
    let encrypted = with(servers.broker.tls_servers(), Some(trusted.clone()));
    let journal = encrypted.owner();
    journal.append(record(1), None).await.unwrap();
    assert_eq!(items(&journal), [(1, 1)]);
    drop(journal);
    let error = |medium: KafkaMedium| medium.try_open(limits()).err().unwrap().to_string();
    let tls = servers.broker.tls_servers();
    let plain = error(with(tls.clone(), None));
    assert!(
        plain.contains("its listener uses TLS (set `cluster.kafka.tls`"),
        "{plain}"
    );
    let unknown = error(with(tls.clone(), Some(Tls::default())));
    assert!(
        unknown.contains(&format!("broker `{tls}`: ")) && unknown.contains("certificate"),
        "{unknown}"
    );
    let other = error(with(servers.broker.servers(), Some(trusted)));
    assert!(
        other.contains(&format!("broker `{}`: ", servers.broker.servers())),
        "{other}"
    );
}

#[tokio::test]
async fn brokers_that_want_a_login_get_it_and_a_wrong_one_is_named() {
    let (Some(medium), Some(servers)) = (KafkaMedium::new(), servers()) else {
        return;
    };
    let with = |brokers: String, mechanism, password: &str| KafkaMedium {
        brokers,
        sasl: Some(SaslLogin {
            mechanism,
            username: "delfin".to_owned(),
            password: Secret::new(password),
        }),
        ..KafkaMedium::new().unwrap_or_else(|| medium.clone())
    };
    let sasl = servers.broker.sasl_servers();
    let tls = Tls {
        ca_certificate: Some(servers.broker.ca().into()),
        client_certificate: None,
    };
    for mechanism in SaslMechanism::ALL {
        let journal = with(sasl.clone(), mechanism, "delfin-secret").owner();
        journal.append(record(1), None).await.unwrap();
        assert_eq!(items(&journal), [(1, 1)]);
        let encrypted = KafkaMedium {
            tls: Some(tls.clone()),
            ..with(
                servers.broker.sasl_tls_servers(),
                mechanism,
                "delfin-secret",
            )
        };
        let journal = encrypted.owner();
        journal.append(record(1), None).await.unwrap();
    }
    let error = |medium: KafkaMedium| medium.try_open(limits()).err().unwrap().to_string();
    for mechanism in SaslMechanism::ALL {
        let wrong = error(with(sasl.clone(), mechanism, "a-wrong-password"));
        let expected = format!(
            "broker `{sasl}`: it refuses the login of user `delfin` with `{}`: ",
            mechanism.as_str()
        );
        assert!(
            wrong.contains(&expected) && wrong.contains("(check `username` and `password`"),
            "{wrong}"
        );
        assert!(!wrong.contains("a-wrong-password"), "{wrong}");
    }
    let plain = servers.broker.servers();
    let needless = error(with(plain, SaslMechanism::Plain, "delfin-secret"));
    assert!(
        needless.contains("its listener has no SASL (remove `cluster.kafka.sasl`"),
        "{needless}"
    );
    let missing = error(KafkaMedium {
        brokers: sasl,
        ..medium
    });
    assert!(missing.contains("`cluster.kafka.sasl`"), "{missing}");
}
