//! Options of the fake storage: the number of resources of each type, and its seed.
//!
//! In the configuration they are `[storage.options]`. A registration over the API has
//! them in `extra_attributes`, whose values are strings.

use serde_json::Value;

use crate::collect::{
    driver::{ACCESS_OPTIONS, DriverError, DriverOptions, EXTRA},
    metric::ResourceType,
};

/// More resources do not fit into a batch.
const MAX_COUNT: u64 = 100_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FakeOptions {
    pub(super) counts: Counts,
    pub(super) is_historic: bool,
    pub(super) seed: u64,
}

/// Number of resources of each type.
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
    pub(super) fn read(options: &DriverOptions) -> Result<Self, DriverError> {
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
        // Unknown extra attributes are allowed: other programs may use them.
        if let Some(Value::Object(extra)) = options.get(EXTRA) {
            for (name, value) in extra {
                read.set(name, value)?;
            }
        }
        Ok(read)
    }

    /// Sets an option. Returns `false` if the option is unknown.
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
            .filter(|count| *count <= MAX_COUNT)
            .ok_or_else(|| wrong(name, &format!("is not a number from 0 to {MAX_COUNT}")))?;
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
