//! The fake storage's options: how many resources it has, and its seed.
//!
//! An operator writes them into `[storage.options]`; whoever registers a storage
//! over the API has only `extra_attributes`, whose values are strings.

use serde_json::Value;

use crate::collect::driver::{ACCESS_OPTIONS, DriverError, EXTRA, Options, ResourceType};

/// More than this would not fit into a batch.
const MOST: u64 = 100_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FakeOptions {
    pub(super) counts: Counts,
    pub(super) is_historic: bool,
    pub(super) seed: u64,
}

/// How many resources there are of each type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    storage_pools: u64,
    volumes: u64,
    controllers: u64,
    ports: u64,
    disks: u64,
    filesystems: u64,
}

impl Default for FakeOptions {
    fn default() -> Self {
        Self {
            counts: Counts {
                storage_pools: 100,
                volumes: 2_000,
                controllers: 5,
                ports: 10,
                disks: 100,
                filesystems: 10,
            },
            is_historic: false,
            seed: 0,
        }
    }
}

impl FakeOptions {
    pub(super) fn read(options: &Options) -> Result<Self, DriverError> {
        let mut read = Self::default();
        for (name, value) in options {
            if ACCESS_OPTIONS.contains(&name.as_str()) {
                continue;
            }
            if !read.set(name, value)? {
                return Err(wrong(
                    name,
                    "is not one of storage_pools, volumes, controllers, ports, disks, filesystems, \
                     is_historic and seed",
                ));
            }
        }
        // These may be meant for others who look at the storage.
        if let Some(Value::Object(extra)) = options.get(EXTRA) {
            for (name, value) in extra {
                read.set(name, value)?;
            }
        }
        Ok(read)
    }

    /// Whether there is such an option.
    fn set(&mut self, name: &str, value: &Value) -> Result<bool, DriverError> {
        let counts = &mut self.counts;
        let count = match name {
            "storage_pools" => &mut counts.storage_pools,
            "volumes" => &mut counts.volumes,
            "controllers" => &mut counts.controllers,
            "ports" => &mut counts.ports,
            "disks" => &mut counts.disks,
            "filesystems" => &mut counts.filesystems,
            "seed" => {
                self.seed = number(value).ok_or_else(|| wrong(name, "is not a whole number"))?;
                return Ok(true);
            }
            "is_historic" => {
                self.is_historic =
                    flag(value).ok_or_else(|| wrong(name, "is not true or false"))?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        *count = number(value)
            .filter(|count| *count <= MOST)
            .ok_or_else(|| wrong(name, &format!("is not a number from 0 to {MOST}")))?;
        Ok(true)
    }
}

impl Counts {
    pub(super) fn of(&self, resource_type: ResourceType) -> u64 {
        match resource_type {
            ResourceType::Storage => 1,
            ResourceType::StoragePool => self.storage_pools,
            ResourceType::Volume => self.volumes,
            ResourceType::Controller => self.controllers,
            ResourceType::Port => self.ports,
            ResourceType::Disk => self.disks,
            ResourceType::Filesystem => self.filesystems,
        }
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn flag(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

fn wrong(option: &str, reason: &str) -> DriverError {
    DriverError::Option {
        option: option.to_owned(),
        reason: reason.to_owned(),
    }
}
