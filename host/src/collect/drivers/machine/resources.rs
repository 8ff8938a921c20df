//! The resources of the machine: processors as a controller, disks, file systems, network ports.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    Kernel,
    clock::Machine,
    facts::{Devices, DiskFacts, Filesystem, Port, Processors, Role},
    report::PROCESSORS,
    system::SECURITY_MODE,
};
use crate::collect::{
    driver::DriverError,
    resource::{ResourceFields, ResourceKind},
    storage_info::{Capacity, StorageDetails},
};

pub(super) struct ResourceReader<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) machine: &'a dyn Machine,
}

impl ResourceReader<'_> {
    /// The processors, which are one controller as in the series.
    pub(super) fn controllers(&self) -> Vec<ResourceFields> {
        let Processors {
            model,
            count,
            memory_bytes,
        } = self.kernel.processors();
        fields([json!({
            "native_controller_id": PROCESSORS,
            "name": PROCESSORS,
            "status": "normal",
            "soft_version": self.kernel.version(),
            "cpu_info": model,
            "cpu_count": count,
            "memory_size": memory_bytes,
        })])
    }

    /// The sums of all file systems and of all disks, and the version of the system.
    pub(super) fn details(&self, devices: &Devices, filesystems: &[Filesystem]) -> StorageDetails {
        let mut capacity = Capacity::default();
        for filesystem in filesystems {
            if let Ok(usage) = self.machine.usage(Path::new(&filesystem.mount_point)) {
                capacity.total += usage.total;
                capacity.used += usage.used;
                capacity.free += usage.free;
            }
        }
        let disks = devices
            .iter()
            .filter(|(_, device)| device.role == Role::Disk);
        capacity.raw = disks
            .filter_map(|(name, _)| self.kernel.disk(name).bytes)
            .sum();
        StorageDetails {
            firmware_version: self.kernel.version(),
            capacity,
            ..StorageDetails::default()
        }
    }

    pub(super) fn disks(&self, devices: &Devices) -> Vec<ResourceFields> {
        let disks = devices.iter();
        let disks = disks.filter(|(_, device)| device.role != Role::Other);
        fields(disks.map(|(name, device)| {
            let DiskFacts {
                physical_type,
                status,
                health_score,
                serial_number,
                manufacturer,
                model,
                firmware,
                bytes,
            } = self.kernel.disk(name);
            json!({
                "native_disk_id": name,
                "name": name,
                "physical_type": physical_type,
                "logical_type": (device.role == Role::Stacked).then_some("aggregate"),
                "status": status,
                "health_score": health_score,
                "serial_number": serial_number,
                "manufacturer": manufacturer,
                "model": model,
                "firmware": firmware,
                "capacity": bytes,
            })
        }))
    }

    pub(super) fn filesystems(&self, filesystems: &[Filesystem]) -> Vec<ResourceFields> {
        fields(filesystems.iter().map(|filesystem| {
            let mount_point = &filesystem.mount_point;
            let usage = self.machine.usage(Path::new(mount_point)).ok();
            // The system has found an error in it.
            let is_faulty = filesystem.read_only && filesystem.remounts_on_error;
            json!({
                "native_filesystem_id": mount_point,
                "name": mount_point,
                "status": if is_faulty { "faulty" } else { "normal" },
                "security_mode": SECURITY_MODE,
                "total_capacity": usage.map(|usage| usage.total),
                "used_capacity": usage.map(|usage| usage.used),
                "free_capacity": usage.map(|usage| usage.free),
            })
        }))
    }

    pub(super) fn ports(&self) -> Result<Vec<ResourceFields>, DriverError> {
        let ports = self.kernel.ports()?.into_iter();
        Ok(fields(ports.map(|port| {
            let Port {
                name,
                connection_status,
                speed,
                mac_address,
            } = port;
            json!({
                "native_port_id": name,
                "name": name,
                "type": "eth",
                "logical_type": "physical",
                "connection_status": connection_status,
                "health_status": "normal",
                "speed": speed,
                "mac_address": mac_address,
            })
        })))
    }
}

/// The driver does not list resources of this kind.
pub(super) fn unsupported(kind: ResourceKind) -> DriverError {
    DriverError::Unsupported {
        action: "list resources",
        reason: format!("a machine has no {}", kind.name()).into(),
    }
}

fn fields(resources: impl IntoIterator<Item = Value>) -> Vec<ResourceFields> {
    let resources = resources.into_iter().filter_map(|resource| match resource {
        Value::Object(fields) => Some(fields),
        _ => None,
    });
    resources.collect()
}
