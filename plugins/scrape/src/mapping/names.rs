//! The names of our model: types of resources, series with their units, and fields of resources.

use delfin_plugin_api::driver::MetricInfo;

/// A type of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MappedType {
    Storage,
    StoragePool,
    Volume,
    Controller,
    Port,
    Disk,
    Filesystem,
}

/// How the value of a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldForm {
    Text,
    /// Whole numbers; bytes if it is a capacity.
    Whole,
    Ratio,
}

/// The name of a type, the name of its list, and its field with the id.
struct TypeRow {
    mapped: MappedType,
    name: &'static str,
    /// Empty: the storage itself is not in a list.
    list: &'static str,
    native_id: &'static str,
    texts: &'static [&'static str],
    numbers: &'static [&'static str],
}

const TYPES: [TypeRow; 7] = [
    TypeRow {
        mapped: MappedType::Storage,
        name: "storage",
        list: "",
        native_id: "",
        texts: &[
            "name",
            "serial_number",
            "vendor",
            "model",
            "description",
            "location",
            "firmware_version",
        ],
        numbers: &[
            "total_capacity",
            "used_capacity",
            "free_capacity",
            "raw_capacity",
            "subscribed_capacity",
        ],
    },
    TypeRow {
        mapped: MappedType::StoragePool,
        name: "storagePool",
        list: "storage_pools",
        native_id: "native_storage_pool_id",
        texts: &["description", "storage_type", "status"],
        numbers: &[
            "total_capacity",
            "used_capacity",
            "free_capacity",
            "subscribed_capacity",
        ],
    },
    TypeRow {
        mapped: MappedType::Volume,
        name: "volume",
        list: "volumes",
        native_id: "native_volume_id",
        texts: &[
            "description",
            "type",
            "status",
            "native_storage_pool_id",
            "wwn",
        ],
        numbers: &["total_capacity", "used_capacity", "free_capacity"],
    },
    TypeRow {
        mapped: MappedType::Controller,
        name: "controller",
        list: "controllers",
        native_id: "native_controller_id",
        texts: &["status", "location", "soft_version", "cpu_info", "mgmt_ip"],
        numbers: &["cpu_count", "memory_size"],
    },
    TypeRow {
        mapped: MappedType::Port,
        name: "port",
        list: "ports",
        native_id: "native_port_id",
        texts: &[
            "location",
            "type",
            "logical_type",
            "connection_status",
            "health_status",
            "native_parent_id",
            "wwn",
            "mac_address",
        ],
        numbers: &["speed", "max_speed"],
    },
    TypeRow {
        mapped: MappedType::Disk,
        name: "disk",
        list: "disks",
        native_id: "native_disk_id",
        texts: &[
            "physical_type",
            "logical_type",
            "status",
            "location",
            "serial_number",
            "manufacturer",
            "model",
            "firmware",
        ],
        numbers: &["speed", "capacity", "health_score"],
    },
    TypeRow {
        mapped: MappedType::Filesystem,
        name: "filesystem",
        list: "filesystems",
        native_id: "native_filesystem_id",
        texts: &["type", "status", "native_pool_id", "security_mode"],
        numbers: &["total_capacity", "used_capacity", "free_capacity"],
    },
];

/// The types of resources that have a data reduction.
const REDUCED: [MappedType; 4] = [
    MappedType::Storage,
    MappedType::StoragePool,
    MappedType::Volume,
    MappedType::Filesystem,
];

/// The series of Delfin's model: name, unit, description.
const SERIES: [[&str; 3]; 16] = [
    ["iops", "IOPS", "Read and write operations per second"],
    ["readIops", "IOPS", "Read operations per second"],
    ["writeIops", "IOPS", "Write operations per second"],
    ["throughput", "MB/s", "Data transferred per second"],
    ["readThroughput", "MB/s", "Data read per second"],
    ["writeThroughput", "MB/s", "Data written per second"],
    ["responseTime", "ms", "Average time of an operation"],
    ["readResponseTime", "ms", "Average time of a read operation"],
    [
        "writeResponseTime",
        "ms",
        "Average time of a write operation",
    ],
    ["cacheHitRatio", "%", "Operations that are cache hits"],
    [
        "readCacheHitRatio",
        "%",
        "Read operations that are cache hits",
    ],
    [
        "writeCacheHitRatio",
        "%",
        "Write operations that are cache hits",
    ],
    ["ioSize", "KB", "Average size of an operation"],
    ["readIoSize", "KB", "Average size of a read operation"],
    ["writeIoSize", "KB", "Average size of a write operation"],
    ["cpuUsage", "%", "Usage of the processors"],
];

/// The series that follow from fields in the host, and the fields.
const OF_FIELDS: [[&str; 2]; 8] = [
    ["totalCapacity", "total_capacity"],
    ["usedCapacity", "used_capacity"],
    ["freeCapacity", "free_capacity"],
    ["subscribedCapacity", "subscribed_capacity"],
    ["dataReduction", "data_reduction"],
    ["healthScore", "health_score"],
    ["status", "status"],
    ["info", "type"],
];

impl MappedType {
    pub(crate) const ALL: [Self; 7] = [
        Self::Storage,
        Self::StoragePool,
        Self::Volume,
        Self::Controller,
        Self::Port,
        Self::Disk,
        Self::Filesystem,
    ];

    /// The value of the label `resource_type`.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        self.row().name
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// The type of the resources in a list such as `storage_pools`.
    #[must_use]
    pub(crate) fn of_list(list: &str) -> Option<Self> {
        let row = TYPES.iter().find(|row| row.list == list);
        row.map(|row| row.mapped)
            .filter(|mapped| *mapped != Self::Storage)
    }

    /// The field with the id that the storage gives.
    #[must_use]
    pub(crate) fn native_id(self) -> &'static str {
        self.row().native_id
    }

    /// How a field is written; `None` if the type does not have it.
    pub(super) fn field(self, name: &str) -> Option<FieldForm> {
        let row = self.row();
        if row.texts.contains(&name) {
            return Some(FieldForm::Text);
        }
        if row.numbers.contains(&name) {
            return Some(FieldForm::Whole);
        }
        (name == "data_reduction" && REDUCED.contains(&self)).then_some(FieldForm::Ratio)
    }

    /// The names of all fields, for a message.
    pub(super) fn fields(self) -> String {
        let row = self.row();
        let names = row.texts.iter().chain(row.numbers);
        let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
        names.join(", ")
    }

    fn row(self) -> &'static TypeRow {
        &TYPES[self as usize]
    }
}

/// A series of Delfin's model.
pub(super) fn standard_series(name: &str) -> Option<MetricInfo> {
    let row = SERIES.iter().find(|[known, ..]| *known == name)?;
    let [name, unit, description] = row.map(str::to_owned);
    Some(MetricInfo {
        name,
        unit,
        description,
    })
}

/// The field that this series follows from in the host.
pub(super) fn field_of_series(name: &str) -> Option<&'static str> {
    let row = OF_FIELDS.iter().find(|[series, _]| *series == name);
    row.map(|[_, field]| *field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_own_row() {
        for (index, mapped) in MappedType::ALL.into_iter().enumerate() {
            assert_eq!(mapped as usize, index);
            assert_eq!(mapped.row().mapped, mapped);
            assert_eq!(MappedType::named(mapped.as_str()), Some(mapped));
        }
        assert_eq!(MappedType::of_list("disks"), Some(MappedType::Disk));
        assert_eq!(MappedType::of_list(""), None);
        assert_eq!(MappedType::of_list("shares"), None);
    }
}
