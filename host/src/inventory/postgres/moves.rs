//! Moves storages to another cluster of the same database.
//!
//! Promises: a storage belongs to one cluster at any time. It moves only to a cluster whose inventory has the same key, because its
//! secrets stay sealed as they are.

use delfin_plugin_api::postgres::tokio_postgres::Client;
use uuid::Uuid;

use super::{LIST_STORAGES, REMOVE_SOURCE, content, registration};
use crate::{
    inventory::{
        Registration,
        error::{InventoryError, MoveError, unavailable},
        seal::Sealer,
    },
    postgres::{FencedDatabase, StoreError},
};

/// The owner of the text that tells whether two clusters have the same key.
const KEY_PROOF: &[u8] = b"key_proof";

/// Whether a storage can be moved to a cluster.
enum MoveTarget {
    Unknown,
    /// It has never been active in a version that moves storages.
    EarlierVersion,
    HasKeyProof(Vec<u8>),
}

/// A text that only this key opens.
pub(super) fn key_proof(sealer: &Sealer) -> Result<Vec<u8>, InventoryError> {
    sealer.seal(KEY_PROOF, &[]).map_err(unavailable)
}

/// As [`Inventory::storages_of`](crate::inventory::Inventory::storages_of).
pub(super) fn storages_of(
    database: &FencedDatabase,
    sealer: &Sealer,
    cluster: &str,
) -> Result<Vec<Registration>, MoveError> {
    let name = cluster.to_owned();
    let read = database.read(async move |client, lease| {
        if name == lease {
            return Ok(None);
        }
        let target = find_target(client, &name).await?;
        let rows = client.query(LIST_STORAGES, &[&name]).await?;
        let stored = rows
            .iter()
            .map(registration)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Some((target, stored)))
    });
    let cluster = cluster.to_owned();
    let Some((target, stored)) = read.map_err(InventoryError::from)? else {
        return Err(MoveError::SameCluster { cluster });
    };
    match target {
        MoveTarget::Unknown => return Err(MoveError::UnknownCluster { cluster }),
        MoveTarget::EarlierVersion => return Err(MoveError::EarlierVersion { cluster }),
        MoveTarget::HasKeyProof(proof) if is_of(&proof, sealer) => {}
        MoveTarget::HasKeyProof(_) => return Err(MoveError::OtherKey { cluster }),
    }
    let opened = stored.into_iter().map(|one| sealer.registration(one));
    Ok(opened.collect::<Result<Vec<_>, _>>()?)
}

/// As [`Inventory::move_to`](crate::inventory::Inventory::move_to).
pub(super) fn move_to(
    database: &FencedDatabase,
    sealer: &Sealer,
    (id, cluster): (Uuid, &str),
    collected_until_ms: Option<i64>,
) -> Result<bool, MoveError> {
    const ARRIVE: &str =
        "UPDATE delfin_states SET arrivals = arrivals + 1 WHERE lease = $1 RETURNING key_proof";
    const MOVE: &str = "UPDATE delfin_storages
         SET lease = $3, collected_until_ms = GREATEST(collected_until_ms, $4) WHERE lease = $1 AND id = $2";
    const MOVE_SOURCE: &str =
        "UPDATE delfin_alert_sources SET lease = $3 WHERE lease = $1 AND storage_id = $2";
    let (id, cluster, sealer) = (id.to_string(), cluster.to_owned(), sealer.clone());
    let moved = database.change(async move |tx, lease| {
        // The other cluster cannot replace its key before this transaction has ended.
        let proof = tx.query_opt(ARRIVE, &[&cluster]).await?;
        let proof: Option<Vec<u8>> = proof.and_then(|row| row.get(0));
        if !proof.is_some_and(|proof| is_of(&proof, &sealer)) {
            return Err(content(format_args!(
                "the key of cluster `{cluster}` was replaced meanwhile (try again)"
            )));
        }
        let moved = tx
            .execute(MOVE, &[&lease, &id, &cluster, &collected_until_ms])
            .await?;
        // One may be left there of an earlier storage with this id.
        tx.execute(REMOVE_SOURCE, &[&cluster, &id]).await?;
        tx.execute(MOVE_SOURCE, &[&lease, &id, &cluster]).await?;
        Ok(moved)
    });
    Ok(moved.map_err(InventoryError::from)? > 0)
}

async fn find_target(client: &Client, cluster: &str) -> Result<MoveTarget, StoreError> {
    const FIND: &str = "SELECT key_proof FROM delfin_states WHERE lease = $1";
    let found = client.query_opt(FIND, &[&cluster]).await?;
    Ok(match found.map(|row| row.get(0)) {
        None => MoveTarget::Unknown,
        Some(None) => MoveTarget::EarlierVersion,
        Some(Some(proof)) => MoveTarget::HasKeyProof(proof),
    })
}

/// Whether a key has sealed a proof.
fn is_of(proof: &[u8], sealer: &Sealer) -> bool {
    sealer.unseal(KEY_PROOF, proof).is_ok()
}

#[cfg(test)]
mod tests {
    use std::{path::Path, slice::from_ref, sync::Arc};

    use crate::{
        inventory::{
            Inventory,
            conformance::{alert_source, registration as new_registration},
            key_place::KeyPlace,
            postgres::PostgresInventory,
        },
        postgres::testing::TestLease,
    };

    fn open(lease: &TestLease, key: &Path) -> PostgresInventory {
        let key = KeyPlace::State(key.join("inventory.key"));
        PostgresInventory::open(Arc::new(lease.owner(1).unwrap()), &key).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_storage_moves_with_its_secrets_and_until_when_it_was_collected() {
        let (Some(east), Some(west)) = (TestLease::new(), TestLease::new()) else {
            return;
        };
        let key = tempfile::tempdir().unwrap();
        let [a, b] = [&east, &west].map(|lease| open(lease, key.path()));
        let (storage, other) = (new_registration(), new_registration());
        let source = alert_source(storage.id);
        for one in [&storage, &other] {
            a.add(one).unwrap();
        }
        a.set_alert_source(&source).unwrap();
        assert_eq!(a.storages_of(&west.name).unwrap(), []);
        assert!(a.move_to(storage.id, &west.name, Some(7)).unwrap());
        assert_eq!(a.storages().unwrap(), [other]);
        assert_eq!(a.alert_sources().unwrap(), []);
        assert_eq!(b.storages().unwrap(), from_ref(&storage));
        assert_eq!(a.storages_of(&west.name).unwrap(), from_ref(&storage));
        assert_eq!(b.alert_sources().unwrap(), [source]);
        assert_eq!(
            (a.arrivals().unwrap(), b.arrivals().unwrap()),
            (Some(0), Some(1))
        );
        let id = storage.id.to_string();
        assert_eq!(b.earlier_progress().unwrap(), [(id.clone(), 7)].into());
        // A cluster that has collected nothing from it passes on what it knows.
        assert!(b.move_to(storage.id, &east.name, None).unwrap());
        assert_eq!(a.earlier_progress().unwrap(), [(id, 7)].into());
        assert!(!b.move_to(storage.id, &east.name, None).unwrap());
        assert_eq!(b.storages().unwrap(), []);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cluster_with_another_key_or_of_an_earlier_version_gets_no_storage() {
        let (Some(east), Some(west)) = (TestLease::new(), TestLease::new()) else {
            return;
        };
        let keys = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let a = open(&east, keys[0].path());
        let storage = new_registration();
        a.add(&storage).unwrap();
        let refused = |reason: &str| {
            let error = a.storages_of(&west.name).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            a.move_to(storage.id, &west.name, None).unwrap_err();
            assert_eq!(a.storages().unwrap(), from_ref(&storage));
        };
        refused("has its storages in the database");
        drop(west.owner(1).unwrap());
        refused("an earlier version was last active");
        let b = open(&west, keys[1].path());
        refused("has another key of its inventory");
        // It gets the same key, and then another one.
        let file = keys[0].path().join("inventory.key");
        b.rekey(Some(&file)).unwrap();
        assert_eq!(a.storages_of(&west.name).unwrap(), []);
        open(&west, keys[0].path()).rekey(None).unwrap();
        refused("has another key of its inventory");
        let own = a.storages_of(&east.name).unwrap_err().to_string();
        assert!(own.contains("already"), "{own}");
    }
}
