//! The fields that Delfin has for each kind of resources.

use serde_json::{Value, json};

use super::{
    capacity::{PartCapacity, is_thin},
    part::{PartKind, TreePart},
    walk::ResourceTree,
};
use crate::decode::{flag, link, links, list, native_id, number, status, text, text_value, whole};

/// The names of an identifier, the best first.
const NAME_FORMATS: [&str; 5] = ["NAA", "EUI", "NGUID", "NSID", "UUID"];

/// The resource as the host's API has it.
pub(super) fn of(tree: &ResourceTree, part: &TreePart) -> Value {
    match part.kind {
        PartKind::Subsystem => Value::Null,
        PartKind::Pool => pool(part),
        PartKind::Volume => volume(tree, part),
        PartKind::Controller => controller(part),
        PartKind::Port => port(part),
        PartKind::Disk => disk(part),
        PartKind::Filesystem => filesystem(tree, part),
    }
}

fn pool(part: &TreePart) -> Value {
    let document = &part.document;
    let capacity = PartCapacity::of_pool(document);
    json!({
        "native_storage_pool_id": part.id(),
        "name": part.name(),
        "description": text(document, "/Description"),
        "storage_type": pool_type(document),
        "status": status(document),
        "total_capacity": capacity.total,
        "used_capacity": capacity.used,
        "free_capacity": capacity.free,
        "subscribed_capacity": capacity.subscribed,
    })
}

fn volume(tree: &ResourceTree, part: &TreePart) -> Value {
    let document = &part.document;
    let capacity = PartCapacity::of_volume(document);
    json!({
        "native_volume_id": part.id(),
        "name": part.name(),
        "description": text(document, "/Description"),
        "type": provisioning(document),
        "status": status(document),
        "native_storage_pool_id": providing_pool(tree, document),
        "wwn": durable_name(document),
        "total_capacity": capacity.total,
        "used_capacity": capacity.used,
        "free_capacity": capacity.free,
        "compressed": flag(document, "/Compressed"),
        "deduplicated": flag(document, "/Deduplicated"),
    })
}

fn filesystem(tree: &ResourceTree, part: &TreePart) -> Value {
    let document = &part.document;
    let capacity = PartCapacity::of_pool(document);
    json!({
        "native_filesystem_id": part.id(),
        "name": part.name(),
        "type": provisioning(document),
        "status": status(document),
        "native_pool_id": providing_pool(tree, document),
        "total_capacity": capacity.total,
        "used_capacity": capacity.used,
        "free_capacity": capacity.free,
        "compressed": flag(document, "/Compressed"),
        "deduplicated": flag(document, "/Deduplicated"),
    })
}

fn provisioning(document: &Value) -> Option<&'static str> {
    is_thin(document).map(|is_thin| if is_thin { "thin" } else { "thick" })
}

fn controller(part: &TreePart) -> Value {
    let document = &part.document;
    let cache = whole(document, "/CacheSummary/TotalCacheSizeMiB");
    json!({
        "native_controller_id": part.id(),
        "name": part.name(),
        "status": status(document),
        "location": location(document),
        "soft_version": text(document, "/FirmwareVersion"),
        "memory_size": cache.and_then(|mebibytes| mebibytes.checked_mul(1 << 20)),
    })
}

fn port(part: &TreePart) -> Value {
    let document = &part.document;
    let gigabits = |pointer: &str| number(document, pointer).map(|speed| (speed * 1e9) as u64);
    json!({
        "native_port_id": part.id(),
        "name": part.name(),
        "location": location(document),
        "type": port_type(document),
        "connection_status": connection_status(document),
        "health_status": health_status(document),
        "native_parent_id": part.parent.as_deref().map(native_id),
        "speed": gigabits("/CurrentSpeedGbps"),
        "max_speed": gigabits("/MaxSpeedGbps"),
        "wwn": text_value(document, "/FibreChannel/AssociatedWorldWideNames/0"),
        "mac_address": text_value(document, "/Ethernet/AssociatedMACAddresses/0"),
    })
}

fn disk(part: &TreePart) -> Value {
    let document = &part.document;
    let pool = links(document, "/Links/StoragePools").into_iter().next();
    let life = number(document, "/PredictedMediaLifeLeftPercent").filter(|life| *life <= 100.0);
    json!({
        "native_disk_id": part.id(),
        "name": part.name(),
        "physical_type": disk_type(document),
        "logical_type": disk_role(document),
        "status": status(document),
        "location": location(document),
        "native_disk_group_id": pool.as_deref().map(native_id),
        "serial_number": text(document, "/SerialNumber"),
        "manufacturer": text(document, "/Manufacturer"),
        "model": text(document, "/Model"),
        "firmware": text(document, "/FirmwareVersion").or(text(document, "/Revision")),
        "speed": whole(document, "/RotationSpeedRPM"),
        "capacity": whole(document, "/CapacityBytes"),
        "health_score": life.map(|life| life as u64),
    })
}

/// The pool that a volume or a file system has its capacity from.
fn providing_pool<'a>(tree: &'a ResourceTree, document: &Value) -> Option<&'a str> {
    let providing = link(document, "/Links/ProvidingStoragePool").into_iter();
    let sources = list(document, "/CapacitySources")
        .iter()
        .flat_map(|source| {
            let one = link(source, "/ProvidingPools");
            links(source, "/ProvidingPools").into_iter().chain(one)
        });
    let pools: Vec<String> = providing.chain(sources).collect();
    let mut found = pools.iter().filter_map(|path| tree.part_at(path));
    found
        .find(|part| part.kind == PartKind::Pool)
        .map(TreePart::id)
}

/// The worldwide name of a resource.
fn durable_name(document: &Value) -> Option<&str> {
    let identifiers = list(document, "/Identifiers");
    let of_format = |format: &&str| {
        let mut found = identifiers.iter();
        let found = found.find(|one| text(one, "/DurableNameFormat") == Some(format))?;
        text(found, "/DurableName")
    };
    NAME_FORMATS.iter().find_map(of_format)
}

fn location(document: &Value) -> Option<&str> {
    [
        "/PhysicalLocation/PartLocation/ServiceLabel",
        "/Location/PartLocation/ServiceLabel",
        "/Location/0/PartLocation/ServiceLabel",
        "/Location/0/Info",
    ]
    .iter()
    .find_map(|pointer| text(document, pointer))
}

fn pool_type(document: &Value) -> Option<&'static str> {
    let types: Vec<&str> = list(document, "/PoolType")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    match (types.contains(&"Block"), types.contains(&"File")) {
        (true, true) => Some("unified"),
        (true, false) => Some("block"),
        (false, true) => Some("file"),
        (false, false) => None,
    }
}

/// Delfin's words for types of ports.
fn port_type(document: &Value) -> Option<&'static str> {
    let technology = text(document, "/PortProtocol").or(text(document, "/LinkNetworkTechnology"));
    Some(match technology? {
        "FC" | "FCP" | "FICON" | "FibreChannel" => "fc",
        "FCoE" => "fcoe",
        "iSCSI" => "iscsi",
        "Ethernet" | "RoCE" | "RoCEv2" | "iWARP" | "TCP" | "UDP" => "eth",
        "SAS" => "sas",
        "InfiniBand" => "ib",
        _ => "other",
    })
}

fn connection_status(document: &Value) -> &'static str {
    match text(document, "/LinkStatus").or(text(document, "/LinkState")) {
        Some("LinkUp" | "Up" | "Enabled") => "connected",
        Some("LinkDown" | "NoLink" | "Down" | "Disabled") => "disconnected",
        Some(_) | None => "unknown",
    }
}

/// Delfin has fewer words for the health of a port.
fn health_status(document: &Value) -> &'static str {
    match status(document) {
        "normal" => "normal",
        "unknown" => "unknown",
        _ => "abnormal",
    }
}

fn disk_type(document: &Value) -> Option<&'static str> {
    let protocol = text(document, "/Protocol").unwrap_or_default();
    let is_nvme = matches!(protocol, "NVMe" | "NVMeOverFabrics" | "PCIe");
    Some(match (text(document, "/MediaType")?, protocol) {
        ("SSD", _) if is_nvme => "nvme-ssd",
        ("SSD", _) => "ssd",
        ("HDD" | "SMR", "SATA") => "sata",
        ("HDD" | "SMR", "SAS") => "sas",
        ("HDD" | "SMR", "FC") => "fc",
        ("HDD" | "SMR", _) => "hdd",
        _ => "unknown",
    })
}

fn disk_role(document: &Value) -> Option<&'static str> {
    let is_spare = text(document, "/HotspareType").is_some_and(|spare| spare != "None");
    if is_spare {
        return Some("hotspare");
    }
    (!list(document, "/Links/Volumes").is_empty()).then_some("member")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_schemas_become_words_of_delfin() {
        let disk = json!({
            "MediaType": "SSD", "Protocol": "NVMe", "HotspareType": "Global", "Revision": "A1"
        });
        assert_eq!(disk_type(&disk), Some("nvme-ssd"));
        assert_eq!(disk_role(&disk), Some("hotspare"));
        let disk = json!({"MediaType": "HDD", "Protocol": "SAS", "Links": {"Volumes": [{}]}});
        assert_eq!(disk_type(&disk), Some("sas"));
        assert_eq!(disk_role(&disk), Some("member"));
        assert_eq!(disk_type(&json!({"MediaType": ["SSD"]})), None);
        let port = json!({"PortProtocol": "FC", "LinkStatus": "NoLink"});
        assert_eq!(port_type(&port), Some("fc"));
        assert_eq!(connection_status(&port), "disconnected");
        assert_eq!(
            pool_type(&json!({"PoolType": ["Block", "File"]})),
            Some("unified")
        );
        let names = json!({"Identifiers": [
            {"DurableNameFormat": "UUID", "DurableName": "u"},
            {"DurableNameFormat": "NAA", "DurableName": "6001"}
        ]});
        assert_eq!(durable_name(&names), Some("6001"));
    }
}
