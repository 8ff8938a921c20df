use std::fs;

use serde_json::json;

use super::*;
use crate::{collect::StorageResource, postgres::testing::TestLease};

struct Fixture {
    store: ResourceStore,
    folder: tempfile::TempDir,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = ResourceStore::new(folder.path());
    Fixture { store, folder }
}

/// Volumes with these ids, names and capacities.
fn volumes(rows: &[(&str, &str, i64)]) -> ResourceList {
    let fields = |&(id, name, capacity): &(&str, &str, i64)| {
        let volume = json!({
            "native_volume_id": id, "name": name, "total_capacity": capacity,
        });
        volume.as_object().unwrap().clone()
    };
    ResourceList::new(ResourceKind::Volumes, rows.iter().map(fields).collect())
}

fn all() -> ResourceQuery {
    ResourceQuery {
        kind: ResourceKind::Volumes,
        filters: Vec::new(),
        sort: vec![("created_at".to_owned(), SortDirection::Ascending)],
        marker: None,
        offset: 0,
        limit: 1_000,
    }
}

impl Fixture {
    fn set(&self, storage_id: &str, rows: &[(&str, &str, i64)]) {
        let list = volumes(rows);
        self.store
            .replace(storage_id, ResourceKind::Volumes, &list)
            .unwrap();
    }

    fn select(&self, query: &ResourceQuery) -> Vec<StoredResource> {
        self.store.select(query).unwrap()
    }

    /// The names of the volumes that a query selects.
    fn names(&self, change: impl FnOnce(&mut ResourceQuery)) -> Vec<String> {
        let mut query = all();
        change(&mut query);
        let name = |volume: StoredResource| volume.fields["name"].as_str().unwrap().to_owned();
        self.select(&query).into_iter().map(name).collect()
    }
}

#[test]
fn a_list_replaces_the_one_before_and_resources_keep_their_ids() {
    let fixture = fixture();
    fixture.set("s", &[("1", "a", 1), ("2", "b", 1), ("3", "c", 1)]);
    let before = fixture.select(&all());
    fixture.set("s", &[("4", "d", 1), ("3", "c", 1), ("2", "other", 1)]);
    let after = fixture.select(&all());
    let of = |list: &[StoredResource], id: &str| {
        let mut list = list.iter();
        list.find(|one| one.fields["native_volume_id"] == id)
            .cloned()
    };
    assert_eq!(after.len(), 3);
    assert_eq!(of(&after, "1"), None);
    assert_eq!(of(&after, "3"), of(&before, "3"));
    let (earlier, changed) = (of(&before, "2").unwrap(), of(&after, "2").unwrap());
    assert_eq!(
        (earlier.id, earlier.created_us),
        (changed.id, changed.created_us)
    );
    assert_eq!(earlier.updated_us, None);
    assert!(changed.updated_us.is_some());
}

#[test]
fn resources_with_the_same_id_of_the_storage_are_kept_apart() {
    let fixture = fixture();
    fixture.set("s", &[("1", "a", 1), ("1", "b", 1)]);
    let ids = |fixture: &Fixture| -> Vec<Uuid> {
        let found = fixture.select(&all());
        found.into_iter().map(|one| one.id).collect()
    };
    let first = ids(&fixture);
    assert_eq!(first.len(), 2);
    fixture.set("s", &[("1", "a", 1), ("1", "b", 1)]);
    assert_eq!(ids(&fixture), first);
}

#[test]
fn a_query_filters_sorts_and_pages() {
    let fixture = fixture();
    fixture.set("s", &[("1", "c", 10), ("2", "a", 9), ("3", "b", 10)]);
    fixture.set("t", &[("1", "d", 7)]);
    let filter = |query: &mut ResourceQuery, name: &str, value: &str| {
        query.filters.push((name.to_owned(), value.to_owned()));
    };
    let sort = |query: &mut ResourceQuery, name: &str, direction| {
        query.sort.insert(0, (name.to_owned(), direction));
    };
    assert_eq!(fixture.names(|_| {}), ["c", "a", "b", "d"]);
    assert_eq!(
        fixture.names(|query| filter(query, "storage_id", "t")),
        ["d"]
    );
    assert_eq!(
        fixture.names(|query| filter(query, "native_volume_id", "1")),
        ["c", "d"]
    );
    assert_eq!(
        fixture.names(|query| filter(query, "name", "' OR 1 --")),
        [""; 0]
    );
    assert_eq!(
        fixture.names(|query| filter(query, "colour", "red")),
        [""; 0]
    );
    assert_eq!(
        fixture.names(|query| sort(query, "total_capacity", SortDirection::Descending)),
        ["c", "b", "a", "d"]
    );
    assert_eq!(
        fixture.names(|query| {
            sort(query, "name", SortDirection::Ascending);
            (query.offset, query.limit) = (1, 2);
        }),
        ["b", "c"]
    );
    let id = fixture.select(&all())[1].id.to_string();
    assert_eq!(fixture.names(|query| filter(query, "id", &id)), ["a"]);
    assert_eq!(fixture.names(|query| filter(query, "id", "a")), [""; 0]);
}

#[test]
fn a_list_goes_on_after_its_marker_also_where_sort_keys_are_equal_or_null() {
    let fixture = fixture();
    let rows: Vec<(String, i64)> = (0..25).map(|at| (format!("v{at:02}"), at % 3)).collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|(id, size)| (id.as_str(), id.as_str(), *size))
        .collect();
    fixture.set("s", &rows);
    let page = |marker: Option<String>| ResourceQuery {
        sort: vec![
            ("wwn".to_owned(), SortDirection::Descending),
            ("total_capacity".to_owned(), SortDirection::Ascending),
        ],
        marker,
        limit: 4,
        ..all()
    };
    let mut seen = Vec::new();
    loop {
        let marker = seen.last().map(|last: &StoredResource| last.id.to_string());
        let found = fixture.select(&page(marker));
        if found.is_empty() {
            break;
        }
        seen.extend(found);
    }
    let whole = fixture.select(&ResourceQuery {
        limit: 100,
        ..page(None)
    });
    assert_eq!(seen, whole);
    assert_eq!(seen.len(), 25);
    let unknown = page(Some(Uuid::nil().to_string()));
    assert!(matches!(
        fixture.store.select(&unknown),
        Err(ResourceQueryError::UnknownMarker)
    ));
    let mut query = all();
    query.sort = vec![("colour".to_owned(), SortDirection::Ascending)];
    assert!(matches!(
        fixture.store.select(&query),
        Err(ResourceQueryError::UnknownSortKey)
    ));
}

#[test]
fn a_host_has_the_initiators_of_its_own_storage() {
    let fixture = fixture();
    let list = |kind: ResourceKind, rows: serde_json::Value| {
        let rows = rows.as_array().unwrap().iter();
        ResourceList::new(
            kind,
            rows.map(|row| row.as_object().unwrap().clone()).collect(),
        )
    };
    let (hosts, initiators) = (
        ResourceKind::StorageHosts,
        ResourceKind::StorageHostInitiators,
    );
    let initiator =
        |id: &str| json!({"native_storage_host_id": "h", "native_storage_host_initiator_id": id});
    for (storage_id, ids) in [("s", ["i1", "i2"]), ("t", ["i3", "i4"])] {
        let rows = list(initiators, json!(ids.map(initiator)));
        fixture
            .store
            .replace(storage_id, initiators, &rows)
            .unwrap();
        let rows = list(hosts, json!([{"native_storage_host_id": "h"}]));
        fixture.store.replace(storage_id, hosts, &rows).unwrap();
    }
    let found = fixture.select(&ResourceQuery {
        kind: hosts,
        ..all()
    });
    let related: Vec<_> = found
        .iter()
        .map(|host| &host.fields["storage_host_initiators"])
        .collect();
    assert_eq!(related, [&json!(["i1", "i2"]), &json!(["i3", "i4"])]);
}

#[test]
fn a_failed_list_keeps_the_resources_and_says_why() {
    let fixture = fixture();
    fixture.set("s", &[("1", "a", 1)]);
    let kind = ResourceKind::Volumes;
    fixture
        .store
        .set_error("s", kind, "it does not answer")
        .unwrap();
    let lists = fixture.store.lists("s").unwrap();
    assert_eq!(lists.len(), 1);
    assert_eq!((lists[0].kind, lists[0].resources), (kind, 1));
    assert_eq!(lists[0].error.as_deref(), Some("it does not answer"));
    fixture.set("s", &[]);
    assert_eq!(fixture.store.lists("s").unwrap()[0].error, None);
}

#[test]
fn a_storage_that_is_removed_leaves_nothing() {
    let fixture = fixture();
    fixture.set("s", &[("1", "a", 1)]);
    fixture.set("t", &[("1", "b", 1)]);
    fixture.set("u", &[("1", "c", 1)]);
    fixture.store.remove("s").unwrap();
    fixture.store.retain(&["t".to_owned()]).unwrap();
    assert_eq!(fixture.names(|_| {}), ["b"]);
    assert_eq!(fixture.store.lists("u").unwrap(), []);
}

#[test]
fn a_damaged_file_is_replaced_and_the_ids_come_back() {
    let fixture = fixture();
    fixture.set("s", &[("1", "a", 1)]);
    let before = fixture.select(&all());
    let path = fixture.folder.path().join("resources.db");
    for damage in [&b"not a database, and long enough"[..], &[0; 4096]] {
        let store = ResourceStore::new(fixture.folder.path());
        drop(store.lists("s"));
        drop(store);
        fs::write(&path, damage).unwrap();
        let _ = fs::remove_file(fixture.folder.path().join("resources.db-wal"));
        let store = ResourceStore::new(fixture.folder.path());
        assert_eq!(store.select(&all()).unwrap(), []);
        let list = volumes(&[("1", "a", 1)]);
        store.replace("s", ResourceKind::Volumes, &list).unwrap();
        assert_eq!(store.select(&all()).unwrap()[0].id, before[0].id);
    }
}

#[test]
fn a_file_of_another_version_is_replaced_and_one_of_another_program_is_not() {
    let fixture = fixture();
    fixture.set("s", &[("1", "a", 1)]);
    let path = fixture.folder.path().join("resources.db");
    let change = |pragma: &str| {
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(pragma).unwrap();
        ResourceStore::new(fixture.folder.path()).select(&all())
    };
    assert_eq!(change("PRAGMA user_version = 2;").unwrap(), []);
    let foreign = change("PRAGMA application_id = 1; DROP TABLE lists;");
    assert!(matches!(foreign, Err(ResourceQueryError::Inventory(_))));
}

#[test]
fn a_resource_is_found_by_its_id_and_kind() {
    let fixture = fixture();
    fixture.set("s", &[("1", "a", 1)]);
    let stored = fixture.select(&all()).remove(0);
    let find = |kind| fixture.store.find(kind, stored.id).unwrap();
    assert_eq!(find(ResourceKind::Volumes), Some(stored.clone()));
    assert_eq!(find(ResourceKind::Disks), None);
    let list = volumes(&[("1", "a", 1)]);
    let StorageResource { native_id, .. } = &list.resources[0];
    assert_eq!(native_id, "1");
}

#[test]
fn the_next_host_of_a_cluster_has_the_lists_in_place_of_those_in_its_file() {
    let Some(lease) = TestLease::new() else {
        return;
    };
    let host = |epoch| {
        let Fixture { store, folder } = fixture();
        let store = store.in_database(Arc::new(lease.owner(epoch).unwrap()));
        Fixture { store, folder }
    };
    let former = host(1);
    former.set("s", &[("1", "a", 5), ("2", "b", 7)]);
    former.set("s", &[("1", "a", 6), ("2", "b", 7)]);
    former.set("removed", &[("1", "x", 1)]);
    former.store.remove("removed").unwrap();
    let failed = "away \0";
    let kind = ResourceKind::Ports;
    former.store.set_error("s", kind, failed).unwrap();
    // It was active before.
    let Fixture { store, folder } = fixture();
    store
        .replace("old", ResourceKind::Volumes, &volumes(&[("1", "old", 1)]))
        .unwrap();
    drop(store);
    let store = ResourceStore::new(folder.path()).in_database(Arc::new(lease.owner(2).unwrap()));
    let next = Fixture { store, folder };
    assert_eq!(next.select(&all()), former.select(&all()));
    let errors = |host: &Fixture| host.store.lists("s").unwrap();
    assert_eq!(errors(&next)[0], errors(&former)[0]);
    assert_eq!(errors(&next)[1].error.as_deref(), Some("away \u{fffd}"));
    assert!(next.store.lists("removed").unwrap().is_empty());
    // A former owner changes none.
    let list = volumes(&[("9", "late", 1)]);
    let late = former.store.replace("s", ResourceKind::Volumes, &list);
    assert!(
        matches!(late, Err(InventoryError::Database { .. })),
        "{late:?}"
    );
    assert_eq!(host(2).names(|_| ()), ["a", "b"]);
}
