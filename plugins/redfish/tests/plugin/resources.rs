//! Lists of resources.

use delfin_tests::redfish::{MockService, array};
use serde_json::{Value, json};

use crate::calls::TestedStorage;

fn ids(rows: &[Value], key: &str) -> Vec<String> {
    let ids = rows.iter().map(|row| row[key].as_str().unwrap_or("?"));
    ids.map(str::to_owned).collect()
}

#[test]
fn an_array_has_its_resources_with_capacity_and_status() {
    let service = MockService::start(array::modern());
    let mut storage = TestedStorage::open(&service, json!({}));
    let info = storage.identify().unwrap();
    let gib = 1_u64 << 30;
    assert_eq!(info["name"], "a1-hk");
    assert_eq!(info["serial_number"], "SN-A1-0001");
    assert_eq!(
        (&info["vendor"], &info["model"]),
        (&json!("Acme"), &json!("A1"))
    );
    assert_eq!(info["firmware_version"], "7.4.1");
    assert_eq!(
        info["capacity"],
        json!({
            "total": 1_000 * gib, "used": 400 * gib, "free": 600 * gib,
            "raw": 1_920_000_000_000_u64, "subscribed": 500 * gib
        })
    );
    let pools = storage.list("storage_pools").unwrap();
    assert_eq!(
        pools[0],
        json!({
            "native_storage_pool_id": "Storage/A1/StoragePools/P1", "name": "gold",
            "description": null, "storage_type": "block", "status": "normal",
            "total_capacity": 1_000 * gib, "used_capacity": 400 * gib,
            "free_capacity": 600 * gib, "subscribed_capacity": 2_000 * gib
        })
    );
    let volumes = storage.list("volumes").unwrap();
    assert_eq!(volumes.len(), 5, "all pages: {volumes:?}");
    assert_eq!(
        volumes[4],
        json!({
            "native_volume_id": "Storage/A1/Volumes/V5", "name": "vol-5", "description": null,
            "type": "thin", "status": "normal",
            "native_storage_pool_id": "Storage/A1/StoragePools/P1",
            "wwn": "6001405abcdef0000000000000000005",
            "total_capacity": 100 * gib, "used_capacity": 40 * gib, "free_capacity": 60 * gib,
            "compressed": true, "deduplicated": false
        })
    );
    let controllers = storage.list("controllers").unwrap();
    let words: Vec<_> = controllers.iter().map(|one| &one["status"]).collect();
    assert_eq!(words, ["normal", "degraded"]);
    assert_eq!(controllers[0]["memory_size"], 16_384_u64 << 20);
    let ports = storage.list("ports").unwrap();
    assert_eq!(ports[0]["native_parent_id"], "Storage/A1/Controllers/CA");
    assert_eq!(ports[0]["speed"], 32_000_000_000_u64);
    assert_eq!(ports[0]["type"], "fc");
    let disks = storage.list("disks").unwrap();
    assert_eq!(
        disks.len(),
        4,
        "a drive of the shelf and of the subsystem is one"
    );
    let failing = disks
        .iter()
        .find(|disk| disk["serial_number"] == "D2")
        .unwrap();
    assert_eq!(failing["status"], "degraded");
    assert_eq!(failing["health_score"], 93);
    let filesystems = storage.list("filesystems").unwrap();
    assert_eq!(
        filesystems[0]["native_pool_id"],
        "Storage/A1/StoragePools/P1"
    );
    assert_eq!(storage.list("quotas"), Err("unsupported".to_owned()));
}

#[test]
fn controllers_in_the_document_of_the_subsystem_are_listed() {
    let service = MockService::start(array::embedded());
    let mut storage = TestedStorage::open(&service, json!({}));
    let info = storage.identify().unwrap();
    assert_eq!(
        (&info["name"], &info["serial_number"]),
        (&json!("db-7"), &json!("SRV-7"))
    );
    let controllers = storage.list("controllers").unwrap();
    assert_eq!(
        ids(&controllers, "native_controller_id"),
        [
            "Systems/1/Storage/RAID.1#/StorageControllers/0",
            "Systems/1/Storage/RAID.1#/StorageControllers/1"
        ]
    );
    assert_eq!(controllers[1]["status"], "offline");
    let disks = storage.list("disks").unwrap();
    assert_eq!(
        (&disks[0]["physical_type"], &disks[0]["firmware"]),
        (&json!("sas"), &json!("DSF7"))
    );
    let volumes = storage.list("volumes").unwrap();
    assert_eq!(volumes[0]["status"], "abnormal");
    assert_eq!(volumes[0]["used_capacity"], Value::Null);
}

#[test]
fn the_enclosure_of_a_storage_names_it_and_not_the_first_chassis() {
    let mut documents = array::modern();
    let rack = "/redfish/v1/Chassis/Rack";
    let mut chassis =
        json!({"@odata.id": rack, "Id": "Rack", "Name": "Rack 7", "SerialNumber": "R-7"});
    documents.insert(rack.to_owned(), chassis.clone());
    let members = &mut documents.get_mut("/redfish/v1/Chassis").unwrap()["Members"];
    let members = members.as_array_mut().unwrap();
    members.insert(0, json!({ "@odata.id": rack }));
    let service = MockService::start(documents);
    let identify = || {
        let info = TestedStorage::open(&service, json!({})).identify().unwrap();
        ["name", "serial_number"].map(|key| info[key].as_str().unwrap().to_owned())
    };
    assert_eq!(identify(), ["a1-hk", "SN-A1-0001"]);
    // A controller that is a system does not name the array.
    let system = "/redfish/v1/Systems/A";
    chassis["@odata.id"] = json!(system);
    {
        let documents = &mut service.state().documents;
        documents.insert(system.to_owned(), chassis);
        let members = json!([{ "@odata.id": system }]);
        documents.insert(
            "/redfish/v1/Systems".to_owned(),
            json!({ "Members": members }),
        );
        let root = documents.get_mut("/redfish/v1/").unwrap();
        root["Systems"] = json!({"@odata.id": "/redfish/v1/Systems"});
    }
    assert_eq!(identify(), ["a1-hk", "SN-A1-0001"]);
    service
        .state()
        .documents
        .get_mut("/redfish/v1/Storage/A1")
        .unwrap()["Links"] = json!({});
    assert_eq!(identify(), ["Rack 7", "R-7"]);
}

#[test]
fn one_reading_answers_all_lists() {
    let service = MockService::start(array::modern());
    let mut storage = TestedStorage::open(&service, json!({}));
    storage.identify().unwrap();
    let before = service.paths();
    for kind in [
        "storage_pools",
        "volumes",
        "controllers",
        "ports",
        "disks",
        "filesystems",
    ] {
        storage.list(kind).unwrap();
    }
    assert_eq!(service.paths(), before);
    let mut once = before.clone();
    once.sort();
    once.dedup();
    assert_eq!(
        once.len(),
        before.len(),
        "a path was asked for twice: {before:?}"
    );
}

#[test]
fn a_service_that_expands_collections_is_asked_less() {
    let paths = |expands: bool| {
        let service = MockService::start(array::modern());
        service.state().expands = expands;
        service.state().page = 50;
        let mut storage = TestedStorage::open(&service, json!({}));
        assert_eq!(storage.list("volumes").unwrap().len(), 5);
        assert_eq!(storage.list("disks").unwrap().len(), 4);
        service.paths().len()
    };
    let (plain, expanded) = (paths(false), paths(true));
    assert!(
        expanded * 2 < plain,
        "{expanded} requests, and {plain} without"
    );
}

#[test]
fn cycles_of_links_end() {
    let mut documents = array::modern();
    let volumes = documents.get_mut("/redfish/v1/Storage/A1/Volumes").unwrap();
    volumes["Members@odata.nextLink"] = json!("/redfish/v1/Storage/A1/Volumes");
    // A subsystem whose volumes are the subsystems.
    let storage = documents.get_mut("/redfish/v1/Storage/A1").unwrap();
    storage["FileSystems"] = json!({"@odata.id": "/redfish/v1/Storage"});
    let service = MockService::start(documents);
    service.state().page = 50;
    let mut storage = TestedStorage::open(&service, json!({}));
    assert_eq!(storage.list("volumes").unwrap().len(), 5);
    assert_eq!(storage.list("filesystems").unwrap().len(), 0);
}

#[test]
fn values_of_wrong_types_are_absent_and_links_to_other_servers_are_not_followed() {
    let mut documents = array::modern();
    let volume = documents.get_mut(array::VOLUME).unwrap();
    volume["CapacityBytes"] = json!([]);
    volume["Capacity"] = json!("large");
    volume["Status"] = json!(7);
    volume["Identifiers"] = json!({"DurableName": "x"});
    volume["DisplayName"] = json!({});
    let storage = documents.get_mut("/redfish/v1/Storage/A1").unwrap();
    storage["StoragePools"] = json!({"@odata.id": "http://192.0.2.9/redfish/v1/Pools"});
    storage["FileSystems"] = json!({"@odata.id": 7});
    let service = MockService::start(documents);
    let mut storage = TestedStorage::open(&service, json!({}));
    let volumes = storage.list("volumes").unwrap();
    assert_eq!(volumes[0]["name"], "V1");
    assert_eq!(
        (&volumes[0]["status"], &volumes[0]["total_capacity"]),
        (&json!("unknown"), &Value::Null)
    );
    assert!(storage.list("storage_pools").unwrap().is_empty());
}
