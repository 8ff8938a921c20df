//! The clusters of a real database.

use delfin_plugin_api::Kind;
use delfin_tests::receivers::Relay;

use super::*;
use crate::{
    cluster::MemberRole,
    postgres::testing::{database_at, port},
};

fn clusters_at(port: u16) -> Clusters {
    Clusters {
        database: database_at(port),
        lease: Duration::from_secs(10),
        client: Mutex::default(),
    }
}

/// All clusters, after some rows were added; `None` where the server is missing.
async fn clusters_with(rows: &str) -> Option<Clusters> {
    let clusters = clusters_at(port()?);
    let client = clusters.database.connect().await.unwrap();
    client.batch_execute(rows).await.unwrap();
    Some(clusters)
}

async fn find(clusters: &Clusters, name: &str) -> ClusterSummary {
    let list = clusters.list().await.unwrap();
    assert_eq!(list.total, list.clusters.len() as u64);
    let mut found = list.clusters.into_iter();
    found.find(|one| one.cluster.name == name).unwrap()
}

#[tokio::test]
async fn a_cluster_with_its_state_in_the_database_has_counts_and_another_has_none() {
    const ROWS: &str = "
        INSERT INTO delfin_leases VALUES
          ('counts', 1, 0, 'a', '', 'm', 1, 10000, now(), false, 'database'),
          ('folder', 1, 0, 'a', '', 'm', 1, 10000, now(), false, '0192');
        INSERT INTO delfin_storages
          SELECT lease, id, '', '', NULL, '', true, 1, false, 1, NULL, '', ''
          FROM unnest(ARRAY['counts', 'counts', 'folder'], ARRAY['s1', 's2', 's3']) AS storages (lease, id);
        INSERT INTO delfin_journals (name, epoch, session, head_items) VALUES
          ('counts.performance', 1, 1, 100), ('counts.alerts', 1, 1, NULL), ('folder.alerts', 1, 1, 1);
        INSERT INTO delfin_cursors
          SELECT journal, exporter, 1, 10, 5, NULL, 1, 0, 0, 40, 3, 2, ARRAY['a', 'b'], ARRAY[1, 4], ARRAY[]::bigint[],
            1, unused, 7, repeat('x', 2000), 8
          FROM (VALUES ('counts.performance', 'one', NULL), ('counts.performance', ':own', NULL),
            ('counts.alerts', 'two', 6::bigint), ('folder.alerts', 'old', NULL)) AS cursors (journal, exporter, unused);";
    let Some(clusters) = clusters_with(ROWS).await else {
        return;
    };
    let state = find(&clusters, "counts").await.state.unwrap();
    assert_eq!(state.storages, 2);
    let one = CursorSummary {
        cluster: "counts".to_owned(),
        kind: Kind::Performance,
        exporter: "one".to_owned(),
        // 95 accepted, and 50 of them have a disposition.
        pending: Some(45),
        delivered: 40,
        dead_lettered: 3,
        dropped: 5,
        filtered: 2,
        unused_since_ms: None,
        last_success_ms: Some(7),
        last_error: Some("x".repeat(1000)),
        last_error_ms: Some(8),
    };
    let two = CursorSummary {
        kind: Kind::Alert,
        exporter: "two".to_owned(),
        pending: None,
        unused_since_ms: Some(6),
        ..one.clone()
    };
    assert_eq!(state.cursors, [one, two]);
    assert_eq!(find(&clusters, "folder").await.state, None);
}

#[tokio::test]
async fn a_member_that_was_not_seen_for_twice_its_lease_is_gone() {
    const ROWS: &str = "
        INSERT INTO delfin_leases VALUES ('silent', 3, 0, 'a', '', 'm', 1, 10000, now(), false, '0192');
        INSERT INTO delfin_members
          SELECT lease, member, 'http://host', 'm', pid, now(), now() - seen * interval '1 s', ''
          FROM (VALUES ('silent', 'a', 1, 21), ('silent', 'b', 2, 19), ('new', 'c', 3, 0)) AS members (lease, member, pid, seen);";
    let Some(clusters) = clusters_with(ROWS).await else {
        return;
    };
    let roles = async |name| {
        let members = find(&clusters, name).await.cluster.members.into_iter();
        let roles = members.map(|member| (member.name, member.role, member.epoch));
        roles.collect::<Vec<_>>()
    };
    let a = ("a".to_owned(), MemberRole::Gone, Some(3));
    let b = ("b".to_owned(), MemberRole::Standby, None);
    assert_eq!(roles("silent").await, [a, b]);
    // No member has taken its lease yet.
    let c = ("c".to_owned(), MemberRole::Standby, None);
    assert_eq!(roles("new").await, [c]);
}

#[tokio::test]
async fn the_cluster_of_a_storage_is_found_with_its_active_member() {
    const ROWS: &str = "
        INSERT INTO delfin_leases VALUES ('owner', 1, 0, 'a', '', 'm', 9, 10000, now(), false, 'database');
        INSERT INTO delfin_members VALUES ('owner', 'a', 'http://host', 'm', 9, now(), now(), '');
        INSERT INTO delfin_storages VALUES ('owner', 'owned', '', '', NULL, '', true, 1, false, 1, NULL, '', '');";
    let Some(clusters) = clusters_with(ROWS).await else {
        return;
    };
    let owner = clusters.owner_of("owned").await.unwrap().unwrap();
    assert_eq!(owner.cluster, "owner");
    assert_eq!(owner.active.unwrap().address, "http://host");
    assert_eq!(clusters.owner_of("other").await.unwrap(), None);
}

#[tokio::test]
async fn nothing_can_be_changed_and_a_statement_ends_in_time() {
    let Some(port) = port() else {
        return;
    };
    let clusters = clusters_at(port);
    let write = clusters.read(async |tx| Ok(tx.execute("DELETE FROM delfin_leases", &[]).await?));
    let refused = write.await.unwrap_err();
    assert!(refused.contains("read-only transaction"), "{refused}");
    let wait = clusters.read(async |tx| Ok(tx.execute("SELECT pg_sleep(60)", &[]).await?));
    let late = wait.await.unwrap_err();
    assert!(late.contains("statement timeout"), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_its_name_is_in_the_error_and_with_it_the_next_call_works() {
    let Some(port) = port() else {
        return;
    };
    let relay = Relay::start(port);
    let clusters = clusters_at(relay.port());
    clusters.list().await.unwrap();
    relay.cut();
    let refused = clusters.list().await.unwrap_err();
    let named = format!("`{}`: ", relay.address());
    assert!(refused.starts_with(&named), "{refused}");
    relay.restore();
    clusters.list().await.unwrap();
}
