//! Writes lists. Only what differs from the list before is written.

use std::collections::HashMap;

use rusqlite::{Connection, params};
use serde_json::Value;
use uuid::Uuid;

use super::cluster_lists::StoredList;
use crate::collect::{ResourceKind, ResourceList};

const NAMESPACE: Uuid = Uuid::from_u128(0x6b1d_95ae_40f7_5c23_8d0e_f2b7_1a94_63cd);

pub(super) fn replace(
    connection: &mut Connection,
    storage_id: &str,
    kind: ResourceKind,
    list: &ResourceList,
    now_us: i64,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let mut before = stored(&transaction, storage_id, kind)?;
    {
        let mut insert =
            transaction.prepare("INSERT INTO resources VALUES (?1, ?2, ?3, ?4, NULL, ?5)")?;
        let mut update = transaction
            .prepare("UPDATE resources SET fields = ?2, updated_us = ?3 WHERE id = ?1")?;
        let mut repeated: HashMap<&str, u32> = HashMap::new();
        // Each new resource has a time of its own, so that a list by time keeps their order.
        for (created_us, resource) in (now_us..).zip(&list.resources) {
            let count = repeated.entry(&resource.native_id).or_default();
            let id = id(storage_id, kind, &resource.native_id, *count);
            *count += 1;
            let fields = Value::Object(resource.fields.clone()).to_string();
            match before.remove(&id) {
                None => {
                    insert.execute(params![id, kind.name(), storage_id, created_us, fields])?;
                }
                Some(earlier) if earlier != fields => {
                    update.execute(params![id, fields, now_us])?;
                }
                Some(_) => {}
            }
        }
        let mut delete = transaction.prepare("DELETE FROM resources WHERE id = ?1")?;
        for id in before.keys() {
            delete.execute([id])?;
        }
    }
    transaction.execute(
        "INSERT OR REPLACE INTO lists VALUES (?1, ?2, ?3, ?4, NULL)",
        params![storage_id, kind.name(), list.resources.len(), now_us],
    )?;
    transaction.commit()
}

pub(super) fn set_error(
    connection: &Connection,
    storage_id: &str,
    kind: ResourceKind,
    error: &str,
) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO lists VALUES (?1, ?2, 0, NULL, ?3)
            ON CONFLICT (storage_id, kind) DO UPDATE SET error = ?3",
        params![storage_id, kind.name(), error],
    )?;
    Ok(())
}

pub(super) fn remove(
    connection: &mut Connection,
    storage_id: &str,
    kinds: &[ResourceKind],
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for table in ["resources", "lists"] {
        let text = format!("DELETE FROM {table} WHERE kind = ?1 AND storage_id = ?2");
        let mut delete = transaction.prepare(&text)?;
        for kind in kinds {
            delete.execute([kind.name(), storage_id])?;
        }
    }
    transaction.commit()
}

/// Replaces everything.
pub(super) fn replace_all(
    connection: &mut Connection,
    lists: &[StoredList],
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch("DELETE FROM resources; DELETE FROM lists;")?;
    {
        let mut insert =
            transaction.prepare("INSERT INTO resources VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        for list in lists {
            let StoredList {
                storage_id,
                kind,
                resources,
                listed_us,
                error,
            } = list;
            for resource in resources {
                insert.execute(params![
                    resource.id,
                    kind,
                    storage_id,
                    resource.created_us,
                    resource.updated_us,
                    resource.fields.get(),
                ])?;
            }
            transaction.execute(
                "INSERT INTO lists VALUES (?1, ?2, ?3, ?4, ?5)",
                params![storage_id, kind, resources.len(), listed_us, error],
            )?;
        }
    }
    transaction.commit()
}

/// The fields of the list before, by id.
fn stored(
    connection: &Connection,
    storage_id: &str,
    kind: ResourceKind,
) -> rusqlite::Result<HashMap<Uuid, String>> {
    let mut statement = connection
        .prepare("SELECT id, fields FROM resources WHERE kind = ?1 AND storage_id = ?2")?;
    let rows = statement.query_map([kind.name(), storage_id], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    rows.collect()
}

/// The id of a resource follows from what it is, so that it is the same in every list. A storage
/// can list several resources with the same id of its own: they are numbered.
fn id(storage_id: &str, kind: ResourceKind, native_id: &str, number: u32) -> Uuid {
    let name = format!("{storage_id}/{}/{number}/{native_id}", kind.name());
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}
