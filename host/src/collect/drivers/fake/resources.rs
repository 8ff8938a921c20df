//! The resources of the simulated storage. Ids are those of its series where it has any.

use serde_json::{Value, json};

use super::{FakeDriver, mix};
use crate::collect::{
    metric::ResourceType,
    resource::{ResourceFields, ResourceKind},
};

/// Number of the resources that have no series.
const OTHERS: u64 = 5;
/// At most this number of initiators, so that some hosts have none.
const INITIATORS: u64 = 3;
/// Number of members of a group.
const MEMBERS: u64 = 5;

const CPUS: [&str; 3] = ["Intel Xenon", "Intel Core ix", "ARM"];
const MANUFACTURERS: [&str; 5] = ["Intel", "Seagate", "WD", "Crucial", "HP"];
const SECURITY_MODES: [&str; 4] = ["mixed", "native", "ntfs", "unix"];
const PROTOCOLS: [&str; 4] = ["cifs", "nfs", "ftp", "hdfs"];
const QUOTA_TYPES: [&str; 3] = ["tree", "user", "group"];
const WORM_TYPES: [&str; 4] = ["non_worm", "audit_log", "compliance", "enterprise"];

/// Pseudo-random values of one resource, the same at every call.
struct Values {
    seed: u64,
    drawn: u64,
}

pub(super) fn list(driver: &FakeDriver, kind: ResourceKind) -> Vec<ResourceFields> {
    let resources = (0..count(driver, kind)).map(|at| {
        let seed = mix(driver.seed ^ mix(kind as u64) ^ at);
        let mut values = Values { seed, drawn: 0 };
        let mut fields = match details(driver, kind, at, &mut values) {
            Value::Object(fields) => fields,
            _ => ResourceFields::new(),
        };
        let id = format!("{}_{at}", prefix(kind));
        fields.insert(kind.native_id().to_owned(), id.clone().into());
        if kind.fields().iter().any(|field| field.name == "name") {
            fields.insert("name".to_owned(), id.into());
        }
        fields
    });
    resources.collect()
}

/// The part of an id before its number.
fn prefix(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::StoragePools => ResourceType::StoragePool.as_str(),
        _ => kind.name().trim_end_matches('s'),
    }
}

fn count(driver: &FakeDriver, kind: ResourceKind) -> u64 {
    let counts = &driver.counts;
    match kind {
        ResourceKind::StoragePools => counts.of(ResourceType::StoragePool),
        ResourceKind::Volumes => counts.of(ResourceType::Volume),
        ResourceKind::Controllers => counts.of(ResourceType::Controller),
        ResourceKind::Ports => counts.of(ResourceType::Port),
        ResourceKind::Disks => counts.of(ResourceType::Disk),
        ResourceKind::Filesystems => counts.of(ResourceType::Filesystem),
        ResourceKind::StorageHostInitiators => INITIATORS,
        ResourceKind::Qtrees
        | ResourceKind::Quotas
        | ResourceKind::Shares
        | ResourceKind::StorageHosts
        | ResourceKind::StorageHostGroups
        | ResourceKind::PortGroups
        | ResourceKind::VolumeGroups
        | ResourceKind::MaskingViews => OTHERS,
    }
}

/// The fields other than id and name.
fn details(driver: &FakeDriver, kind: ResourceKind, at: u64, values: &mut Values) -> Value {
    match kind {
        ResourceKind::StoragePools
        | ResourceKind::Volumes
        | ResourceKind::Controllers
        | ResourceKind::Ports
        | ResourceKind::Disks
        | ResourceKind::Filesystems
        | ResourceKind::Quotas => with_numbers(driver, kind, at, values),
        ResourceKind::Qtrees => json!({
            "native_filesystem_id": format!("filesystem_{at}"),
            "security_mode": values.one_of(&SECURITY_MODES), "path": format!("/path/qtree_{at}"),
        }),
        ResourceKind::Shares => json!({
            "native_filesystem_id": format!("filesystem_{at}"),
            "native_qtree_id": format!("qtree_{at}"), "protocol": values.one_of(&PROTOCOLS),
            "path": format!("/path/share_{at}"),
        }),
        ResourceKind::StorageHostInitiators => json!({
            "description": "Fake initiator", "alias": format!("initiator_{at}"),
            "wwn": format!("wwn_{at}"), "status": "Normal",
            "native_storage_host_id": format!("storage_host_{at}"),
        }),
        ResourceKind::StorageHosts => json!({
            "description": "Fake host", "os_type": "linux", "status": "Normal",
            "ip_address": format!("1.2.3.{at}"),
        }),
        ResourceKind::StorageHostGroups => json!({
            "description": "Fake group", "storage_hosts": values.members("storage_host", OTHERS),
        }),
        ResourceKind::PortGroups => {
            let ports = driver.counts.of(ResourceType::Port);
            json!({ "description": "Fake group", "ports": values.members("port", ports) })
        }
        ResourceKind::VolumeGroups => {
            let volumes = driver.counts.of(ResourceType::Volume);
            json!({ "description": "Fake group", "volumes": values.members("volume", volumes) })
        }
        ResourceKind::MaskingViews => masking_view(at),
    }
}

/// The fields of kinds with capacities or other numbers, other than id and name.
fn with_numbers(driver: &FakeDriver, kind: ResourceKind, at: u64, values: &mut Values) -> Value {
    let pools = driver.counts.of(ResourceType::StoragePool);
    let [total, used, free] = values.capacities();
    match kind {
        ResourceKind::StoragePools => json!({
            "description": "Fake Pool", "status": "normal", "total_capacity": total,
            "used_capacity": used, "free_capacity": free, "subscribed_capacity": 2 * total,
            "data_reduction": values.ratio(),
        }),
        ResourceKind::Volumes => json!({
            "description": "Fake Volume", "status": "normal", "wwn": format!("fake_wwn_{at}"),
            "total_capacity": total, "used_capacity": used, "free_capacity": free,
            "native_storage_pool_id": format!("storagePool_{}", at % pools.max(1)),
            "data_reduction": values.ratio(),
        }),
        ResourceKind::Controllers => json!({
            "location": values.text("loc", 100), "status": "normal", "memory_size": total,
            "cpu_info": values.one_of(&CPUS), "soft_version": values.text("ver", 1_000),
        }),
        ResourceKind::Ports => json!({
            "location": values.text("location", 100), "connection_status": "connected",
            "health_status": "normal", "type": "fc", "logical_type": "frontend", "speed": used,
            "max_speed": total, "native_parent_id": values.text("parent_id", 100),
            "wwn": values.text("wwn", 10_000), "mac_address": values.text("mac", 10_000),
            "ipv4": "0.0.0.0", "ipv4_mask": "255.255.255.0", "ipv6": "0", "ipv6_mask": "::",
        }),
        ResourceKind::Disks => json!({
            "serial_number": values.text("serial", 10_000),
            "manufacturer": values.one_of(&MANUFACTURERS), "model": values.text("model", 10_000),
            "firmware": values.text("firmware", 10_000), "speed": used, "capacity": total,
            "status": "normal", "physical_type": "ssd", "logical_type": "member",
            "health_score": values.below(101), "location": values.text("location", 100),
        }),
        ResourceKind::Filesystems => json!({
            "native_pool_id": format!("storagePool_{at}"), "status": "normal",
            "type": values.one_of(&["thick", "thin"]),
            "security_mode": values.one_of(&SECURITY_MODES), "total_capacity": total,
            "used_capacity": used, "free_capacity": free, "worm": values.one_of(&WORM_TYPES),
            "deduplicated": values.below(2) == 1, "compressed": values.below(2) == 1,
            "data_reduction": values.ratio(),
        }),
        _ => json!({
            "type": values.one_of(&QUOTA_TYPES), "native_filesystem_id": format!("filesystem_{at}"),
            "native_qtree_id": format!("qtree_{at}"), "capacity_hard_limit": total * 9_000,
            "capacity_soft_limit": total * 8_000, "file_hard_limit": total * 9,
            "file_soft_limit": total * 8, "file_count": values.below(10 * total),
            "used_capacity": used * 9_000, "user_group_name": values.text("grp", 100),
        }),
    }
}

/// Every other one maps groups, the others map a host and a volume.
fn masking_view(at: u64) -> Value {
    let of = |name: &str, is_used: bool| {
        if is_used {
            format!("{name}_{at}")
        } else {
            String::new()
        }
    };
    let has_groups = at.is_multiple_of(2);
    json!({
        "description": "Fake masking view",
        "native_storage_host_group_id": of("storage_host_group", has_groups),
        "native_volume_group_id": of("volume_group", has_groups),
        "native_port_group_id": of("port_group", has_groups),
        "native_storage_host_id": of("storage_host", !has_groups),
        "native_volume_id": of("volume", !has_groups),
    })
}

impl Values {
    fn below(&mut self, below: u64) -> u64 {
        self.drawn += 1;
        mix(self.seed ^ mix(self.drawn)) % below
    }

    fn one_of(&mut self, texts: &[&'static str]) -> &'static str {
        texts[self.below(texts.len() as u64) as usize]
    }

    fn text(&mut self, prefix: &str, below: u64) -> String {
        format!("{prefix}_{}", self.below(below))
    }

    /// Ids of some of the resources with these ids.
    fn members(&mut self, prefix: &str, count: u64) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..MEMBERS.min(count) {
            let id = self.text(prefix, count);
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// From 1 to 5.
    fn ratio(&mut self) -> f64 {
        1.0 + self.below(41) as f64 / 10.0
    }

    /// Total, used and free.
    fn capacities(&mut self) -> [u64; 3] {
        let total = 1_000 + self.below(1_000);
        let used = self.below(total);
        [total, used, total - used]
    }
}
