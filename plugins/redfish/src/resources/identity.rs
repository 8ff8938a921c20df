//! What the storage says about itself.

use delfin_plugin_api::driver::{Capacity, StorageInfo};
use serde_json::Value;

use super::{
    capacity::PartCapacity,
    part::{PartKind, TreePart},
    walk::ResourceTree,
};
use crate::{
    client::Member,
    decode::{link, list, text, whole},
};

/// Names that say nothing, because the service of every machine has them.
const GENERIC_NAMES: [&str; 6] = [
    "System",
    "Computer System",
    "Computer System Chassis",
    "Chassis",
    "Root Service",
    "Storage System",
];

/// Name, serial number and capacity. `authority` is the host and the port, for a service that names
/// nothing.
pub(crate) fn storage_info(tree: &ResourceTree, authority: &str) -> StorageInfo {
    let owners = || tree.systems.iter().chain(&tree.chassis);
    let name = owned(owners(), &["/HostName"])
        .or_else(|| owned(owners(), &["/Name"]).filter(|name| !GENERIC_NAMES.contains(name)))
        .or_else(|| text(&tree.root, "/Product"))
        .unwrap_or(authority);
    let serial_number = owned(owners(), &["/SerialNumber", "/UUID"])
        .or_else(|| text(&tree.root, "/UUID"))
        .unwrap_or(authority);
    let vendor = text(&tree.root, "/Vendor").or_else(|| owned(owners(), &["/Manufacturer"]));
    let model = owned(owners(), &["/Model"]).or_else(|| text(&tree.root, "/Product"));
    let firmware = owned(tree.managers.iter(), &["/FirmwareVersion"]);
    let location = owned(tree.chassis.iter(), &["/Location/PostalAddress/Location"]);
    StorageInfo {
        name: name.to_owned(),
        serial_number: serial_number.to_owned(),
        vendor: vendor.map(str::to_owned),
        model: model.map(str::to_owned),
        location: location.map(str::to_owned),
        firmware_version: firmware.map(str::to_owned),
        capacity: capacity(tree),
        ..StorageInfo::default()
    }
}

/// The first value that one of these resources has at one of the pointers.
fn owned<'a>(owners: impl Iterator<Item = &'a Member>, pointers: &[&str]) -> Option<&'a str> {
    let mut found = owners.filter_map(|owner| {
        let mut pointers = pointers.iter();
        pointers.find_map(|pointer| text(&owner.document, pointer))
    });
    found.next()
}

/// The sum of the pools that have their capacity from drives, and not from another pool. Without
/// pools, the sum of the volumes: what is free is then not known.
fn capacity(tree: &ResourceTree) -> Capacity {
    let of_kind = |kind: PartKind| tree.parts.iter().filter(move |part| part.kind == kind);
    let sum = |values: &mut dyn Iterator<Item = Option<u64>>| {
        values.flatten().fold(0, u64::saturating_add)
    };
    let pools: Vec<PartCapacity> = of_kind(PartKind::Pool)
        .filter(|pool| !is_of_a_pool(pool))
        .map(|pool| PartCapacity::of_pool(&pool.document))
        .collect();
    let volumes = sum(&mut of_kind(PartKind::Volume)
        .map(|volume| PartCapacity::of_volume(&volume.document).total));
    let raw = sum(&mut of_kind(PartKind::Disk).map(|disk| whole(&disk.document, "/CapacityBytes")));
    let total = sum(&mut pools.iter().map(|pool| pool.total));
    Capacity {
        total: if pools.is_empty() { volumes } else { total },
        used: sum(&mut pools.iter().map(|pool| pool.used)),
        free: sum(&mut pools.iter().map(|pool| pool.free)),
        raw,
        subscribed: volumes,
    }
}

fn is_of_a_pool(pool: &TreePart) -> bool {
    list(&pool.document, "/CapacitySources")
        .iter()
        .any(|source: &Value| {
            link(source, "/ProvidingPools").is_some() || !list(source, "/ProvidingPools").is_empty()
        })
}
