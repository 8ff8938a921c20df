//! The names of the labels that every series has, and the labels of info series.

use super::resource::ResourceKind;

/// The labels that every series has.
pub(super) const SERIES_LABELS: [&str; 9] = [
    "storage_id",
    "name",
    "serial_number",
    "resource_type",
    "resource_id",
    "resource_name",
    "type",
    "unit",
    "value_type",
];

/// A label of an info series, and the field that has its value.
pub(super) type InfoLabel = (&'static str, &'static str);

/// The labels of info series that are not a field of a kind.
const FURTHER_INFO_LABELS: [&str; 5] = ["vendor", "model", "firmware", "location", "pool_name"];

/// Whether an info series can have the label.
pub(super) fn is_info_label(name: &str) -> bool {
    let mut of_kinds = ResourceKind::all().flat_map(info_labels);
    of_kinds.any(|(label, _)| *label == name) || FURTHER_INFO_LABELS.contains(&name)
}

/// The labels of the info series of a kind. None is a label that other series have with another
/// meaning: `type`, `name`, `serial_number`.
pub(super) fn info_labels(kind: ResourceKind) -> &'static [InfoLabel] {
    match kind {
        ResourceKind::StoragePools => &[("pool_type", "storage_type")],
        ResourceKind::Volumes => &[
            ("pool_id", "native_storage_pool_id"),
            ("wwn", "wwn"),
            ("volume_type", "type"),
            ("compressed", "compressed"),
            ("deduplicated", "deduplicated"),
        ],
        ResourceKind::Controllers => &[
            ("firmware", "soft_version"),
            ("location", "location"),
            ("cpu", "cpu_info"),
        ],
        ResourceKind::Ports => &[
            ("wwn", "wwn"),
            ("mac_address", "mac_address"),
            ("port_type", "type"),
            ("port_role", "logical_type"),
            ("location", "location"),
            ("controller_id", "native_parent_id"),
        ],
        ResourceKind::Disks => &[
            ("manufacturer", "manufacturer"),
            ("model", "model"),
            ("firmware", "firmware"),
            ("disk_serial_number", "serial_number"),
            ("disk_type", "physical_type"),
            ("disk_role", "logical_type"),
            ("location", "location"),
        ],
        ResourceKind::Filesystems => &[
            ("pool_id", "native_pool_id"),
            ("filesystem_type", "type"),
            ("compressed", "compressed"),
            ("deduplicated", "deduplicated"),
        ],
        ResourceKind::Qtrees
        | ResourceKind::Quotas
        | ResourceKind::Shares
        | ResourceKind::StorageHostInitiators
        | ResourceKind::StorageHosts
        | ResourceKind::StorageHostGroups
        | ResourceKind::PortGroups
        | ResourceKind::VolumeGroups
        | ResourceKind::MaskingViews => &[],
    }
}
