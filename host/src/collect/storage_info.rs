//! What a storage says about itself.

/// Name, vendor, model and serial number of a storage, and details.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StorageInfo {
    pub name: String,
    pub vendor: String,
    pub model: String,
    pub serial_number: String,
    pub details: StorageDetails,
}

/// Properties of a storage that its series and alerts do not repeat.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StorageDetails {
    pub description: Option<String>,
    pub location: Option<String>,
    pub firmware_version: Option<String>,
    pub capacity: Capacity,
    /// Written data divided by the capacity that it needs, if the storage reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_reduction: Option<f64>,
}

/// Capacity of a storage in bytes; 0 where the storage does not report a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Capacity {
    /// Usable capacity: used and free.
    pub total: u64,
    pub used: u64,
    pub free: u64,
    /// Sum of the sizes of all disks.
    pub raw: u64,
    /// Sum of the sizes of all volumes, thin ones in full.
    pub subscribed: u64,
}
