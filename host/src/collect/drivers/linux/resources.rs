//! The resources of the machine: processors as a controller, disks, file systems, network ports.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    disk_health::disk_health,
    kernel::{Devices, Filesystem, Role},
    machine::Machine,
    report::PROCESSORS,
};
use crate::collect::{
    resource::ResourceFields,
    storage_info::{Capacity, StorageDetails},
};

/// `/sys/block/DISK/size` counts in these, with any sector size of the disk.
const SECTOR_BYTES: u64 = 512;
const KERNEL_VERSION: &str = "proc/sys/kernel/osrelease";

/// The machine below a root of paths: `/`, except in tests.
pub(super) struct ResourceReader<'a> {
    pub(super) root: &'a Path,
    pub(super) machine: &'a dyn Machine,
}

impl ResourceReader<'_> {
    /// The processors, which are one controller as in the series.
    pub(super) fn controllers(&self) -> Vec<ResourceFields> {
        let cpus = self.text("proc/cpuinfo").unwrap_or_default();
        let values = |key: &str| {
            let of_key = |line: &str| Some(line.split_once(':')?.1.trim().to_owned());
            let lines: Vec<_> = cpus.lines().filter(|line| line.starts_with(key)).collect();
            (lines.len(), lines.first().and_then(|line| of_key(line)))
        };
        let memory = self.text("proc/meminfo").and_then(|text| {
            let total = text
                .lines()
                .find_map(|line| line.strip_prefix("MemTotal:"))?;
            let kib: u64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
            Some(kib * 1024)
        });
        fields([json!({
            "native_controller_id": PROCESSORS,
            "name": PROCESSORS,
            "status": "normal",
            "soft_version": self.text(KERNEL_VERSION),
            "cpu_info": values("model name").1,
            "cpu_count": Some(values("processor").0).filter(|count| *count > 0),
            "memory_size": memory,
        })])
    }

    /// The sums of all file systems and of all disks, and the version of the kernel.
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
        capacity.raw = disks.filter_map(|(name, _)| self.disk_bytes(name)).sum();
        StorageDetails {
            firmware_version: self.text(KERNEL_VERSION),
            capacity,
            ..StorageDetails::default()
        }
    }

    fn disk_bytes(&self, name: &str) -> Option<u64> {
        let sectors = self.text(block(name).join("size"))?.parse::<u64>().ok()?;
        Some(sectors * SECTOR_BYTES)
    }

    pub(super) fn disks(&self, devices: &Devices) -> Vec<ResourceFields> {
        let disks = devices.iter();
        let disks = disks.filter(|(_, device)| device.role != Role::Other);
        fields(disks.map(|(name, device)| {
            let block = block(name);
            let text = |file: &str| self.text(block.join(file));
            let physical_type = match text("queue/rotational").as_deref() {
                Some("0") if name.starts_with("nvme") => Some("nvme-ssd"),
                Some("0") => Some("ssd"),
                Some("1") => Some("hdd"),
                Some(_) | None => None,
            };
            let health = disk_health(&self.root.join(&block));
            json!({
                "native_disk_id": name,
                "name": name,
                "physical_type": physical_type,
                "logical_type": (device.role == Role::Stacked).then_some("aggregate"),
                "status": health.status,
                "health_score": health.score,
                "serial_number": text("serial").or_else(|| text("device/serial")),
                "manufacturer": text("device/vendor"),
                "model": text("device/model"),
                "firmware": text("device/rev").or_else(|| text("device/firmware_rev")),
                "capacity": self.disk_bytes(name),
            })
        }))
    }

    pub(super) fn filesystems(&self, filesystems: &[Filesystem]) -> Vec<ResourceFields> {
        fields(filesystems.iter().map(|filesystem| {
            let mount_point = &filesystem.mount_point;
            let usage = self.machine.usage(Path::new(mount_point)).ok();
            // The kernel has found an error in it.
            let is_faulty = filesystem.read_only && filesystem.remounts_on_error;
            json!({
                "native_filesystem_id": mount_point,
                "name": mount_point,
                "status": if is_faulty { "faulty" } else { "normal" },
                "security_mode": "unix",
                "total_capacity": usage.map(|usage| usage.total),
                "used_capacity": usage.map(|usage| usage.used),
                "free_capacity": usage.map(|usage| usage.free),
            })
        }))
    }

    /// The network ports that are devices.
    pub(super) fn ports(&self) -> Vec<ResourceFields> {
        let Ok(entries) = fs::read_dir(self.root.join("sys/class/net")) else {
            return Vec::new();
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names
            .filter(|name| {
                self.root
                    .join("sys/class/net")
                    .join(name)
                    .join("device")
                    .exists()
            })
            .collect();
        names.sort();
        fields(names.iter().map(|name| {
            let text = |file: &str| self.text(Path::new("sys/class/net").join(name).join(file));
            let connection = match text("operstate").as_deref() {
                Some("up") => "connected",
                Some("down" | "lowerlayerdown") => "disconnected",
                Some(_) | None => "unknown",
            };
            let megabits = text("speed").and_then(|speed| speed.parse::<u64>().ok());
            json!({
                "native_port_id": name,
                "name": name,
                "type": "eth",
                "logical_type": "physical",
                "connection_status": connection,
                "health_status": "normal",
                "speed": megabits.map(|speed| speed * 1_000_000),
                "mac_address": text("address"),
            })
        }))
    }

    /// A file without the white space around its text; none if that is empty.
    fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

/// The folder of a disk.
fn block(name: &str) -> PathBuf {
    Path::new("sys/block").join(name.replace('/', "!"))
}

fn fields(resources: impl IntoIterator<Item = Value>) -> Vec<ResourceFields> {
    let resources = resources.into_iter().filter_map(|resource| match resource {
        Value::Object(fields) => Some(fields),
        _ => None,
    });
    resources.collect()
}
