//! What the storage says about itself.
//!
//! Promises: the identity and the capacity come from documents that were read, or that the service
//! does not have; one that cannot be read is an error, and not another identity.

use delfin_plugin_api::{
    Failure,
    driver::{Capacity, StorageInfo},
};
use serde_json::Value;

use super::{
    capacity::PartCapacity,
    part::{PartKind, TreePart},
    walk::ResourceTree,
};
use crate::{
    client::Member,
    decode::{link, links, list, text, whole},
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

/// The kinds that the storage has its enclosures and its capacity from.
const DESCRIBING: [PartKind; 4] = [
    PartKind::Subsystem,
    PartKind::Pool,
    PartKind::Volume,
    PartKind::Disk,
];

/// Name, serial number and capacity. `authority` is the host and the port, for a service that names
/// nothing.
pub(crate) fn storage_info(tree: &ResourceTree, authority: &str) -> Result<StorageInfo, Failure> {
    let broken = DESCRIBING.into_iter().find_map(|kind| tree.broken(kind));
    if let Some(reason) = broken {
        return Err(Failure::rejected(reason));
    }
    let owners = owners(tree);
    let owned = |pointers: &[&str]| first_text(&owners, pointers);
    let mut names = owners.iter().filter_map(|owner| name(owner));
    let name = names
        .next()
        .or_else(|| text(&tree.root, "/Product"))
        .unwrap_or(authority);
    let serial_number = owned(&["/SerialNumber", "/UUID"])
        .or_else(|| text(&tree.root, "/UUID"))
        .unwrap_or(authority);
    let vendor = text(&tree.root, "/Vendor").or_else(|| owned(&["/Manufacturer"]));
    let model = owned(&["/Model"]).or_else(|| text(&tree.root, "/Product"));
    let managers: Vec<&Member> = tree.managers.iter().collect();
    let firmware = first_text(&managers, &["/FirmwareVersion"]);
    let location = owned(&["/Location/PostalAddress/Location"]);
    Ok(StorageInfo {
        name: name.to_owned(),
        serial_number: serial_number.to_owned(),
        vendor: vendor.map(str::to_owned),
        model: model.map(str::to_owned),
        location: location.map(str::to_owned),
        firmware_version: firmware.map(str::to_owned),
        capacity: capacity(tree)?,
        ..StorageInfo::default()
    })
}

/// What the storage can have its name and its serial number from, the best first: the enclosures of a
/// storage that is not part of a system; systems; the enclosures of their storage; every other chassis.
fn owners(tree: &ResourceTree) -> Vec<&Member> {
    let is_of_system = |subsystem: &&TreePart| {
        let mut systems = tree.systems.iter();
        systems.any(|system| is_below(&subsystem.path, &system.path))
    };
    let subsystems = tree
        .parts
        .iter()
        .filter(|part| part.kind == PartKind::Subsystem);
    let (of_systems, alone): (Vec<&TreePart>, Vec<&TreePart>) = subsystems.partition(is_of_system);
    let enclosures = |subsystems: Vec<&TreePart>| -> Vec<&Member> {
        let pointers = ["/Links/Enclosures", "/Links/Chassis"].into_iter();
        let paths = pointers.flat_map(|pointer| {
            let of_one = |one: &&TreePart| links(&one.document, pointer);
            subsystems.iter().flat_map(of_one).collect::<Vec<String>>()
        });
        let chassis = |path: String| tree.chassis.iter().find(|one| one.path == path);
        paths.filter_map(chassis).collect()
    };
    let mut owners = enclosures(alone);
    owners.extend(&tree.systems);
    owners.extend(enclosures(of_systems));
    owners.extend(&tree.chassis);
    owners
}

fn is_below(path: &str, parent: &str) -> bool {
    let rest = path.strip_prefix(parent);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

fn name(owner: &Member) -> Option<&str> {
    let name = || text(&owner.document, "/Name").filter(|name| !GENERIC_NAMES.contains(name));
    text(&owner.document, "/HostName").or_else(name)
}

/// The first value that one of these resources has at one of the pointers.
fn first_text<'a>(owners: &[&'a Member], pointers: &[&str]) -> Option<&'a str> {
    let mut found = owners.iter().filter_map(|owner| {
        let mut pointers = pointers.iter();
        pointers.find_map(|pointer| text(&owner.document, pointer))
    });
    found.next()
}

/// The sum of the pools that have their capacity from drives, and not from another pool. Without
/// pools, the sum of the volumes: what is free is then not known. One of these that cannot be read
/// is an error. Without a single drive, only the raw capacity is smaller, and without a volume of
/// pools the subscribed one: a drive that always fails does not keep the storage from being used.
fn capacity(tree: &ResourceTree) -> Result<Capacity, Failure> {
    let of_kind = |kind: PartKind| tree.parts.iter().filter(move |part| part.kind == kind);
    let has_pools = of_kind(PartKind::Pool).next().is_some();
    let summed = if has_pools {
        PartKind::Pool
    } else {
        PartKind::Volume
    };
    if let Some(reason) = of_kind(summed).find_map(|part| part.fault.as_ref()) {
        return Err(Failure::rejected(reason));
    }
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
    Ok(Capacity {
        total: if pools.is_empty() { volumes } else { total },
        used: sum(&mut pools.iter().map(|pool| pool.used)),
        free: sum(&mut pools.iter().map(|pool| pool.free)),
        raw,
        subscribed: volumes,
    })
}

fn is_of_a_pool(pool: &TreePart) -> bool {
    list(&pool.document, "/CapacitySources")
        .iter()
        .any(|source: &Value| {
            link(source, "/ProvidingPools").is_some() || !list(source, "/ProvidingPools").is_empty()
        })
}
