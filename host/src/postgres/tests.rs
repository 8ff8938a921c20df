//! The state of an owner, with a real database.

use delfin_tests::receivers::Relay;

use super::{
    ClusterDatabase, DatabaseFailure, FencedDatabase, StoreError,
    testing::{TestLease, connector_to, port},
};
use crate::write_guard::WriteGuard;

/// Adds an exporter to those that are paused, as an example of a change.
fn add(owner: &FencedDatabase, exporter: &'static str) -> Result<(), String> {
    add_and(owner, exporter, || ())
}

/// The same, and does something right before the change is committed.
fn add_and(
    owner: &FencedDatabase,
    exporter: &'static str,
    before_commit: impl FnOnce() + Send + 'static,
) -> Result<(), String> {
    const ADD: &str = "INSERT INTO delfin_paused_exporters VALUES ($1, $2)";
    let changed = owner.change(async move |tx, lease| {
        tx.execute(ADD, &[&lease, &exporter]).await?;
        before_commit();
        Ok(())
    });
    changed.map_err(|failure| failure.reason)
}

fn added(owner: &FencedDatabase) -> Vec<String> {
    const LIST: &str =
        "SELECT exporter FROM delfin_paused_exporters WHERE lease = $1 ORDER BY exporter";
    let read = owner.read(async |client, lease| {
        let rows = client.query(LIST, &[&lease]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    });
    read.unwrap()
}

#[test]
fn a_change_is_made_as_a_whole_or_not_at_all() {
    let Some(lease) = TestLease::new() else {
        return;
    };
    let owner = lease.owner(1).unwrap();
    add(&owner, "a").unwrap();
    let half: Result<(), DatabaseFailure> = owner.change(async |tx, lease| {
        const ADD: &str = "INSERT INTO delfin_paused_exporters VALUES ($1, 'half')";
        tx.execute(ADD, &[&lease]).await?;
        Err(StoreError::Content("no".to_owned()))
    });
    assert_eq!(half.unwrap_err().reason, "no");
    assert_eq!(added(&owner), ["a"]);
    add(&owner, "b").unwrap();
    assert_eq!(added(&lease.owner(2).unwrap()), ["a", "b"]);
}

#[test]
fn a_former_owner_changes_nothing() {
    let Some(lease) = TestLease::new() else {
        return;
    };
    let former = lease.owner(1).unwrap();
    let owner = lease.owner(2).unwrap();
    let refused = add(&former, "late").unwrap_err();
    assert!(
        refused.starts_with("a member with a later epoch is the owner ("),
        "{refused}"
    );
    assert!(lease.owner(1).is_err());
    add(&owner, "a").unwrap();
    assert_eq!(added(&owner), ["a"]);
    // It may read what it had, and leases have nothing in common.
    assert_eq!(added(&former), ["a"]);
    assert!(added(&TestLease::new().unwrap().owner(1).unwrap()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_is_paused_within_a_change_does_not_keep_the_next_one_waiting() {
    let Some(lease) = TestLease::new() else {
        return;
    };
    drop(lease.owner(1).unwrap());
    let paused = lease.database().connect().await.unwrap();
    let held = format!(
        "BEGIN; UPDATE delfin_states SET changes = 1000 WHERE lease = '{}'",
        lease.name
    );
    paused.batch_execute(&held).await.unwrap();
    add(&lease.owner(2).unwrap(), "a").unwrap();
    paused.batch_execute("COMMIT").await.unwrap_err();
}

#[test]
fn after_the_lease_nothing_is_changed() {
    let Some(lease) = TestLease::new() else {
        return;
    };
    let guard: &WriteGuard = Box::leak(Box::new(WriteGuard::new()));
    let owner = lease.guarded_owner(1, guard).unwrap();
    guard.close();
    assert_eq!(
        add(&owner, "late"),
        Err("the lease of this host is over".to_owned())
    );
    assert!(added(&owner).is_empty());
}

#[test]
fn a_change_whose_answer_is_lost_is_made_once_and_known() {
    let Some(lease) = TestLease::new() else {
        return;
    };
    let relay = std::sync::Arc::new(Relay::start(port().unwrap()));
    let owner = lease.at(relay.port()).owner(1).unwrap();
    let lossy = std::sync::Arc::clone(&relay);
    add_and(&owner, "a", move || lossy.lose_next_answer()).unwrap();
    add(&owner, "b").unwrap();
    assert_eq!(added(&owner), ["a", "b"]);
}

#[test]
fn without_the_database_a_change_is_refused_with_its_name_and_with_it_they_go_on() {
    let Some(lease) = TestLease::new() else {
        return;
    };
    let relay = Relay::start(port().unwrap());
    let owner = lease.at(relay.port()).owner(1).unwrap();
    relay.cut();
    let refused = add(&owner, "a").unwrap_err();
    let named = format!("`{}`: ", relay.address());
    assert!(refused.starts_with(&named), "{refused}");
    relay.restore();
    add(&owner, "b").unwrap();
    assert_eq!(added(&owner), ["b"]);
}

#[tokio::test]
async fn tables_that_are_tried_out_are_not_made() {
    let Some(port) = port() else {
        return;
    };
    let database = new_database(port, "tried").await;
    let tried = database.try_out().await.unwrap();
    let used = tried.batch_execute("SELECT FROM delfin_tokens").await;
    used.unwrap();
    drop(tried);
    let other = connector_to(port, "tried").connect().await.unwrap();
    let absent = other.batch_execute("SELECT FROM delfin_tokens").await;
    assert!(absent.is_err());
}

/// A database without tables.
async fn new_database(port: u16, name: &str) -> ClusterDatabase {
    let server = connector_to(port, "postgres").connect().await.unwrap();
    let create = format!("CREATE DATABASE {name}");
    server.batch_execute(&create).await.unwrap();
    ClusterDatabase::new(connector_to(port, name), name)
}

#[tokio::test]
async fn tables_of_an_older_host_are_upgraded_and_it_goes_on() {
    const NOTE: &str =
        "INSERT INTO delfin_members AS m VALUES ('l', 'a', '', '', 1, now(), now(), '')
        ON CONFLICT (lease, member) DO UPDATE SET seen_at = now()";
    const TAKE: &str =
        "INSERT INTO delfin_leases SELECT 'l', 1, 0, 'a', '', '', 1, 1, now(), false, 'f'";
    let Some(port) = port() else {
        return;
    };
    let database = new_database(port, "upgraded").await;
    let old = connector_to(port, "upgraded").connect().await.unwrap();
    old.batch_execute(include_str!("schema.sql")).await.unwrap();
    old.batch_execute(NOTE).await.unwrap();
    let new = database.connect().await.unwrap();
    let version = new.query_one("SELECT version FROM delfin_schema", &[]);
    assert_eq!(version.await.unwrap().get::<_, i32>(0), 2);
    let member = "SELECT priority IS NULL AND offered_at IS NULL FROM delfin_members";
    let kept: bool = new.query_one(member, &[]).await.unwrap().get(0);
    assert!(kept);
    for statement in [NOTE, TAKE] {
        old.batch_execute(statement).await.unwrap();
    }
    database.connect().await.unwrap();
}

#[tokio::test]
async fn tables_of_a_newer_host_are_refused_with_the_remedy() {
    let Some(port) = port() else {
        return;
    };
    let database = new_database(port, "newer").await;
    let newer = database.connect().await.unwrap();
    let raise = "UPDATE delfin_schema SET version = 99";
    newer.batch_execute(raise).await.unwrap();
    let refused = database.connect().await.unwrap_err();
    assert_eq!(
        database.reason(refused),
        "`newer`: its tables have schema version 99, and this host needs 2 (run the release that changed them, or a newer one)"
    );
}
