//! The kinds of resources, and the fields of each.

use ResourceKind::{
    Controllers, Disks, Filesystems, MaskingViews, PortGroups, Ports, Qtrees, Quotas, Shares,
    StorageHostGroups, StorageHostInitiators, StorageHosts, StoragePools, VolumeGroups, Volumes,
};

use crate::collect::metric::ResourceType;

/// A kind of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    StoragePools,
    Volumes,
    Controllers,
    Ports,
    Disks,
    Filesystems,
    Qtrees,
    Quotas,
    Shares,
    StorageHostInitiators,
    StorageHosts,
    StorageHostGroups,
    PortGroups,
    VolumeGroups,
    MaskingViews,
}

/// A field of a resource. Every field can be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceField {
    pub name: &'static str,
    pub field_type: FieldType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    Text,
    /// Capacities are in bytes.
    Integer,
    Flag,
    /// A number with a fraction.
    Ratio,
    /// The ids of other resources, as the storage gives them.
    Texts,
}

/// Which storages a list of the API is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListScope {
    /// `/v1/volumes`, and `/v1/volumes/{id}` for one resource.
    AllStorages,
    /// `/v1/storages/{id}/port-groups`.
    OneStorage,
}

/// A field whose values are those of a field of another kind: the resources of that kind that
/// have the same value in the field `by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    pub field: &'static str,
    pub kind: ResourceKind,
    pub by: &'static str,
    pub value: &'static str,
}

struct KindRow {
    kind: ResourceKind,
    /// As in the API and in the calls of drivers.
    name: &'static str,
    /// The field with the id that the storage gives.
    native_id: &'static str,
    fields: &'static [ResourceField],
    /// The parameters that select resources. Delfin knows them, whether the kind has such a
    /// field or not.
    filters: &'static [&'static str],
    /// Delfin's error code and text for an id that does not exist.
    not_found: [&'static str; 2],
    scope: ListScope,
}

const fn text(name: &'static str) -> ResourceField {
    field(name, FieldType::Text)
}

const fn integer(name: &'static str) -> ResourceField {
    field(name, FieldType::Integer)
}

const fn flag(name: &'static str) -> ResourceField {
    field(name, FieldType::Flag)
}

const fn texts(name: &'static str) -> ResourceField {
    field(name, FieldType::Texts)
}

const fn field(name: &'static str, field_type: FieldType) -> ResourceField {
    ResourceField { name, field_type }
}

/// In the order of the enum.
const TABLE: [KindRow; 15] = [
    KindRow {
        kind: StoragePools,
        name: "storage_pools",
        native_id: "native_storage_pool_id",
        fields: &[
            text("native_storage_pool_id"),
            text("name"),
            text("description"),
            text("storage_type"),
            text("status"),
            integer("total_capacity"),
            integer("used_capacity"),
            integer("free_capacity"),
            integer("subscribed_capacity"),
        ],
        filters: &["name", "status", "native_storage_pool_id"],
        not_found: ["StoragePoolNotFound", "Storage pool {} could not be found."],
        scope: ListScope::AllStorages,
    },
    KindRow {
        kind: Volumes,
        name: "volumes",
        native_id: "native_volume_id",
        fields: &[
            text("native_volume_id"),
            text("name"),
            text("description"),
            text("type"),
            text("status"),
            text("native_storage_pool_id"),
            text("wwn"),
            integer("total_capacity"),
            integer("used_capacity"),
            integer("free_capacity"),
            flag("compressed"),
            flag("deduplicated"),
        ],
        filters: &[
            "name",
            "status",
            "wwn",
            "native_volume_id",
            "native_storage_pool_id",
        ],
        not_found: ["VolumeNotFound", "Volume {} could not be found."],
        scope: ListScope::AllStorages,
    },
    KindRow {
        kind: Controllers,
        name: "controllers",
        native_id: "native_controller_id",
        fields: &[
            text("native_controller_id"),
            text("name"),
            text("status"),
            text("location"),
            text("soft_version"),
            text("cpu_info"),
            integer("cpu_count"),
            integer("memory_size"),
            text("mgmt_ip"),
        ],
        filters: &["name", "status", "native_controller_id"],
        not_found: ["ControllerNotFound", "Controller {} could not be found."],
        scope: ListScope::AllStorages,
    },
    KindRow {
        kind: Ports,
        name: "ports",
        native_id: "native_port_id",
        fields: &[
            text("native_port_id"),
            text("name"),
            text("location"),
            text("type"),
            text("logical_type"),
            text("connection_status"),
            text("health_status"),
            text("native_parent_id"),
            integer("speed"),
            integer("max_speed"),
            text("wwn"),
            text("mac_address"),
            text("ipv4"),
            text("ipv4_mask"),
            text("ipv6"),
            text("ipv6_mask"),
        ],
        filters: &[
            "name",
            "status",
            "wwn",
            "native_controller_id",
            "native_port_id",
        ],
        not_found: ["PortNotFound", "Port {} could not be found."],
        scope: ListScope::AllStorages,
    },
    KindRow {
        kind: Disks,
        name: "disks",
        native_id: "native_disk_id",
        fields: &[
            text("native_disk_id"),
            text("name"),
            text("physical_type"),
            text("logical_type"),
            text("status"),
            text("location"),
            text("native_disk_group_id"),
            text("serial_number"),
            text("manufacturer"),
            text("model"),
            text("firmware"),
            integer("speed"),
            integer("capacity"),
            integer("health_score"),
        ],
        filters: &["name", "status", "native_disk_id"],
        not_found: ["DiskNotFound", "Disk {} could not be found."],
        scope: ListScope::AllStorages,
    },
    KindRow {
        kind: Filesystems,
        name: "filesystems",
        native_id: "native_filesystem_id",
        fields: &[
            text("native_filesystem_id"),
            text("name"),
            text("type"),
            text("status"),
            text("native_pool_id"),
            text("security_mode"),
            integer("total_capacity"),
            integer("used_capacity"),
            integer("free_capacity"),
            flag("compressed"),
            flag("deduplicated"),
            text("worm"),
        ],
        filters: &["name", "status", "native_filesystem_id"],
        not_found: ["FilesystemNotFound", "Filesystem {} could not be found."],
        scope: ListScope::AllStorages,
    },
    KindRow {
        kind: Qtrees,
        name: "qtrees",
        native_id: "native_qtree_id",
        fields: &[
            text("native_qtree_id"),
            text("name"),
            text("path"),
            text("native_filesystem_id"),
            text("security_mode"),
        ],
        filters: &["name", "state", "native_filesystem_id", "native_qtree_id"],
        not_found: ["QtreeNotFound", "Qtree {} could not be found."],
        scope: ListScope::AllStorages,
    },
    KindRow {
        kind: Quotas,
        name: "quotas",
        native_id: "native_quota_id",
        fields: &[
            text("native_quota_id"),
            text("type"),
            text("native_filesystem_id"),
            text("native_qtree_id"),
            integer("capacity_hard_limit"),
            integer("capacity_soft_limit"),
            integer("file_hard_limit"),
            integer("file_soft_limit"),
            integer("file_count"),
            integer("used_capacity"),
            text("user_group_name"),
        ],
        filters: &[
            "name",
            "status",
            "type",
            "native_quota_id",
            "native_filesystem_id",
            "native_qtree_id",
            "user_group_name",
        ],
        not_found: ["QuotaNotFound", "Quota {} could not be found."],
        scope: ListScope::AllStorages,
    },
    KindRow {
        kind: Shares,
        name: "shares",
        native_id: "native_share_id",
        fields: &[
            text("native_share_id"),
            text("name"),
            text("path"),
            text("native_filesystem_id"),
            text("native_qtree_id"),
            text("protocol"),
        ],
        filters: &["name", "status", "native_share_id"],
        not_found: ["ShareNotFound", "Share {} could not be found."],
        scope: ListScope::AllStorages,
    },
    KindRow {
        kind: StorageHostInitiators,
        name: "storage_host_initiators",
        native_id: "native_storage_host_initiator_id",
        fields: &[
            text("name"),
            text("description"),
            text("alias"),
            text("wwn"),
            text("status"),
            text("type"),
            text("native_storage_host_id"),
            text("native_storage_host_initiator_id"),
        ],
        filters: &[
            "name",
            "status",
            "wwn",
            "native_storage_host_id",
            "native_storage_host_initiator_id",
        ],
        not_found: [
            "StorageHostInitiatorNotFound",
            "Storage host initiator {} could not be found.",
        ],
        scope: ListScope::OneStorage,
    },
    KindRow {
        kind: StorageHosts,
        name: "storage_hosts",
        native_id: "native_storage_host_id",
        fields: &[
            text("name"),
            text("description"),
            text("os_type"),
            text("ip_address"),
            text("status"),
            text("native_storage_host_id"),
        ],
        filters: &["name", "status", "native_storage_host_id"],
        not_found: ["StorageHostNotFound", "Storage host {} could not be found."],
        scope: ListScope::OneStorage,
    },
    KindRow {
        kind: StorageHostGroups,
        name: "storage_host_groups",
        native_id: "native_storage_host_group_id",
        fields: &[
            text("name"),
            text("description"),
            text("native_storage_host_group_id"),
            texts("storage_hosts"),
        ],
        filters: &["name", "native_storage_host_group_id"],
        not_found: [
            "StorageHostGroupNotFound",
            "Storage host group {} could not be found.",
        ],
        scope: ListScope::OneStorage,
    },
    KindRow {
        kind: PortGroups,
        name: "port_groups",
        native_id: "native_port_group_id",
        fields: &[
            text("name"),
            text("description"),
            text("native_port_group_id"),
            texts("ports"),
        ],
        filters: &["name", "native_port_group_id"],
        not_found: ["PortGroupNotFound", "Port group {} could not be found."],
        scope: ListScope::OneStorage,
    },
    KindRow {
        kind: VolumeGroups,
        name: "volume_groups",
        native_id: "native_volume_group_id",
        fields: &[
            text("name"),
            text("description"),
            text("native_volume_group_id"),
            texts("volumes"),
        ],
        filters: &["name", "native_volume_group_id"],
        not_found: ["VolumeGroupNotFound", "Volume group {} could not be found."],
        scope: ListScope::OneStorage,
    },
    KindRow {
        kind: MaskingViews,
        name: "masking_views",
        native_id: "native_masking_view_id",
        fields: &[
            text("name"),
            text("description"),
            text("native_storage_host_group_id"),
            text("native_volume_group_id"),
            text("native_port_group_id"),
            text("native_storage_host_id"),
            text("native_volume_id"),
            text("native_masking_view_id"),
        ],
        filters: &[
            "name",
            "native_storage_host_group_id",
            "native_storage_port_group_id",
            "native_storage_volume_group_id",
            "native_storage_host_id",
            "native_volume_id",
            "native_masking_view_id",
        ],
        not_found: ["MaskingViewNotFound", "Masking View {} could not be found."],
        scope: ListScope::OneStorage,
    },
];

impl ResourceKind {
    /// Every kind, in the order in which a storage is asked for them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.kind)
    }

    /// The kind with a name such as `storage_pools`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }

    /// The name in the API and in the calls of drivers, such as `storage_pools`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The field with the id that the storage gives.
    #[must_use]
    pub fn native_id(self) -> &'static str {
        self.row().native_id
    }

    /// The type of the series of these resources; none if they have no series.
    #[must_use]
    pub fn resource_type(self) -> Option<ResourceType> {
        Some(match self {
            StoragePools => ResourceType::StoragePool,
            Volumes => ResourceType::Volume,
            Controllers => ResourceType::Controller,
            Ports => ResourceType::Port,
            Disks => ResourceType::Disk,
            Filesystems => ResourceType::Filesystem,
            Qtrees
            | Quotas
            | Shares
            | StorageHostInitiators
            | StorageHosts
            | StorageHostGroups
            | PortGroups
            | VolumeGroups
            | MaskingViews => return None,
        })
    }

    /// Fields that drivers give for series only. Delfin's resources do not have them, so the API
    /// does not show them.
    #[must_use]
    pub fn series_fields(self) -> &'static [ResourceField] {
        const DATA_REDUCTION: &[ResourceField] = &[field("data_reduction", FieldType::Ratio)];
        match self {
            StoragePools | Volumes | Filesystems => DATA_REDUCTION,
            Controllers
            | Ports
            | Disks
            | Qtrees
            | Quotas
            | Shares
            | StorageHostInitiators
            | StorageHosts
            | StorageHostGroups
            | PortGroups
            | VolumeGroups
            | MaskingViews => &[],
        }
    }

    #[must_use]
    pub fn fields(self) -> &'static [ResourceField] {
        self.row().fields
    }

    /// The parameters that select resources, without those that all kinds have.
    #[must_use]
    pub fn filters(self) -> &'static [&'static str] {
        self.row().filters
    }

    /// Delfin's error code and text for an id that does not exist.
    #[must_use]
    pub fn not_found(self) -> [&'static str; 2] {
        self.row().not_found
    }

    #[must_use]
    pub fn scope(self) -> ListScope {
        self.row().scope
    }

    /// The name in paths of the API, such as `storage-pools`.
    #[must_use]
    pub fn segment(self) -> String {
        self.name().replace('_', "-")
    }

    /// The field whose values come from another kind.
    #[must_use]
    pub fn relation(self) -> Option<Relation> {
        (self == StorageHosts).then_some(Relation {
            field: "storage_host_initiators",
            kind: StorageHostInitiators,
            by: "native_storage_host_id",
            value: "native_storage_host_initiator_id",
        })
    }

    fn row(self) -> &'static KindRow {
        &TABLE[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_row_with_its_native_id() {
        for (index, kind) in ResourceKind::all().enumerate() {
            assert_eq!(kind as usize, index);
            assert_eq!(ResourceKind::named(kind.name()), Some(kind));
            let native_id = text(kind.native_id());
            assert!(kind.fields().contains(&native_id), "{kind:?}");
        }
    }
}
