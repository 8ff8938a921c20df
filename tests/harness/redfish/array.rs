//! The documents of an array that does not exist, in the shape of the public schemas.
//!
//! `modern` has everything in collections and measurements in documents of their own. `embedded` is
//! a server whose controller is in the document of its subsystem. `service` is an array with the
//! storage services of Swordfish, and counters in the volumes themselves.

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub type Documents = BTreeMap<String, Value>;

pub const VOLUME: &str = "/redfish/v1/Storage/A1/Volumes/V1";
pub const VOLUME_METRICS: &str = "/redfish/v1/Storage/A1/Volumes/V1/Metrics";
pub const DRIVE: &str = "/redfish/v1/Chassis/Shelf1/Drives/D2";
pub const SERVICE_VOLUMES: &str = "/redfish/v1/StorageServices/S1/Volumes";
pub const SERVICE_VOLUME: &str = "/redfish/v1/StorageServices/S1/Volumes/LUN0";

const GIB: u64 = 1 << 30;

pub(super) fn link(path: &str) -> Value {
    json!({ "@odata.id": path })
}

fn ok() -> Value {
    json!({ "State": "Enabled", "Health": "OK" })
}

/// Adds a document; `@odata.type` is made of the schema.
pub(super) fn add(documents: &mut Documents, path: &str, schema: &str, mut document: Value) {
    let id = path.rsplit('/').next().unwrap();
    document["@odata.id"] = json!(path);
    document["@odata.type"] = json!(format!("#{schema}"));
    for name in ["Id", "Name"] {
        if document[name].is_null() {
            document[name] = json!(id);
        }
    }
    documents.insert(path.to_owned(), document);
}

/// Adds a collection of what is directly below it so far.
pub(super) fn collect(documents: &mut Documents, path: &str, kind: &str) {
    let start = format!("{path}/");
    let members: Vec<Value> = documents
        .keys()
        .filter(|key| {
            key.strip_prefix(&start)
                .is_some_and(|rest| !rest.contains('/'))
        })
        .map(|key| link(key))
        .collect();
    let collection = json!({
        "@odata.id": path,
        "@odata.type": format!("#{kind}Collection.{kind}Collection"),
        "Name": kind,
        "Members@odata.count": members.len(),
        "Members": members,
    });
    documents.insert(path.to_owned(), collection);
}

fn root(documents: &mut Documents, extra: &[&str]) {
    let mut root = json!({
        "Id": "RootService",
        "Name": "Root Service",
        "RedfishVersion": "1.18.0",
        "UUID": "5f1c8d4e-9d25-4f0e-8f6b-1f5a0c3e7b21",
        "Vendor": "Acme",
        "Product": "Acme A1",
        "ProtocolFeaturesSupported": {"ExpandQuery": {"NoLinks": false, "Levels": false}},
        "SessionService": link("/redfish/v1/SessionService"),
        "Links": {"Sessions": link("/redfish/v1/SessionService/Sessions")},
    });
    for name in extra {
        root[*name] = link(&format!("/redfish/v1/{name}"));
    }
    add(
        documents,
        "/redfish/v1/",
        "ServiceRoot.v1_18_0.ServiceRoot",
        root,
    );
}

/// The counters of a resource after `seconds`, with 100 reads and 50 writes a second.
pub fn statistics(seconds: u64) -> Value {
    json!({
        "ReadIORequests": 1_000 + seconds * 100,
        "WriteIORequests": 500 + seconds * 50,
        "ReadHitIORequests": 900 + seconds * 80,
        "WriteHitIORequests": 500 + seconds * 50,
        "ReadIOKiBytes": 64_000 + seconds * 100 * 64,
        "WriteIOKiBytes": 8_000 + seconds * 50 * 16,
        "ReadIORequestTime": format!("PT{}.{}S", seconds / 10, seconds % 10),
        "WriteIORequestTime": format!("PT{}.{:02}S", seconds / 20, seconds % 20 * 5),
    })
}

/// An array with pools, thin volumes, two controllers with ports, four drives, one of them failing.
pub fn modern() -> Documents {
    let mut documents = Documents::new();
    let all = &mut documents;
    root(all, &["Storage", "Chassis", "Managers"]);
    let storage = "/redfish/v1/Storage/A1";
    add(
        all,
        storage,
        "Storage.v1_15_0.Storage",
        json!({
            "Name": "Acme A1 storage",
            "Status": ok(),
            "Controllers": link(&format!("{storage}/Controllers")),
            "StoragePools": link(&format!("{storage}/StoragePools")),
            "Volumes": link(&format!("{storage}/Volumes")),
            "FileSystems": link(&format!("{storage}/FileSystems")),
            "Metrics": link(&format!("{storage}/Metrics")),
            "Drives": (1..=4)
                .map(|number| link(&format!("/redfish/v1/Chassis/Shelf1/Drives/D{number}")))
                .collect::<Vec<_>>(),
            "Links": {"Enclosures": [link("/redfish/v1/Chassis/Shelf1")]},
        }),
    );
    add(
        all,
        &format!("{storage}/Metrics"),
        "StorageMetrics.v1_0_0.StorageMetrics",
        json!({
            "IOStatistics": statistics(0),
        }),
    );
    modern_pools(all, storage);
    modern_controllers(all, storage);
    modern_shelf(all);
    collect(all, "/redfish/v1/Storage", "Storage");
    collect(all, "/redfish/v1/Chassis", "Chassis");
    add(
        all,
        "/redfish/v1/Managers/M1",
        "Manager.v1_19_0.Manager",
        json!({
            "FirmwareVersion": "7.4.1",
            "Status": ok(),
        }),
    );
    collect(all, "/redfish/v1/Managers", "Manager");
    documents
}

fn modern_pools(all: &mut Documents, storage: &str) {
    let pool = format!("{storage}/StoragePools/P1");
    add(
        all,
        &pool,
        "StoragePool.v1_9_0.StoragePool",
        json!({
            "Name": "gold",
            "PoolType": ["Block"],
            "Status": ok(),
            "Capacity": {"Data": {
                "AllocatedBytes": 1_000 * GIB, "ConsumedBytes": 400 * GIB, "ProvisionedBytes": 2_000 * GIB
            }},
            "IOStatistics": statistics(0),
        }),
    );
    collect(all, &format!("{storage}/StoragePools"), "StoragePool");
    for number in 1..=5 {
        let path = format!("{storage}/Volumes/V{number}");
        add(
            all,
            &path,
            "Volume.v1_10_0.Volume",
            json!({
                "DisplayName": format!("vol-{number}"),
                "Status": ok(),
                "CapacityBytes": 100 * GIB,
                "ProvisioningPolicy": "Thin",
                "Capacity": {"Data": {"ProvisionedBytes": 100 * GIB, "AllocatedBytes": 40 * GIB}},
                "Compressed": true,
                "Deduplicated": false,
                "Identifiers": [{
                    "DurableNameFormat": "NAA",
                    "DurableName": format!("6001405abcdef00000000000000000{number:02}")
                }],
                "CapacitySources": [{"ProvidingPools": [link(&pool)]}],
                "Metrics": link(&format!("{path}/Metrics")),
            }),
        );
        add(
            all,
            &format!("{path}/Metrics"),
            "VolumeMetrics.v1_1_0.VolumeMetrics",
            json!({
                "IOStatistics": statistics(0),
            }),
        );
    }
    collect(all, &format!("{storage}/Volumes"), "Volume");
    add(
        all,
        &format!("{storage}/FileSystems/F1"),
        "FileSystem.v1_4_0.FileSystem",
        json!({
            "Name": "home",
            "Capacity": {"Data": {"AllocatedBytes": 10 * GIB, "ConsumedBytes": 2 * GIB}},
            "CapacitySources": [{"ProvidingPools": link(&pool)}],
        }),
    );
    collect(all, &format!("{storage}/FileSystems"), "FileSystem");
}

fn modern_controllers(all: &mut Documents, storage: &str) {
    for (name, health) in [("CA", "OK"), ("CB", "Warning")] {
        let path = format!("{storage}/Controllers/{name}");
        add(
            all,
            &path,
            "StorageController.v1_9_0.StorageController",
            json!({
                "Name": format!("Controller {name}"),
                "Status": {"State": "Enabled", "Health": health},
                "FirmwareVersion": "7.4.1",
                "CacheSummary": {"TotalCacheSizeMiB": 16_384},
                "Location": {"PartLocation": {"ServiceLabel": format!("Slot {name}")}},
                "Ports": link(&format!("{path}/Ports")),
            }),
        );
        add(
            all,
            &format!("{path}/Ports/0"),
            "Port.v1_16_0.Port",
            json!({
                "Name": format!("{name} port 0"),
                "PortProtocol": "FC",
                "LinkStatus": "LinkUp",
                "CurrentSpeedGbps": 32,
                "MaxSpeedGbps": 64,
                "Status": ok(),
                "FibreChannel": {"AssociatedWorldWideNames": ["50:01:40:5a:bc:de:f0:01"]},
                "Metrics": link(&format!("{path}/Ports/0/Metrics")),
            }),
        );
        add(
            all,
            &format!("{path}/Ports/0/Metrics"),
            "PortMetrics.v1_7_0.PortMetrics",
            json!({
                "RXBytes": 1_000_000, "TXBytes": 2_000_000,
            }),
        );
        collect(all, &format!("{path}/Ports"), "Port");
    }
    collect(all, &format!("{storage}/Controllers"), "StorageController");
}

fn modern_shelf(all: &mut Documents) {
    let shelf = "/redfish/v1/Chassis/Shelf1";
    add(
        all,
        shelf,
        "Chassis.v1_25_0.Chassis",
        json!({
            "Name": "a1-hk",
            "SerialNumber": "SN-A1-0001",
            "Model": "A1",
            "Manufacturer": "Acme",
            "Location": {"PostalAddress": {"Location": "Hong Kong, hall 2"}},
            "Drives": link(&format!("{shelf}/Drives")),
            "Status": ok(),
        }),
    );
    for number in 1..=4 {
        let path = format!("{shelf}/Drives/D{number}");
        add(
            all,
            &path,
            "Drive.v1_21_0.Drive",
            json!({
                "Name": format!("Disk {number}"),
                "MediaType": "SSD",
                "Protocol": "NVMe",
                "Manufacturer": "Acme",
                "Model": "A-480",
                "SerialNumber": format!("D{number}"),
                "FirmwareVersion": "1.2",
                "CapacityBytes": 480_000_000_000_u64,
                "PredictedMediaLifeLeftPercent": 93.5,
                "FailurePredicted": number == 2,
                "Status": ok(),
                "PhysicalLocation": {"PartLocation": {"ServiceLabel": format!("Bay {number}")}},
                "Links": {"Volumes": [link(VOLUME)], "Chassis": link(shelf)},
                "Metrics": link(&format!("{path}/Metrics")),
            }),
        );
        add(
            all,
            &format!("{path}/Metrics"),
            "DriveMetrics.v1_2_0.DriveMetrics",
            json!({
                "ReadIOKiBytes": 1_000, "WriteIOKiBytes": 2_000,
                "NVMeSMART": {"HostReadCommands": 10, "HostWriteCommands": 20},
            }),
        );
    }
    collect(all, &format!("{shelf}/Drives"), "Drive");
}

/// A server with a RAID controller in the document of its subsystem, without measurements.
pub fn embedded() -> Documents {
    let mut documents = Documents::new();
    let all = &mut documents;
    root(all, &["Systems"]);
    let system = "/redfish/v1/Systems/1";
    add(
        all,
        system,
        "ComputerSystem.v1_20_0.ComputerSystem",
        json!({
            "Name": "Computer System",
            "HostName": "db-7",
            "SerialNumber": "SRV-7",
            "Model": "R1",
            "Storage": link(&format!("{system}/Storage")),
        }),
    );
    let storage = format!("{system}/Storage/RAID.1");
    add(
        all,
        &storage,
        "Storage.v1_7_0.Storage",
        json!({
            "Status": {"State": "Enabled", "Health": "Warning"},
            "StorageControllers": [{
                "@odata.id": format!("{storage}#/StorageControllers/0"),
                "MemberId": "0",
                "Name": "RAID 1",
                "FirmwareVersion": "25.5.9",
                "Status": {"State": "Enabled", "Health": "OK"},
            }, {
                "MemberId": "1",
                "Name": "RAID 2",
                "Status": {"State": "Absent"},
            }],
            "Drives": [link(&format!("{storage}/Drives/0")), link(&format!("{storage}/Drives/1"))],
            "Volumes": link(&format!("{storage}/Volumes")),
            // A link back, as real services have.
            "Links": {"Enclosures": [link(system)]},
        }),
    );
    for number in 0..2 {
        add(
            all,
            &format!("{storage}/Drives/{number}"),
            "Drive.v1_4_0.Drive",
            json!({
                "Name": format!("Physical Disk 0:1:{number}"),
                "MediaType": "HDD",
                "Protocol": "SAS",
                "RotationSpeedRPM": 10_000,
                "Revision": "DSF7",
                "CapacityBytes": 1_200_000_000_000_u64,
                "Status": ok(),
            }),
        );
    }
    add(
        all,
        &format!("{storage}/Volumes/0"),
        "Volume.v1_0_3.Volume",
        json!({
            "Name": "system",
            "VolumeType": "Mirrored",
            "CapacityBytes": 1_199_000_000_000_u64,
            "Status": {"State": "Enabled", "Health": "Critical"},
        }),
    );
    collect(all, &format!("{storage}/Volumes"), "Volume");
    collect(all, &format!("{system}/Storage"), "Storage");
    collect(all, "/redfish/v1/Systems", "ComputerSystem");
    documents
}

/// A Swordfish storage service, with counters in its volumes.
pub fn service() -> Documents {
    let mut documents = Documents::new();
    let all = &mut documents;
    root(all, &["StorageServices"]);
    let service = "/redfish/v1/StorageServices/S1";
    add(
        all,
        service,
        "StorageService.v1_7_0.StorageService",
        json!({
            "Volumes": link(SERVICE_VOLUMES),
            "StoragePools": link(&format!("{service}/StoragePools")),
            "Drives": link(&format!("{service}/Drives")),
        }),
    );
    for number in 0..3 {
        add(
            all,
            &format!("{SERVICE_VOLUMES}/LUN{number}"),
            "Volume.v1_4_0.Volume",
            json!({
                "CapacityBytes": GIB,
                "Status": ok(),
                "IOStatistics": statistics(0),
            }),
        );
    }
    collect(all, SERVICE_VOLUMES, "Volume");
    add(
        all,
        &format!("{service}/StoragePools/0"),
        "StoragePool.v1_2_0.StoragePool",
        json!({
            "Capacity": {"Data": {"AllocatedBytes": 10 * GIB}},
            "RemainingCapacityPercent": 70,
            "Status": ok(),
        }),
    );
    collect(all, &format!("{service}/StoragePools"), "StoragePool");
    collect(all, &format!("{service}/Drives"), "Drive");
    collect(all, "/redfish/v1/StorageServices", "StorageService");
    documents
}

/// The entries of the log of `with_faults`.
pub const ENTRIES: &str = "/redfish/v1/Managers/M1/LogServices/Log/Entries";

/// `modern` with a log, events and a message registry of its own.
pub fn with_faults() -> Documents {
    let mut documents = modern();
    let all = &mut documents;
    let root = all.get_mut("/redfish/v1/").unwrap();
    root["EventService"] = link("/redfish/v1/EventService");
    root["Registries"] = link("/redfish/v1/Registries");
    let service = json!({"ServiceEnabled": true, "ServerSentEventUri": super::EVENTS});
    add(
        all,
        "/redfish/v1/EventService",
        "EventService.v1_11_0.EventService",
        service,
    );
    let logs = "/redfish/v1/Managers/M1/LogServices";
    all.get_mut("/redfish/v1/Managers/M1").unwrap()["LogServices"] = link(logs);
    let log = json!({"ServiceEnabled": true, "Entries": link(ENTRIES)});
    add(
        all,
        &format!("{logs}/Log"),
        "LogService.v1_8_0.LogService",
        log,
    );
    collect(all, logs, "LogService");
    let entries: Vec<Value> = Vec::new();
    all.insert(
        ENTRIES.to_owned(),
        json!({
            "@odata.id": ENTRIES, "Members@odata.count": 0, "Members": entries
        }),
    );
    add(
        all,
        "/redfish/v1/Registries/AcmeStorage",
        "MessageRegistryFile.v1_1_5.MessageRegistryFile",
        json!({
            "Registry": "AcmeStorage.1.2",
            "Location": [
                {"Language": "de", "Uri": "/redfish/v1/Registries/de.json"},
                {"Language": "en", "Uri": "/redfish/v1/Registries/AcmeStorage.json"}
            ]
        }),
    );
    collect(all, "/redfish/v1/Registries", "MessageRegistryFile");
    all.insert("/redfish/v1/Registries/AcmeStorage.json".to_owned(), json!({
        "@odata.type": "#MessageRegistry.v1_6_0.MessageRegistry",
        "RegistryPrefix": "AcmeStorage",
        "Messages": {
            "FanFailed": {
                "Message": "Fan %1 has failed.", "MessageSeverity": "Critical",
                "Resolution": "Replace the fan."
            },
            "FanOK": {
                "Message": "Fan %1 works.", "MessageSeverity": "OK", "Resolution": "None.",
                "ClearingLogic": {
                    "ClearsIf": "SameOriginOfCondition", "ClearsMessage": ["AcmeStorage.1.2.FanFailed"]
                }
            }
        }
    }));
    documents
}

/// Adds an entry to the log, as the newest or the oldest.
pub fn log(documents: &mut Documents, id: u32, mut entry: Value, is_newest_first: bool) {
    let path = format!("{ENTRIES}/{id}");
    entry["@odata.id"] = json!(path);
    entry["Id"] = json!(id.to_string());
    let entries = documents.get_mut(ENTRIES).unwrap();
    let members = entries["Members"].as_array_mut().unwrap();
    members.insert(
        if is_newest_first { 0 } else { members.len() },
        entry.clone(),
    );
    let count = members.len();
    entries["Members@odata.count"] = json!(count);
    documents.insert(path, entry);
}

/// Sets the counters everywhere to what they are after `seconds`, or adds as much.
pub fn advance(documents: &mut Documents, seconds: u64) {
    for document in documents.values_mut() {
        if document["IOStatistics"].is_object() {
            document["IOStatistics"] = statistics(seconds);
        }
        for (counter, rate) in [
            ("/ReadIOKiBytes", 1024),
            ("/WriteIOKiBytes", 2048),
            ("/NVMeSMART/HostReadCommands", 10),
            ("/NVMeSMART/HostWriteCommands", 30),
            ("/RXBytes", 1 << 20),
            ("/TXBytes", 1 << 20),
        ] {
            if let Some(value) = document.pointer_mut(counter) {
                *value = json!(value.as_u64().unwrap_or_default() + rate * seconds);
            }
        }
    }
}
